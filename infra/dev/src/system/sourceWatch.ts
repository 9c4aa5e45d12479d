import type { FSWatcher } from "node:fs";
import { readdirSync, watch } from "node:fs";
import path from "node:path";

/**
 * Tells which source files changed. Every directory has a watch of its own, which also sees files that an editor replaces
 * by renaming (a watch on a file would be lost then) and leaves out what is installed or generated.
 */
const IGNORED = new Set(["node_modules", "dist", "coverage", "fixtures", "test"]);
const QUIET_MS = 150;

const isIgnored = (entry: string): boolean => entry.startsWith(".") || IGNORED.has(entry);
const isSource = (file: string): boolean => /\.(ts|json|sql)$/.test(file) && !/\.test\.ts$/.test(file);

/** Calls back with the paths, relative to the root, that changed in one burst. Returns what ends the watch. */
export function watchSources(root: string, roots: readonly string[], onChange: (files: string[]) => void): () => void {
  const watchers = new Map<string, FSWatcher>();
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const note = (file: string): void => {
    changed.add(file);
    clearTimeout(timer);
    timer = setTimeout(() => {
      const files = [...changed];
      changed.clear();
      onChange(files);
    }, QUIET_MS);
  };

  const forget = (dir: string): void => {
    watchers.get(dir)?.close();
    watchers.delete(dir);
  };

  const observe = (dir: string): void => {
    if (watchers.has(dir)) return;
    try {
      const watcher = watch(path.join(root, dir), (event, entry) => {
        if (entry === null || isIgnored(entry)) return;
        const file = path.join(dir, entry);
        if (isSource(entry)) note(file);
        else if (event === "rename") observe(file);
      });
      watcher.on("error", () => forget(dir));
      watchers.set(dir, watcher);
      for (const entry of readdirSync(path.join(root, dir), { withFileTypes: true })) {
        if (entry.isDirectory() && !isIgnored(entry.name)) observe(path.join(dir, entry.name));
      }
    } catch (error) {
      forget(dir);
      // Not a directory, or gone again already: nothing to watch.
      if (!["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
  };

  for (const dir of roots) observe(dir);
  return () => {
    clearTimeout(timer);
    for (const dir of [...watchers.keys()]) forget(dir);
  };
}
