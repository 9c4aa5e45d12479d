import { Expectations } from "./expectations.ts";

/** The functions that a module exports: a domain's verbs, or what other domains call inside of their transactions. */
type Functions<Module> = {
  [Name in keyof Module as Module[Name] extends (...args: never[]) => unknown ? Name : never]: Module[Name];
};
type NameIn<Module> = keyof Functions<Module> & string;
type ArgumentsOf<Verb> = Verb extends (...args: infer Args) => unknown ? Args : never;
type AnswerOf<Verb> = Verb extends (...args: never[]) => infer Answer ? Answer : never;

/** Stands in for a module of another domain. Its types are the module's, so it cannot drift from it. */
export interface Double<Module, Name extends NameIn<Module>> {
  /** What replaces the module: `vi.mock("…", () => double.module)`. */
  readonly module: Pick<Functions<Module>, Name>;
  /** How a function answers, and how often it must be called: exactly `times`, or at least once. */
  expects<One extends Name>(
    name: One,
    answer: (...args: ArgumentsOf<Module[One]>) => AnswerOf<Module[One]>,
    times?: number,
  ): void;
  /** The arguments of each call. */
  callsOf<One extends Name>(name: One): readonly ArgumentsOf<Module[One]>[];
  /** After each test. @throws DoubleError for calls that nobody expected, and for expected ones that did not come */
  verify(): void;
}

/**
 * A double of some functions of a module, for tests of what one domain asks of another: what it was called with, how
 * often, and that nothing else was. A function that the test did not expect throws when it is called.
 *
 *     const emails = createDouble<typeof import("../emails/queueEmail.ts")>("emails", ["queueEmail"]);
 */
export function createDouble<Module, const Name extends NameIn<Module> = NameIn<Module>>(
  owner: string,
  names: readonly Name[],
): Double<Module, Name> {
  const expectations = new Expectations(owner);
  const entries = names.map((name) => [name, (...args: unknown[]) => expectations.call(name, args, args)] as const);
  return {
    module: Object.fromEntries(entries) as Pick<Functions<Module>, Name>,
    expects: (name, answer, times) => expectations.expect(name, times, answer as (...args: never[]) => unknown),
    callsOf: (name) => expectations.callsOf(name) as never,
    verify: () => expectations.verify(),
  };
}
