import type { WireMessage } from "./wireMessages.ts";
import { readTexts } from "./wireMessages.ts";

/** Knows which statement a client's message runs, in the simple protocol and in the extended one. */
export class StatementTracker {
  readonly #statements = new Map<string, string>();
  readonly #portals = new Map<string, string>();

  /** The text that this message makes the server run; undefined if it runs nothing. */
  note(message: WireMessage): string | undefined {
    switch (message.type) {
      case "Q":
        return readTexts(message, 1)[0];
      case "P": {
        const [name = "", text = ""] = readTexts(message, 2);
        this.#statements.set(name, text);
        return undefined;
      }
      case "B": {
        const [portal = "", name = ""] = readTexts(message, 2);
        this.#portals.set(portal, this.#statements.get(name) ?? "");
        return undefined;
      }
      case "E":
        return this.#portals.get(readTexts(message, 1)[0] ?? "");
      default:
        return undefined;
    }
  }
}

/** Whether a text commits a transaction, alone or among other statements. */
export function isCommit(text: string): boolean {
  return /(?:^|;)\s*(?:commit|end)\s*(?:work|transaction)?\s*(?:;|$)/i.test(text);
}
