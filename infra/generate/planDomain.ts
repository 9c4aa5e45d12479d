import type { DomainNames } from "./domainNames.ts";
import { contracts } from "./templates/contracts.ts";
import { router } from "./templates/router.ts";
import { schema } from "./templates/schema.ts";
import { createVerb, index, internal, listVerb, verbsTest } from "./templates/services.ts";

/** What is written for a domain: new files, and lines in files that are there. */
export interface DomainPlan {
  /** Path from the root → content. */
  readonly files: Readonly<Record<string, string>>;
  /** Path from the root → how its text changes. */
  readonly wiring: Readonly<Record<string, (text: string) => string>>;
}

/** The files and the wiring of a new domain, the same way every time. */
export function planDomain(names: DomainNames): DomainPlan {
  const { domain, Domain, record, Record, prefix } = names;
  const services = `packages/services/src/${domain}`;
  const exported = addLine(/^export \* from /, `export * from "./${domain}.ts";`);
  return {
    files: {
      [`packages/contracts/src/${domain}.ts`]: contracts(names),
      [`packages/db/src/schema/${domain}.ts`]: schema(names),
      [`${services}/create${Record}.ts`]: createVerb(names),
      [`${services}/list${Domain}.ts`]: listVerb(names),
      [`${services}/internal.ts`]: internal(names),
      [`${services}/index.ts`]: index(names),
      [`${services}/${domain}.int.test.ts`]: verbsTest(names),
      [`packages/routers/src/${domain}.ts`]: router(names),
    },
    wiring: {
      "packages/contracts/src/index.ts": exported,
      "packages/contracts/src/events.ts": (text) => addEvent(text, `${domain}Created`, domain),
      "packages/db/src/schema/index.ts": exported,
      "packages/routers/src/appRouter.ts": (text) =>
        addLine(
          /^ {2}\w+: \w+Router,$/,
          `  ${domain}: ${domain}Router,`,
        )(addLine(/^import \{ \w+ \} from "\.\//, `import { ${domain}Router } from "./${domain}.ts";`, /"(.*)"/)(text)),
      "packages/kernel/src/ids.ts": (text) => addIdKind(text, record, prefix),
      "infra/tidy/domains.ts": (text) =>
        text.includes(`"${domain}",`) ? text : addLine(/^ {2}"\w+",$/, `  "${domain}",`)(text),
    },
  };
}

/** Puts a line among its like, in order. @throws Error when there are none, or the line is there */
function addLine(like: RegExp, line: string, key = /(.*)/): (text: string) => string {
  const keyOf = (candidate: string): string => key.exec(candidate)?.[1] ?? candidate;
  return (text) => {
    const lines = text.split("\n");
    if (lines.includes(line)) throw new Error(`"${line.trim()}" is there already`);
    const first = lines.findIndex((candidate) => like.test(candidate));
    if (first === -1) throw new Error(`There is no place for "${line.trim()}"`);
    let at = first;
    while (like.test(lines[at] ?? "") && keyOf(lines[at] ?? "") < keyOf(line)) at += 1;
    lines.splice(at, 0, line);
    return lines.join("\n");
  };
}

/** Takes an event into the catalogue. The formatter puts its import in order. @throws Error when it is there already */
function addEvent(text: string, event: string, domain: string): string {
  const catalogue = /^export const EVENTS = \[\n[\s\S]*?(?=^\] as const;)/m.exec(text)?.[0];
  if (catalogue === undefined) throw new Error("There is no catalogue of events");
  if (catalogue.includes(`  ${event},\n`)) throw new Error(`"${event}" is there already`);
  return `import { ${event} } from "./${domain}.ts";\n${text.replace(catalogue, `${catalogue}  ${event},\n`)}`;
}

function addIdKind(text: string, kind: string, prefix: string): string {
  const table = /(ID_PREFIXES = \{\n)([\s\S]*?)(\} as const;)/.exec(text);
  if (table?.[2] === undefined) throw new Error("There is no table of id prefixes");
  if (new RegExp(`^ {2}${kind}:`, "m").test(table[2])) return text;
  if (table[2].includes(`"${prefix}"`))
    throw new Error(`The id prefix "${prefix}" is taken: give another with --prefix`);
  return text.replace(table[0], `${table[1]}${table[2]}  ${kind}: "${prefix}",\n${table[3]}`);
}
