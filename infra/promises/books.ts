import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ReadyInfo } from "@tollgate/dev/system";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Runs `npm run check:books` as an operator would. @returns what it prints of differences; nothing when the books agree */
export function checkBooks(ready: ReadyInfo): Promise<string[]> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--import", "tsx", "apps/workers/src/checkBooks.main.ts"],
      { cwd: ROOT, env: { ...process.env, DATABASE_URL: ready.databaseUrl } },
      (error, stdout, stderr) => resolve(error === null ? [] : [stdout, stderr]),
    );
  });
}
