import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { domainNames } from "./domainNames.ts";
import { planDomain } from "./planDomain.ts";

/** `npm run new -- domain <name>`: a domain's files the house's way, in every layer, wired and with a migration. */
const USAGE = `npm run new -- domain <name> [--record <one>] [--prefix <letters>]
  <name>            a plural noun in camelCase, as clients will call it: coupons, taxRates
  --record <one>    what one of them is called, where taking the plural off is not enough
  --prefix <abc>    what its ids begin with, 2 to 4 letters
`;
const root = fileURLToPath(new URL("../..", import.meta.url));

function generate(): void {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { record: { type: "string" }, prefix: { type: "string" } },
  });
  const [kind, name, ...rest] = positionals;
  if (kind !== "domain" || name === undefined || rest.length > 0) throw new Error(USAGE);
  const names = domainNames(name, values);
  const { files, wiring } = planDomain(names);
  const taken = Object.keys(files).filter((file) => existsSync(path.join(root, file)));
  if (taken.length > 0) throw new Error(`There is ${taken.join(", ")} already: nothing was changed`);
  // All changes are worked out before the first is made, so that one that does not fit leaves the tree as it was.
  const changed = Object.entries(wiring).map(([file, change]) => [
    file,
    change(readFileSync(path.join(root, file), "utf8")),
  ]);
  for (const [file = "", text = ""] of [...Object.entries(files), ...changed]) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }
  const written = [...Object.keys(files), ...Object.keys(wiring)];
  runTool("@biomejs/biome/bin/biome", ["check", "--write", ...written], root);
  const migration = ["generate", "--name", `add-${names.table.replaceAll("_", "-")}`];
  runTool("drizzle-kit/bin.cjs", migration, path.join(root, "packages/db"));
  process.stdout.write(`${written.join("\n")}\npackages/db/migrations\n\nNext: npm run verify\n`);
}

function runTool(program: string, args: readonly string[], directory: string): void {
  execFileSync(process.execPath, [path.join(root, "node_modules", program), ...args], {
    cwd: directory,
    stdio: "inherit",
  });
}

try {
  generate();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
