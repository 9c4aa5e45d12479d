// Bundles the app in the current directory for production: `src/main.ts` and each `src/<command>.main.ts` become a file
// in dist/ that plain node runs. The house's own packages are bundled in, libraries stay outside, and the migrations lie
// beside the bundles of those that read them.
import { cp, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const SCOPE = "@tollgate/";
const MIGRATIONS = "packages/db/migrations";

/** Everything that is not a path and not ours is found in node_modules when the bundle runs. */
const librariesOutside = {
  name: "libraries-outside",
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path: name, kind }) =>
      kind === "entry-point" || name.startsWith(SCOPE) ? undefined : { path: name, external: true },
    );
  },
};

/** In the sources the migrations are one directory up from the file that reads them; in a bundle they are beside it. */
const migrationsBeside = {
  name: "migrations-beside",
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]packages[/\\]db[/\\]src[/\\].*\.ts$/ }, async ({ path: file }) => {
      const contents = await readFile(file, "utf8");
      return { contents: contents.replaceAll('new URL("../migrations', 'new URL("./migrations'), loader: "ts" };
    });
  },
};

const app = process.cwd();
const out = path.join(app, "dist");
const commands = (await readdir(path.join(app, "src"))).filter((file) => /^(?:.*\.)?main\.ts$/.test(file));
if (!commands.includes("main.ts")) throw new Error(`${app} has no src/main.ts`);
// Whoever deploys the control plane migrates the database with it.
const migrates = path.basename(app) === "api";
const entryPoints = commands.map((file) => ({ in: path.join(app, "src", file), out: file.slice(0, -".ts".length) }));
if (migrates) entryPoints.push({ in: path.join(root, "packages/db/src/migrate.main.ts"), out: "migrate.main" });

await rm(out, { recursive: true, force: true });
await build({
  entryPoints,
  outdir: out,
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  sourcemap: true,
  legalComments: "none",
  logLevel: "warning",
  plugins: [librariesOutside, migrationsBeside],
});
await cp(path.join(root, MIGRATIONS), path.join(out, "migrations"), { recursive: true });
