import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TSX = createRequire(import.meta.url).resolve("tsx");
const run = promisify(execFile);

/** The code of guides, run as it stands there: a reader who copies it must not find out that nobody has tried. */
export interface Bench {
  /** Where samples keep what they make. */
  readonly dir: string;
  /**
   * The one block of a guide in a language that has these words. What stands for something of the reader's (an address of
   * their machine, an id) is filled in.
   */
  take(guide: string, language: string, words: string): Promise<string>;
  shell(code: string, env?: Readonly<Record<string, string>>): Promise<string>;
  /** Runs a module to its end; `around` says what comes before and after the sample. @returns what it printed */
  module(code: string, env?: Readonly<Record<string, string>>): Promise<string>;
  /** Runs a module that goes on. */
  start(code: string, env?: Readonly<Record<string, string>>): Promise<RunningSample>;
  close(): Promise<void>;
}

export interface RunningSample {
  /** The next line that it prints. */
  nextLine(): Promise<string>;
  /** Asks it to end. @returns its exit code; null when the signal ended it */
  stop(): Promise<number | null>;
}

/** @param fillings what is put in the place of which text */
export async function openBench(fillings: Readonly<Record<string, string>>): Promise<Bench> {
  // Below the checkout, so that modules find the packages.
  const parent = path.join(ROOT, "node_modules", ".cache");
  await mkdir(parent, { recursive: true });
  const dir = await mkdtemp(path.join(parent, "samples-"));
  const children = new Set<ChildProcess>();
  let modules = 0;
  const write = async (code: string): Promise<string[]> => {
    modules += 1;
    const file = path.join(dir, `sample-${modules}.mts`);
    await writeFile(file, code);
    return ["--import", TSX, file];
  };
  const options = (env: Readonly<Record<string, string>> = {}) => ({ cwd: dir, env: { ...process.env, ...env } });
  return {
    dir,
    take: async (guide, language, words) => {
      const text = await readFile(path.join(ROOT, guide), "utf8");
      const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].filter(
        ([, name, code]) => name === language && code?.includes(words),
      );
      const [block] = blocks;
      if (blocks.length !== 1 || block?.[2] === undefined)
        throw new Error(`${guide}: ${blocks.length} have "${words}"`);
      return Object.entries(fillings).reduce((code, [from, to]) => code.replaceAll(from, to), block[2]);
    },
    shell: async (code, env) => (await run("sh", ["-ec", code], options(env))).stdout,
    module: async (code, env) => (await run(process.execPath, await write(code), options(env))).stdout.trim(),
    start: async (code, env) => {
      const child = spawn(process.execPath, await write(code), {
        ...options(env),
        stdio: ["ignore", "pipe", "inherit"],
      });
      children.add(child);
      const exited = once(child, "exit") as Promise<[number | null]>;
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      return {
        nextLine: async () => String((await lines.next()).value),
        stop: async () => {
          child.kill("SIGTERM");
          return (await exited)[0];
        },
      };
    },
    close: async () => {
      for (const child of children) child.kill("SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
  };
}
