import type { QrOptions } from "./options.ts";
import { renderCode } from "./renderCode.ts";

const CODES_MAX = 256;

/** Keeps the codes used last: the same options give the same bytes. */
export class CodeCache {
  readonly #codes = new Map<string, Buffer>();

  /** @throws ParameterError if the code does not fit the wanted size */
  png(options: QrOptions): Buffer {
    const key = JSON.stringify([options.level, options.margin, options.size, options.text]);
    const code = this.#codes.get(key) ?? renderCode(options);
    // A map remembers the order of insertion: putting it in again makes it the youngest.
    this.#codes.delete(key);
    this.#codes.set(key, code);
    if (this.#codes.size > CODES_MAX) {
      const [oldest] = this.#codes.keys();
      if (oldest !== undefined) this.#codes.delete(oldest);
    }
    return code;
  }
}
