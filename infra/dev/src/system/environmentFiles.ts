import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Product } from "./product.ts";

/**
 * Writes every program's environment to `env/<program>.env`, so that one of them can be run by hand or by `turbo dev`
 * against servers that are up. The files hold the development secrets.
 */
export async function writeEnvironmentFiles(dir: string, product: Product): Promise<void> {
  const directory = path.join(dir, "env");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const programs = [product.api, ...product.gateways, product.workers, ...product.examples];
  await Promise.all(
    programs.map(({ name, env }) => {
      const lines = Object.entries(env).map(([variable, value]) => `${variable}="${value}"`);
      return writeFile(path.join(directory, `${name}.env`), `${lines.join("\n")}\n`, { mode: 0o600 });
    }),
  );
}
