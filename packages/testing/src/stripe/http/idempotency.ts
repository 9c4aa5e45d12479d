import { createHash } from "node:crypto";
import { ApiError } from "./apiError.ts";

export interface Answer {
  readonly status: number;
  readonly body: object;
}

interface Kept {
  readonly fingerprint: string;
  answer: Answer | undefined;
}

/**
 * Answers by idempotency key (https://docs.stripe.com/api/idempotent_requests): the same key with the same request gets
 * the first answer again, with another request an error, and while the first is under way a conflict. A request that was
 * refused before anything happened leaves the key free.
 */
export class IdempotencyKeys {
  readonly #kept = new Map<string, Kept>();

  /** @returns the first answer, or undefined when the request is the first of its key */
  begin(
    key: string,
    request: { readonly method: string; readonly path: string; readonly body: string },
  ): Answer | undefined {
    const fingerprint = createHash("sha256").update(`${request.method} ${request.path}\n${request.body}`).digest("hex");
    const kept = this.#kept.get(key);
    if (kept === undefined) {
      this.#kept.set(key, { fingerprint, answer: undefined });
      return undefined;
    }
    if (kept.fingerprint !== fingerprint) {
      throw new ApiError(
        400,
        "idempotency_error",
        `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
      );
    }
    if (kept.answer === undefined) {
      throw new ApiError(
        409,
        "idempotency_error",
        "There is currently another in-progress request using this Idempotent Key.",
        { code: "idempotency_key_in_use" },
      );
    }
    return kept.answer;
  }

  finish(key: string, answer: Answer): void {
    const kept = this.#kept.get(key);
    if (kept !== undefined) kept.answer = answer;
  }

  forget(key: string): void {
    this.#kept.delete(key);
  }
}
