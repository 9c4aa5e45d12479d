import type { Writable } from "node:stream";
import { prettyFactory } from "pino-pretty";

/** What the launcher shows: its own progress, and the programs' logs under their names. */
export interface LogView {
  progress(line: string): void;
  line(name: string, line: string): void;
  text(block: string): void;
}

const NAME_WIDTH = 10;
const COLORS = [36, 35, 34, 33, 32, 96, 95, 94];

/** Colors only where a terminal shows them and NO_COLOR (no-color.org) does not forbid them. */
export function createLogView(output: Writable & { isTTY?: boolean }): LogView {
  const { NO_COLOR = "" } = process.env;
  const isColored = output.isTTY === true && NO_COLOR === "";
  const paint = (color: number, text: string): string => (isColored ? `\u001b[${color}m${text}\u001b[0m` : text);
  const pretty = prettyFactory({
    colorize: isColored,
    singleLine: true,
    ignore: "pid,hostname,name",
    translateTime: "HH:MM:ss.l",
  });
  const colors = new Map<string, number>();
  const colorOf = (name: string): number => {
    const color = colors.get(name) ?? COLORS[colors.size % COLORS.length] ?? 0;
    colors.set(name, color);
    return color;
  };
  return {
    progress: (line) => output.write(`${paint(1, "tollgate".padEnd(NAME_WIDTH))} ${line}\n`),
    line: (name, line) => {
      // Only pino's own lines are JSON; whatever else a program prints is shown as it is.
      const shown = line.startsWith("{") ? pretty(line).trimEnd() : line;
      output.write(`${paint(colorOf(name), name.padEnd(NAME_WIDTH))} ${shown}\n`);
    },
    text: (block) => output.write(block),
  };
}
