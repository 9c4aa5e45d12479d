import path from "node:path";
import type { Plugin } from "esbuild";
import { build } from "esbuild";
import { DIST_DIR, ROOT_DIR } from "./startProcess.ts";

/**
 * What is measured is what would be deployed: bundles, as `npm run build` makes them of the apps. Running from source
 * costs more, because the loader keeps the names of functions by a call for every closure that is made.
 */
const PROGRAMS: Readonly<Record<string, string>> = {
  load: "bench/src/load/load.main.ts",
  pacer: "bench/src/load/pacer.worker.ts",
  upstream: "bench/src/floors/upstream.main.ts",
  bareProxy: "bench/src/floors/bareProxy.main.ts",
  fastifyProxy: "bench/src/floors/fastifyProxy.main.ts",
  controlServer: "bench/src/control/controlServer.main.ts",
  identityServer: "bench/src/identity/identityServer.main.ts",
  signIn: "bench/src/identity/signIn.main.ts",
  fold: "bench/src/fold/fold.main.ts",
  keys: "bench/src/keys/keys.main.ts",
  gateway: "apps/gateway/src/main.ts",
  workers: "apps/workers/src/main.ts",
};

/** Packages of the workspace go into the bundle; those from the registry stay where they are. */
const registryPackagesOutside: Plugin = {
  name: "registry-packages-outside",
  setup: (builder) => {
    builder.onResolve({ filter: /^[^./]/ }, (args) =>
      args.kind === "entry-point" || args.path.startsWith("@tollgate/")
        ? undefined
        : { path: args.path, external: true },
    );
  },
};

/** Bundles every program that the benchmark starts. Takes a second. */
export async function buildPrograms(): Promise<void> {
  await build({
    entryPoints: Object.entries(PROGRAMS).map(([out, entry]) => ({ out, in: path.join(ROOT_DIR, entry) })),
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    sourcemap: true,
    outdir: DIST_DIR,
    plugins: [registryPackagesOutside],
    logLevel: "warning",
  });
}
