import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, readdir } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { canFetchAptPackages, fetchAptPackages } from "./aptPackages.ts";
import type { Launch, Log, Tool } from "./tool.ts";

const run = promisify(execFile);

/** Where package managers put servers that an ordinary PATH does not name. */
const EXTRA_DIRS = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/homebrew/sbin"];
const CACHED_BINARY_DIRS = ["usr/bin", "usr/sbin"];

/**
 * Finds a way to run each tool: a binary on this machine, one in the project's cache, one fetched into that cache from the
 * distribution's archive, or a container if an engine answers.
 * @throws Error that names every tool that cannot be had, and the ways out.
 */
export async function findLaunches(tools: readonly Tool[], cacheDir: string, log: Log): Promise<Map<Tool, Launch>> {
  const found = new Map<Tool, Launch>();
  const lookIn = async (look: (tool: Tool) => Promise<Launch | undefined>): Promise<Tool[]> => {
    await Promise.all(
      tools.map(async (tool) => {
        const launch = found.has(tool) ? undefined : await look(tool);
        if (launch) found.set(tool, launch);
      }),
    );
    return tools.filter((tool) => !found.has(tool));
  };

  let missing = await lookIn((tool) => findOnMachine(tool, log));
  if (missing.length > 0) missing = await lookIn((tool) => findInCache(tool, cacheDir, log));
  if (missing.length > 0 && (await canFetchAptPackages())) {
    await fetchIntoCache(missing, cacheDir, log);
    missing = await lookIn((tool) => findInCache(tool, cacheDir, log));
  }
  if (missing.length > 0) {
    const docker = await findDocker();
    if (docker !== undefined)
      missing = await lookIn(async (tool) => ({ kind: "docker", file: docker, image: tool.image }));
  }
  if (missing.length > 0) throw new Error(explainMissing(missing));
  return found;
}

async function findOnMachine(tool: Tool, log: Log): Promise<Launch | undefined> {
  const { PATH = "" } = process.env;
  const dirs = [...PATH.split(path.delimiter).filter((dir) => dir !== ""), ...EXTRA_DIRS];
  const file = await findBinary(tool, dirs, process.env, log);
  return file === undefined ? undefined : { kind: "binary", file, env: process.env };
}

async function findInCache(tool: Tool, cacheDir: string, log: Log): Promise<Launch | undefined> {
  const entries = await readdir(cacheDir).catch(() => []);
  for (const root of entries.filter((entry) => entry.startsWith("apt-")).map((entry) => path.join(cacheDir, entry))) {
    const libraries = await readdir(path.join(root, "usr/lib")).catch(() => []);
    const libraryPath = libraries
      .filter((entry) => entry.endsWith("-linux-gnu"))
      .map((entry) => path.join(root, "usr/lib", entry));
    const env = { ...process.env, LD_LIBRARY_PATH: libraryPath.join(":") };
    const file = await findBinary(
      tool,
      CACHED_BINARY_DIRS.map((dir) => path.join(root, dir)),
      env,
      log,
    );
    if (file !== undefined) return { kind: "binary", file, env };
  }
  return undefined;
}

async function findBinary(
  tool: Tool,
  dirs: readonly string[],
  env: NodeJS.ProcessEnv,
  log: Log,
): Promise<string | undefined> {
  for (const executable of tool.executables) {
    for (const dir of dirs) {
      const file = path.join(dir, executable);
      if (!(await isExecutable(file))) continue;
      const problem = await findVersionProblem(tool, file, env);
      if (problem === undefined) return file;
      log(`${file} is passed over: ${problem}`);
    }
  }
  return undefined;
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function findVersionProblem(tool: Tool, file: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  try {
    const { stdout } = await run(file, ["--version"], { env });
    const [, major, minor] = /(\d+)\.(\d+)/.exec(stdout) ?? [];
    const [majorMin, minorMin] = tool.versionMin;
    const isEnough = Number(major) > majorMin || (Number(major) === majorMin && Number(minor) >= minorMin);
    return isEnough ? undefined : `version ${major}.${minor} is older than ${majorMin}.${minorMin}`;
  } catch (error) {
    return `it does not run (${error instanceof Error ? error.message : String(error)})`;
  }
}

async function fetchIntoCache(tools: readonly Tool[], cacheDir: string, log: Log): Promise<void> {
  const packages = tools.map((tool) => tool.aptPackage);
  log(`fetching ${packages.join(", ")} into the project's cache (once)`);
  try {
    await fetchAptPackages(packages, path.join(cacheDir, `apt-${tools.map((tool) => tool.name).join("-")}`), log);
  } catch (error) {
    // Docker may still do; if it does not, the error at the end names every way out.
    log(`the package archive did not help: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function findDocker(): Promise<string | undefined> {
  try {
    await run("docker", ["info"], { timeout: 10_000 });
    return "docker";
  } catch {
    return undefined;
  }
}

function explainMissing(tools: readonly Tool[]): string {
  const list = (of: (tool: Tool) => string): string => tools.map(of).join(" ");
  return [
    `Cannot find or fetch ${list((tool) => tool.name)}. Do one of these and try again:`,
    `  - Debian, Ubuntu: sudo apt-get install ${list((tool) => tool.aptPackage)}`,
    `  - macOS: brew install ${list((tool) => tool.brewPackage)}`,
    "  - start Docker",
    `  - run them elsewhere and set ${list((tool) => tool.urlVariable)}`,
  ].join("\n");
}
