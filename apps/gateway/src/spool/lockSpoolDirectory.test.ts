import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { lockSpoolDirectory } from "./lockSpoolDirectory.ts";

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "tollgate-lock-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Another process that has the lock of a directory, and lives until it is killed. */
async function processWithLock(directory: string): Promise<ChildProcess> {
  const module = new URL("./lockSpoolDirectory.ts", import.meta.url).href;
  const program = `
    const { lockSpoolDirectory } = await import(${JSON.stringify(module)});
    lockSpoolDirectory(${JSON.stringify(directory)});
    process.stdout.write("locked");
    setInterval(() => undefined, 1_000);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return child;
}

it("a directory is one living process's, and whoever comes after a crash may take it", async () => {
  const directory = newDirectory();
  const child = await processWithLock(directory);
  expect(() => lockSpoolDirectory(directory)).toThrow(`the spool of process ${child.pid};`);
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  const unlock = lockSpoolDirectory(directory);
  unlock();
  expect(() => readFileSync(join(directory, "lock"))).toThrow("ENOENT");
});

it.runIf(process.platform === "linux")(
  "a process that got the number of one that is gone, as after a reboot, does not hold its lock",
  async () => {
    const directory = newDirectory();
    const [gone, other] = await Promise.all([processWithLock(directory), processWithLock(newDirectory())]);
    const exited = once(gone, "exit");
    gone.kill("SIGKILL");
    await exited;
    const lock = join(directory, "lock");
    writeFileSync(lock, readFileSync(lock, "utf8").replace(String(gone.pid), String(other.pid)));
    expect(() => lockSpoolDirectory(directory)).not.toThrow();
  },
);

it("a lock that says nothing but a number holds while there is such a process", () => {
  const directory = newDirectory();
  writeFileSync(join(directory, "lock"), String(process.ppid));
  expect(() => lockSpoolDirectory(directory)).toThrow(String(process.ppid));
});
