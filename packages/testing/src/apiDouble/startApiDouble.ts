import type { IncomingMessage, Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Actor } from "@tollgate/kernel";
import { newId } from "@tollgate/kernel";
import type { AppRouter, RequestContext } from "@tollgate/routers";
import { appRouter, publicProcedure, router } from "@tollgate/routers";
import { createRestHandler, createTrpcHandler, procedureMap } from "@tollgate/routers/http";
import type { AnyTRPCProcedure, inferProcedureInput, inferTransformedProcedureOutput } from "@trpc/server";
import type { z } from "zod";
import { Expectations } from "../doubles/expectations.ts";

type Domains = AppRouter["_def"]["record"];
/** `keys.generate`, as clients call it. */
export type ProcedurePath = {
  [Domain in keyof Domains & string]: `${Domain}.${keyof Domains[Domain] & string}`;
}[keyof Domains & string];
type ProcedureAt<Path extends ProcedurePath> = Path extends `${infer Domain}.${infer Name}`
  ? Domain extends keyof Domains
    ? Name extends keyof Domains[Domain]
      ? Extract<Domains[Domain][Name], AnyTRPCProcedure>
      : never
    : never
  : never;
/** As clients send it. */
type InputOf<Path extends ProcedurePath> = inferProcedureInput<ProcedureAt<Path>>;
type OutputOf<Path extends ProcedurePath> = inferTransformedProcedureOutput<AppRouter, ProcedureAt<Path>>;

/** A control plane that answers what a test says, over HTTP, to whatever speaks to it. */
export interface ApiDouble {
  readonly url: string;
  /** How a procedure answers; throw a TollgateError for a refusal. It must be called exactly `times`, or at least once. */
  expects<Path extends ProcedurePath>(
    path: Path,
    answer: (input: InputOf<Path>) => OutputOf<Path> | Promise<OutputOf<Path>>,
    times?: number,
  ): void;
  /** What each call sent, if the real schema took it, and the token that came with it. */
  callsOf<Path extends ProcedurePath>(path: Path): readonly ApiDoubleCall<InputOf<Path>>[];
  /** After each test. @throws DoubleError for calls that nobody expected, and for expected ones that did not come */
  verify(): void;
  close(): Promise<void>;
}

export interface ApiDoubleCall<Input> {
  readonly sent: Input;
  readonly token: string | undefined;
}

interface DoubleContext extends RequestContext {
  readonly token: string | undefined;
  readonly sent?: unknown;
}

const ANONYMOUS: Actor = { kind: "anonymous" };

/**
 * The product's own procedures over the product's own HTTP, with the verbs replaced: paths, methods, input and output
 * schemas, and the shape of every error are those of the real thing, so a client that works with the double and a
 * contract that changes cannot both be.
 */
export async function startApiDouble(): Promise<ApiDouble> {
  const expectations = new Expectations("api");
  const double = doubleOf(expectations);
  const createContext = (request: IncomingMessage): DoubleContext => {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    const known = {
      actor: ANONYMOUS,
      requestId: newId("request"),
      token,
      authenticate: async () => ANONYMOUS,
      settings: { maintenance: false } as DoubleContext["settings"],
    };
    // Procedures without a verb behind them ask for nothing else.
    return known as Partial<DoubleContext> as DoubleContext;
  };
  const trpc = createTrpcHandler({ router: double, prefix: "/trpc/", createContext });
  const rest = createRestHandler({ router: double, prefix: "/rest/", createContext });
  const server = createServer((request, response) => {
    if (request.url?.startsWith("/trpc/")) trpc(request, response);
    else rest(request, response);
  });
  const url = await listen(server);
  return {
    url,
    expects: (path, answer, times) => expectations.expect(path, times, answer as (...args: never[]) => unknown),
    callsOf: (path) => expectations.callsOf(path) as never,
    verify: () => expectations.verify(),
    close: () => close(server),
  };
}

interface Definition {
  readonly type: "query" | "mutation" | "subscription";
  readonly inputs: readonly z.ZodType[];
  readonly output?: z.ZodType;
}

function doubleOf(expectations: Expectations) {
  const domains: Record<string, Record<string, AnyTRPCProcedure>> = {};
  for (const [path, procedure] of procedureMap(appRouter)) {
    const [domain = "", ...name] = path.split(".");
    domains[domain] ??= {};
    domains[domain][name.join(".")] = doubleOfProcedure(expectations, path, procedure);
  }
  return router(Object.fromEntries(Object.entries(domains).map(([name, procedures]) => [name, router(procedures)])));
}

function doubleOfProcedure(expectations: Expectations, path: string, procedure: AnyTRPCProcedure): AnyTRPCProcedure {
  const { type, inputs, output } = procedure._def as unknown as Definition;
  const answer = ({ ctx }: { readonly ctx: RequestContext }): unknown => {
    const { sent, token } = ctx as DoubleContext;
    return expectations.call(path, { sent, token }, [sent]);
  };
  // What was sent is what the test is about; that the schema takes it is checked after.
  const remembering = publicProcedure.use(async ({ getRawInput, next }) =>
    next({ ctx: { sent: await getRawInput() } }),
  );
  let builder = remembering as never as Builder;
  for (const input of inputs) builder = builder.input(input);
  if (output !== undefined) builder = builder.output(output);
  if (type === "subscription") {
    return builder.subscription(async function* (options) {
      yield* (await answer(options)) as AsyncIterable<unknown>;
    });
  }
  return type === "query" ? builder.query(answer) : builder.mutation(answer);
}

/** The part of tRPC's builder that is used here; its own type grows with every input that it is given. */
interface Builder {
  input(schema: z.ZodType): Builder;
  output(schema: z.ZodType): Builder;
  query(answer: (options: { readonly ctx: RequestContext }) => unknown): AnyTRPCProcedure;
  mutation(answer: (options: { readonly ctx: RequestContext }) => unknown): AnyTRPCProcedure;
  subscription(messages: (options: { readonly ctx: RequestContext }) => AsyncGenerator<unknown>): AnyTRPCProcedure;
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
