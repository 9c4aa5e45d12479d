import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { redisAnswers } from "./answers.ts";
import { canFetchAptPackages, fetchAptPackages } from "./aptPackages.ts";
import { choosePort } from "./ports.ts";

const run = promisify(execFile);

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "tollgate-apt-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Why the distribution's archive cannot be had here, in apt's own words; undefined if it can. */
async function findObstacle(): Promise<string | undefined> {
  if (!(await canFetchAptPackages())) return "there is no apt-get or no dpkg-deb on this machine";
  await mkdir(path.join(dir, "state/lists/partial"), { recursive: true });
  const options = [
    `Dir::State=${dir}/state`,
    `Dir::State::Lists=${dir}/state/lists`,
    "Dir::State::status=/var/lib/dpkg/status",
    `Dir::Cache=${dir}`,
  ];
  const strict = [...options, "APT::Sandbox::User=", "APT::Update::Error-Mode=any", "Acquire::http::Timeout=10"];
  return run("apt-get", [...strict.flatMap((option) => ["-o", option]), "-qq", "update"]).then(
    () => undefined,
    (error: { readonly stderr?: string }) =>
      `the distribution's archive cannot be reached: ${error.stderr?.split("\n", 1)[0]}`,
  );
}

test("Redis is fetched from the distribution's own archive into a directory, and runs from there", async (context) => {
  const obstacle = await findObstacle();
  context.skip(obstacle !== undefined, obstacle);
  const root = path.join(dir, "cache/apt-redis");
  await fetchAptPackages(["redis-server"], root, () => undefined);
  expect(await readdir(path.dirname(root))).toEqual(["apt-redis"]);
  // It was unpacked, not installed: no script of a package ran, and no configuration of the machine was made.
  const file = path.join(root, "usr/bin/redis-server");
  await access(file);
  const libraries = (await readdir(path.join(root, "usr/lib")).catch(() => []))
    .filter((entry) => entry.endsWith("-linux-gnu"))
    .map((entry) => path.join(root, "usr/lib", entry));
  const port = await choosePort();
  const server = spawn(file, ["--port", `${port}`, "--bind", "127.0.0.1", "--save", ""], {
    cwd: dir,
    env: { LD_LIBRARY_PATH: libraries.join(":") },
    stdio: "ignore",
  });
  const exited = once(server, "exit");
  try {
    await vi.waitFor(async () => expect(await redisAnswers(port)).toBe(true), { timeout: 10_000, interval: 50 });
  } finally {
    server.kill("SIGKILL");
    await exited;
  }
});
