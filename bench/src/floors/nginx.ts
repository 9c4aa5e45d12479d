import { execFile } from "node:child_process";
import { access, constants, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describeExit, spawnGuarded } from "@tollgate/dev/processes";
import { canFetchAptPackages, choosePort, fetchAptPackages, httpAnswers } from "@tollgate/dev/servers";
import { delay } from "@tollgate/kernel";
import { onCore, SERVER_CORE } from "../processes/cores.ts";

const run = promisify(execFile);
const CACHE_DIR = fileURLToPath(new URL("../../../.cache/devservers/apt-nginx", import.meta.url));
const MACHINE_DIRS = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"];
const READY_MS = 10_000;
const POLL_MS = 20;

/** nginx on this machine, or fetched into the project's cache; undefined where there is none. */
export async function findNginx(log: (line: string) => void): Promise<string | undefined> {
  const { PATH = "" } = process.env;
  const onMachine = [...PATH.split(path.delimiter), ...MACHINE_DIRS].map((dir) => path.join(dir, "nginx"));
  const cached = path.join(CACHE_DIR, "usr/sbin/nginx");
  for (const file of [...onMachine, cached]) if (await runs(file)) return file;
  if (!(await canFetchAptPackages())) return undefined;
  log("fetching nginx into the project's cache (once)");
  try {
    await fetchAptPackages(["nginx"], CACHE_DIR, log);
  } catch (error) {
    log(`nginx cannot be had: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
  return (await runs(cached)) ? cached : undefined;
}

async function runs(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    await run(file, ["-v"]);
    return true;
  } catch {
    return false;
  }
}

/** One process without a master, no access log, keep-alive on both sides: as fast as nginx goes on one core. */
const config = (dir: string, port: number, upstreamPort: number): string => `
daemon off;
master_process off;
worker_processes 1;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log warn;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  upstream bench { server 127.0.0.1:${upstreamPort}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`;

/** Starts nginx as a reverse proxy on the server's core. */
export async function startNginx(
  file: string,
  workDir: string,
  upstreamPort: number,
): Promise<{ readonly pid: number; readonly port: number; stop(): Promise<void> }> {
  const dir = path.join(workDir, "nginx");
  await mkdir(dir, { recursive: true });
  const port = await choosePort();
  const configFile = path.join(dir, "nginx.conf");
  await writeFile(configFile, config(dir, port, upstreamPort));
  const running = spawnGuarded({
    ...onCore(SERVER_CORE, file, ["-p", dir, "-c", configFile]),
    cwd: dir,
    deathSignal: "SIGKILL",
    logFile: path.join(dir, "nginx.log"),
  });
  const deadline = Date.now() + READY_MS;
  while (!(await httpAnswers(`http://127.0.0.1:${port}/`))) {
    if (running.exit !== undefined) throw new Error(`nginx ${describeExit(running.exit)}; see ${dir}`);
    if (Date.now() > deadline) throw new Error(`nginx did not answer; see ${dir}`);
    await delay(POLL_MS);
  }
  return {
    pid: running.pid,
    port,
    stop: async () => {
      await running.stop("SIGTERM", 5_000);
    },
  };
}
