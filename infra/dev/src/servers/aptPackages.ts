import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import type { Log } from "./tool.ts";

/**
 * Gets programs from the Linux distribution's own signed package archive without root and without touching the system: apt
 * is given a private state and cache, the packages are downloaded (not installed) and unpacked into the project's cache.
 * The system's package lists are tried first, private fresh ones second.
 */
const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export async function canFetchAptPackages(): Promise<boolean> {
  if (process.platform !== "linux") return false;
  try {
    await Promise.all([run("apt-get", ["--version"]), run("dpkg-deb", ["--version"])]);
    return true;
  } catch {
    return false;
  }
}

/**
 * Downloads packages with the libraries that the system lacks and unpacks them into a directory, which appears whole or not
 * at all: an interrupted or a concurrent download leaves no half of it.
 * @throws Error with apt's own words if a package cannot be had.
 */
export async function fetchAptPackages(packages: readonly string[], targetDir: string, log: Log): Promise<void> {
  await mkdir(path.dirname(targetDir), { recursive: true });
  const work = await mkdtemp(path.join(path.dirname(targetDir), ".apt-"));
  try {
    await download(packages, work, log);
    const root = path.join(work, "root");
    await mkdir(root);
    for (const file of await readdir(path.join(work, "debs"))) {
      await run("dpkg-deb", ["-x", path.join(work, "debs", file), root]);
    }
    await placeWhole(root, targetDir);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function download(packages: readonly string[], work: string, log: Log): Promise<void> {
  const debs = path.join(work, "debs");
  const state = path.join(work, "state");
  await Promise.all([
    mkdir(debs),
    mkdir(path.join(state, "lists/partial"), { recursive: true }),
    mkdir(path.join(work, "cache/archives/partial"), { recursive: true }),
  ]);
  const common = [
    "-o",
    `Dir::Cache=${path.join(work, "cache")}`,
    "-o",
    "Debug::NoLocking=true",
    "-o",
    "APT::Sandbox::User=",
  ];
  try {
    await downloadClosure(common, packages, debs);
    return;
  } catch {
    // What came before the failure is of the old lists, and must not be mixed with what the fresh ones name.
    await rm(debs, { recursive: true });
    await mkdir(debs);
    // The system's lists are empty or older than the archive: fetch fresh ones, privately.
    log("the system's package lists are missing or out of date; reading fresh ones into the cache");
  }
  // The lists by themselves too: a machine's configuration may say where they are without regard to the state's directory.
  const dirs = [`Dir::State=${state}`, `Dir::State::Lists=${path.join(state, "lists")}`];
  const fresh = [...common, ...[...dirs, "Dir::State::status=/var/lib/dpkg/status"].flatMap((dir) => ["-o", dir])];
  // Says 0 when a source cannot be reached and non-zero for trifles, so only the download that follows is believed.
  await run("apt-get", [...fresh, "-qq", "update"], { maxBuffer: OUTPUT_BYTES_MAX }).catch((error: Error) =>
    log(error.message),
  );
  await downloadClosure(fresh, packages, debs);
}

async function downloadClosure(options: readonly string[], packages: readonly string[], debs: string): Promise<void> {
  const simulated = await run("apt-get", [...options, "-s", "-qq", "--no-install-recommends", "install", ...packages], {
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  const missing = [...simulated.stdout.matchAll(/^Inst (\S+)/gm)].flatMap(([, name]) =>
    name === undefined ? [] : [name],
  );
  const wanted = [...new Set([...packages, ...missing])];
  await run("apt-get", [...options, "-qq", "download", ...wanted], { cwd: debs, maxBuffer: OUTPUT_BYTES_MAX });
}

async function placeWhole(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    // Another process was faster; its copy is as good as ours.
    await access(to).catch(() => {
      throw error;
    });
  }
}
