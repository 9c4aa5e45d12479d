import { readFile, writeFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { canPin } from "../processes/cores.ts";

const RESULTS_FILE = fileURLToPath(new URL("../../RESULTS.md", import.meta.url));
const BYTES_PER_GIB = 2 ** 30;

/** The machine in a line. */
export function describeMachine(): string {
  const all = cpus();
  const memory = Math.round(totalmem() / BYTES_PER_GIB);
  const cores = `${all.length} cores (${all[0]?.model.trim() ?? "of an unknown kind"})`;
  return `${cores}, ${memory} GiB, ${process.platform} ${release()}, Node.js ${process.version}`;
}

const introduction = (): string => `# Results

Made by \`npm run bench -- --write\`; \`npm run bench -- --help\` says what else it does. Every section names
its own machine and day: numbers of different ones do not compare. ${
  canPin
    ? "The server that is measured has core 0 to itself. Load generator, upstream, PostgreSQL, Redis, NATS, etcd and the worker share core 1; beside a gateway under load, PostgreSQL and the worker have the lowest priority there, because folding can wait."
    : "**Processes could not be tied to cores here (no taskset), so servers and load disturb each other.**"
} Ratios are of neighbouring runs, so a machine that is busy with other things changes them less than it changes the numbers
themselves; "others" says how busy it was: the share of the server's core that something else had. Above a tenth, goals are not judged.
`;

/** Puts sections into bench/RESULTS.md, in place of older ones of the same title; others stay as they are. */
export async function writeResults(rendered: ReadonlyMap<string, string>): Promise<void> {
  const sections = await readSections();
  for (const [title, text] of rendered) sections.set(title, text);
  await writeFile(RESULTS_FILE, [introduction(), ...sections.values()].join("\n"));
}

async function readSections(): Promise<Map<string, string>> {
  let text: string;
  try {
    text = await readFile(RESULTS_FILE, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return new Map();
  }
  const [, ...parts] = text.split(/^## /m);
  return new Map(parts.map((part) => [part.split("\n", 1)[0] ?? "", `## ${part.trimEnd()}\n`]));
}
