/** Something that was to be reached. */
export interface Goal {
  readonly what: string;
  readonly goal: string;
  readonly seen: string;
  /** Undefined when it cannot be judged: something else had the core. */
  readonly isReached: boolean | undefined;
}

/** What one part of the benchmark has to say. */
export interface Section {
  readonly title: string;
  /** How it was measured. */
  readonly about: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly goals: readonly Goal[];
  readonly notes: readonly string[];
}

/** A section as Markdown, which is also what the terminal shows: its tables are aligned. */
export function renderSection(section: Section, measuredAt: string): string {
  const parts = [`## ${section.title}`, `${section.about} Measured ${measuredAt}.`];
  parts.push(renderTable(section.columns, section.rows));
  if (section.goals.length > 0) {
    const rows = section.goals.map((goal) => [goal.what, goal.goal, goal.seen, describeVerdict(goal.isReached)]);
    parts.push(renderTable(["goal", "wanted", "seen", "reached"], rows));
  }
  if (section.notes.length > 0) parts.push(section.notes.map((note) => `- ${note}`).join("\n"));
  return `${parts.join("\n\n")}\n`;
}

function describeVerdict(isReached: boolean | undefined): string {
  if (isReached === undefined) return "not judged";
  return isReached ? "yes" : "**no**";
}

const OTHERS_MAX = 0.1;

/** A verdict that is withheld when the server did not have its core for itself. */
export function judge(isReached: boolean, othersOnCore: readonly (number | undefined)[]): boolean | undefined {
  const known = othersOnCore.filter((share) => share !== undefined);
  return known.some((share) => share > OTHERS_MAX) ? undefined : isReached;
}

function renderTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, index) =>
    Math.max(column.length, 3, ...rows.map((row) => (row[index] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, index) => pad(cells[index] ?? "", width, index)).join(" | ")} |`;
  const rule = `|${widths.map((width, index) => (index === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(columns), rule, ...rows.map(line)].join("\n");
}

const pad = (text: string, width: number, index: number): string =>
  index === 0 ? text.padEnd(width) : text.padStart(width);
