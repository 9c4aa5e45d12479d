/** A double was called as nobody said that it would be, or was not called as somebody did. */
export class DoubleError extends Error {
  override readonly name = "DoubleError";
}

interface Expected {
  readonly times: number | undefined;
  readonly answer: (...args: never[]) => unknown;
}

/**
 * What the endpoints of a double are to answer, how often they were called and with what. What goes wrong is thrown where
 * it happens, and kept: the code under test may catch what a collaborator throws, and {@link verify} throws it again.
 */
export class Expectations {
  readonly #owner: string;
  readonly #expected = new Map<string, Expected>();
  readonly #calls = new Map<string, unknown[]>();
  readonly #problems: string[] = [];

  constructor(owner: string) {
    this.#owner = owner;
  }

  /** How an endpoint answers from now on. With `times` it must be called exactly so often, without at least once. */
  expect(endpoint: string, times: number | undefined, answer: (...args: never[]) => unknown): void {
    this.#expected.set(endpoint, { times, answer });
    this.#calls.set(endpoint, []);
  }

  /** Counts a call and answers it. @throws DoubleError for one too many, and for one that nobody expects */
  call(endpoint: string, record: unknown, args: readonly unknown[]): unknown {
    const expected = this.#expected.get(endpoint);
    const calls = this.#calls.get(endpoint) ?? [];
    calls.push(record);
    if (expected === undefined) throw this.fail(`${this.#owner}.${endpoint} was called, and nobody expects it`);
    if (expected.times !== undefined && calls.length > expected.times) {
      throw this.fail(`${this.#owner}.${endpoint} was called more than ${expected.times} times`);
    }
    return expected.answer(...(args as never[]));
  }

  /** What an endpoint was called with since it was last expected to be. */
  callsOf(endpoint: string): readonly unknown[] {
    return this.#calls.get(endpoint) ?? [];
  }

  /** Notes what is wrong, for {@link verify}. */
  fail(problem: string): DoubleError {
    this.#problems.push(problem);
    return new DoubleError(problem);
  }

  /** Ends a test: everything is forgotten. @throws DoubleError that says all that was not as expected */
  verify(): void {
    const missing = [...this.#expected].flatMap(([endpoint, { times }]) => {
      const seen = this.callsOf(endpoint).length;
      if (times === undefined ? seen > 0 : seen >= times) return [];
      return [`${this.#owner}.${endpoint} was called ${seen} times, not ${times ?? "at least 1"}`];
    });
    const problems = [...this.#problems, ...missing];
    this.#expected.clear();
    this.#calls.clear();
    this.#problems.length = 0;
    if (problems.length > 0) throw new DoubleError(problems.join("; "));
  }
}
