import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { startServers } from "@tollgate/dev/servers";
import { parseOptions, USAGE } from "./options.ts";
import { buildPrograms } from "./processes/buildPrograms.ts";
import { canPin, leaveServerCore } from "./processes/cores.ts";
import { waitUntilQuiet } from "./processes/quietMachine.ts";
import { describeMachine, writeResults } from "./report/results.ts";
import type { Section } from "./report/section.ts";
import { renderSection } from "./report/section.ts";
import { runParts } from "./runParts.ts";

/** The benchmark: what the product costs, beside the cheapest things that it could be compared with. */
const options = parseOptions(process.argv.slice(2));
if (options === undefined) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
const log = (line: string): void => void process.stderr.write(`${line}\n`);
log(`${describeMachine()}${canPin ? "" : "\nno taskset here: processes are not tied to cores"}`);
// Before anything is started: what is started without a core of its own stays off the server's.
leaveServerCore();

const workDir = await mkdtemp(path.join(tmpdir(), "tollgate-bench-"));
// PostgreSQL may run as another user, which has to get through.
await chmod(workDir, 0o755);
const PATIENCE_MS = 60_000;
const measuredAt = `${new Date().toISOString().slice(0, 10)} on ${describeMachine()}`;
const rendered = new Map<string, string>();
const show = (section: Section): void => {
  const text = renderSection(section, measuredAt);
  rendered.set(section.title, text);
  process.stdout.write(`\n${text}`);
};

let isWhole = false;
try {
  await buildPrograms();
  await mkdir(path.join(workDir, "data"));
  const servers = await startServers({
    dataDir: path.join(workDir, "data"),
    keepData: false,
    ports: "ephemeral",
    log,
  });
  try {
    const quiet = async (): Promise<void> => {
      if (options.isPatient) await waitUntilQuiet(PATIENCE_MS);
    };
    const place = { workDir, durations: options.durations, quiet, log };
    await runParts({ place, servers, options, show });
  } finally {
    await servers.stop();
  }
  if (options.isWriting) await writeResults(rendered);
  isWhole = true;
} finally {
  // After a failure the logs are what one wants to see.
  if (isWhole) await rm(workDir, { recursive: true, force: true });
  else log(`logs are in ${workDir}`);
}
