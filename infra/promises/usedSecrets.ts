import { readdir, readFile } from "node:fs/promises";
import path from "node:path";

/** What must not be in a log whoever it belongs to: addresses of people, keys, tokens, secrets of webhooks. */
const SHAPES: Readonly<Record<string, RegExp>> = {
  "an address": /[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}/i,
  "a key": /tg_(?:live|test)_[0-9A-Za-z]{20,}/,
  "a token": /eyJ[\w-]{8,}\.[\w-]{8,}/,
  "a secret of a webhook": /whsec_[0-9A-Za-z+/=]{16,}/,
};
/** Of a long secret its end is as good as the whole: what is shown of keys on purpose is their beginning. */
const END_CHARACTERS = 16;

/** The secrets and the personal data of one run, each under what it is. */
export class UsedSecrets {
  readonly #values = new Map<string, string>();

  /** @returns the value, for whoever uses it. @throws Error when it is too short to be told from other text */
  keep(what: string, value: unknown): string {
    if (typeof value !== "string" || value.length < 8) throw new Error(`No ${what}: ${JSON.stringify(value)}`);
    this.#values.set(value, what);
    return value;
  }

  get count(): number {
    return this.#values.size;
  }

  /** What stands in the text and must not, each once: as it is, in a URL, in JSON, or as credentials of the kind Basic. */
  findIn(text: string): readonly string[] {
    const found = new Set<string>();
    for (const [value, what] of this.#values) {
      const isThere = writtenForms(value).some((form) => text.includes(form));
      if (isThere) found.add(what);
    }
    for (const [what, shape] of Object.entries(SHAPES)) {
      const line = text.split("\n").find((line) => shape.test(line));
      if (line !== undefined) found.add(`${what}: ${line.slice(0, 400)}`);
    }
    return [...found];
  }
}

function writtenForms(value: string): readonly string[] {
  const quoted = JSON.stringify(value).slice(1, -1);
  const basic = Buffer.from(`anything:${value}`).toString("base64").slice(12).replace(/=+$/, "");
  const ends = value.length >= 2 * END_CHARACTERS ? [value.slice(-END_CHARACTERS)] : [];
  return [value, encodeURIComponent(value), quoted, basic, ...ends];
}

/** Everything that the programs of a system have written, by the name of the program. */
export async function readLogs(dir: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const logs = path.join(dir, "logs");
  const files = (await readdir(logs)).filter((file) => names.some((name) => file.startsWith(name)));
  const texts = files.map(async (file) => [path.basename(file, ".log"), await readFile(path.join(logs, file), "utf8")]);
  return new Map((await Promise.all(texts)) as [string, string][]);
}

/** The variables of a program's environment that are secrets, as the launcher has written them down. */
export async function readSecretVariables(dir: string, program: string): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(path.join(dir, "env", `${program}.env`), "utf8");
  const variables = [...text.matchAll(/^(\w+)="(.*)"$/gm)].flatMap(([, name, value]) =>
    name !== undefined && value !== undefined && /_(?:SECRET|KEY|TOKEN|TOKENS)$/.test(name)
      ? [[name, value.replace(/^examples=/, "")] as const]
      : [],
  );
  return new Map(variables);
}
