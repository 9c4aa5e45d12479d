import { EXAMPLES } from "./product.ts";

const PROGRAMS = [...EXAMPLES, "api", "gateway", "workers"];

/** Which programs run code of a changed file: an app's own file is that app's alone, a package's is everyone's. */
export function programsUsing(files: readonly string[]): Set<string> {
  const programs = new Set<string>();
  for (const file of files) {
    const [area, name] = file.split(/[\\/]/);
    if (area === "packages") {
      if (name !== "testing") for (const program of PROGRAMS) programs.add(program);
    } else if (name !== undefined && PROGRAMS.includes(name)) {
      programs.add(name);
    }
  }
  return programs;
}

/** The program of which a process is an instance: `gateway-2` is a `gateway`. */
export function programOf(processName: string): string {
  return processName.replace(/-\d+$/, "");
}
