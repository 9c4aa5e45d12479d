/** A metric as a process shows it (Prometheus' text format). */
export interface Metric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** Values of its labels, of every series. */
  readonly labelValues: readonly string[];
  /** Names of its series: a histogram has three. */
  readonly series: ReadonlySet<string>;
}

/** Reads `/metrics` of a process. */
export async function readMetrics(url: string): Promise<readonly Metric[]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const metrics = new Map<string, { type: string; help: string; labelValues: string[]; series: Set<string> }>();
  let current = { type: "", help: "", labelValues: [] as string[], series: new Set<string>() };
  for (const line of text.split("\n").filter((line) => line !== "")) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === "HELP") {
      current = { type: "", help: rest, labelValues: [], series: new Set() };
      metrics.set(name, current);
    } else if (kind === "TYPE") current.type = rest;
    else {
      current.series.add(/^[^{\s]+/.exec(line)?.[0] ?? "");
      current.labelValues.push(...[...line.matchAll(/="((?:[^"\\]|\\.)*)"/g)].map(([, value]) => value ?? ""));
    }
  }
  return [...metrics].map(([name, rest]) => ({ name, ...rest }));
}

/**
 * What is wrong with a metric by Prometheus' conventions (https://prometheus.io/docs/practices/naming): names in snake case
 * with the product's prefix, base units last, `_total` for what only grows, a word of help, and no label that has a value
 * for each record.
 */
export function faultsOf({ name, type, help, labelValues }: Metric): readonly string[] {
  const faults: string[] = [];
  const fault = (isWrong: boolean, text: string): void => void (isWrong && faults.push(`${name} ${text}`));
  fault(!/^tollgate(?:_[a-z][a-z0-9]*)+$/.test(name), "is not tollgate_… in small letters");
  fault((type === "counter") !== name.endsWith("_total"), `is a ${type}: _total is for counters, and for all of them`);
  fault(/_(?:ms|milliseconds|micros|minutes|hours|kb|mb|percent)(?:_|$)/.test(name), "is not in a base unit");
  fault(type === "histogram" && !/_(?:seconds|bytes)$/.test(name), "does not say its unit");
  fault(!/^[A-Z0-9].{8,}/.test(help), "does not say what it is");
  fault(
    labelValues.some((value) => /^[a-z]{2,4}_[A-Za-z0-9]{16,}$/.test(value)),
    "has a series for each record",
  );
  return faults;
}
