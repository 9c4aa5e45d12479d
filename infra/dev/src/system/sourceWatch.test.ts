import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchSources } from "./sourceWatch.ts";

let root: string;
let seen: string[];
let close: () => void;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "tollgate-watch-"));
  await mkdir(path.join(root, "apps/api/src"), { recursive: true });
  await mkdir(path.join(root, "apps/api/node_modules/x"), { recursive: true });
  seen = [];
  close = watchSources(root, ["apps", "missing"], (files) => seen.push(...files));
});
afterEach(async () => {
  close();
  await rm(root, { recursive: true });
});

const noticed = (file: string): Promise<void> =>
  vi.waitFor(() => expect(seen).toContain(file), { timeout: 5_000, interval: 20 });

test("a file that is written, replaced by a rename, or in a new directory is noticed", async () => {
  const file = path.join(root, "apps/api/src/main.ts");
  await writeFile(file, "1");
  await noticed("apps/api/src/main.ts");
  for (let round = 0; round < 2; round++) {
    seen.length = 0;
    await writeFile(path.join(root, "draft"), "2");
    await rename(path.join(root, "draft"), file);
    await noticed("apps/api/src/main.ts");
  }
  await mkdir(path.join(root, "apps/api/src/keys"));
  await vi.waitFor(
    async () => {
      await writeFile(path.join(root, "apps/api/src/keys/read.ts"), `${Math.random()}`);
      expect(seen).toContain("apps/api/src/keys/read.ts");
    },
    { timeout: 5_000, interval: 200 },
  );
});

test("tests, installed packages and files that are no source are left out", async () => {
  await writeFile(path.join(root, "apps/api/src/main.test.ts"), "1");
  await writeFile(path.join(root, "apps/api/node_modules/x/index.ts"), "1");
  await writeFile(path.join(root, "apps/api/src/README.md"), "1");
  await writeFile(path.join(root, "apps/api/src/last.ts"), "1");
  await noticed("apps/api/src/last.ts");
  expect(seen).toEqual(["apps/api/src/last.ts"]);
});
