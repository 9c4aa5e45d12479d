import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { RunningProcess } from "@tollgate/dev/processes";
import { spawnGuarded } from "@tollgate/dev/processes";
import { eventually } from "./stranger.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A second process of workers beside the system's own: with two, one relay leads and the other stands by. */
export interface SecondWorkers {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts it with the environment that the launcher has written down, again and again, and resolves when it answers. */
export async function runSecondWorkers(dir: string): Promise<SecondWorkers> {
  const text = await readFile(path.join(dir, "env", "workers.env"), "utf8");
  const env: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/^(\w+)="(.*)"$/gm)) if (name !== undefined) env[name] = value ?? "";
  const port = Number(env["WORKERS_PORT"]) + 1;
  const start = (): RunningProcess =>
    spawnGuarded({
      file: process.execPath,
      args: ["--import", "tsx", "apps/workers/src/main.ts"],
      cwd: ROOT,
      env: { ...process.env, ...env, WORKERS_PORT: `${port}` },
      logFile: path.join(dir, "second-workers.log"),
      deathSignal: "SIGKILL",
    });
  let isOver = false;
  let running = start();
  const keepRunning = async (): Promise<void> => {
    while (!isOver) {
      await running.exited;
      if (!isOver) running = start();
    }
  };
  void keepRunning();
  await eventually("the second workers", async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);
  return {
    get pid() {
      return running.pid;
    },
    stop: async () => {
      isOver = true;
      await running.stop("SIGKILL", 0);
    },
  };
}
