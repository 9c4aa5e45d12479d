import type { ErrorCode, FieldIssue } from "@tollgate/kernel";
import type { ErrorShape, ProcedureMeta } from "@tollgate/routers";
import { appRouter } from "@tollgate/routers";
import { procedureMap } from "@tollgate/routers/http";
import type { HostileInput } from "@tollgate/testing";
import { DatabaseSnapshot, hostileInputs, hostileJson } from "@tollgate/testing";
import superjson from "superjson";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { postRest, problemOf } from "./callRest.ts";
import { deriveInput, documentsOf, fieldsOf } from "./deriveInput.ts";
import type { Expectation } from "./expectations.ts";
import { EXPECTATIONS } from "./expectations.ts";
import type { Person, Tenant } from "./tenant.ts";
import { createOperator, createTenant, openIncident, publishWeather, signIn } from "./tenant.ts";
import type { TestApi } from "./testApi.ts";
import { startTestApi } from "./testApi.ts";

/**
 * Every field of every procedure with what nobody means well: whatever comes is answered, never by a fault of ours, and a
 * refused input is told by the name of its field. Called by somebody who may, so that it is the input that is refused.
 */
const SEED = 20_260_115;
const RANDOM_INPUTS = 10;
const INPUTS_MAX = 250;
const AT_ONCE = 8;
/** A batch of queries is one line of an HTTP request, of which node takes 16 KiB. */
const QUERY_CHARACTERS_MAX = 12_000;
const BATCH_CHARACTERS_MAX = 200_000;
const BATCH_CALLS_MAX = 50;

/** Whole tenants, on a machine that may be busy. */
const PREPARING_MS = 300_000;

let api: TestApi;
let tenant: Tenant;
let operator: Person;
let snapshot: DatabaseSnapshot;

beforeAll(async () => {
  api = await startTestApi();
  operator = await createOperator(api);
  const endpointId = await publishWeather(api);
  const world = { operator, endpointId, incidentId: await openIncident(api, operator) };
  tenant = await createTenant(api, "tenant", world);
  operator = await signIn(api, world.operator);
  snapshot = await DatabaseSnapshot.take(api.databaseUrl);
}, PREPARING_MS);
afterAll(async () => {
  await snapshot.close();
  await api.close();
});

const procedures = procedureMap(appRouter);
const withInput = [...procedures.keys()].filter((procedure) => fieldsOf(procedure).length > 0);

/** Somebody whom the procedure is for. */
function tokenFor(procedure: string): string | undefined {
  const meta = procedures.get(procedure)?._def.meta as ProcedureMeta | undefined;
  const caller = meta?.caller ?? "public";
  switch (caller) {
    case "public":
      return undefined;
    case "admin":
      return operator.token;
    case "service":
    case "admin or service":
      return api.serviceToken;
    case "authenticated":
    case "customer":
      return tenant.people.owner.token;
  }
}

function validInput(procedure: string): Record<string, unknown> {
  const [expectation] = [EXPECTATIONS[procedure] ?? []].flat() as Expectation[];
  const derived = expectation?.isWholeInput === true ? {} : deriveInput(procedure, tenant.ids);
  return { ...derived, ...expectation?.input?.(tenant) };
}

function hostileInputsOf(procedure: string, hasTypedValues: boolean): HostileInput[] {
  const input = validInput(procedure);
  return hostileInputs({
    input,
    optionalFields: fieldsOf(procedure).filter((field) => input[field] === undefined),
    documents: documentsOf(procedure),
    hasTypedValues,
    // Where not all of them are tried, the other transport tries others.
    seed: hasTypedValues ? SEED + 1 : SEED,
    randomInputs: RANDOM_INPUTS,
    inputsMax: INPUTS_MAX,
  });
}

/** How a call ended, whatever it was made over. */
interface Ending {
  readonly code: ErrorCode | "OK";
  readonly status: number;
  readonly reason: string;
  readonly issues: readonly FieldIssue[];
}

const OK: Ending = { code: "OK", status: 200, reason: "", issues: [] };

async function endOverRest(procedure: string, { value }: HostileInput, token: string | undefined): Promise<Ending> {
  const answered = await postRest(api.url, procedure, hostileJson(value), token);
  if (answered.answer === "OK") return OK;
  const { code: reason, issues = [] } = problemOf(answered);
  return { code: answered.answer, status: answered.status, reason, issues };
}

/** Calls of a procedure in one request, as the typed client makes them. */
async function endOverTrpc(procedure: string, batch: readonly string[], token: string | undefined): Promise<Ending[]> {
  const inputs = `{${batch.map((input, index) => `"${index}":${input}`).join(",")}}`;
  const paths = batch.map(() => procedure).join(",");
  const isQuery = procedures.get(procedure)?._def.type === "query";
  const query = isQuery ? `&input=${encodeURIComponent(inputs)}` : "";
  const response = await fetch(`${api.url}/trpc/${paths}?batch=1${query}`, {
    method: isQuery ? "GET" : "POST",
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(isQuery ? {} : { body: inputs }),
  });
  const text = await response.text();
  if (!text.startsWith("[")) throw new Error(`${procedure} answered ${response.status}: ${text.slice(0, 500)}`);
  const answers = JSON.parse(text) as { error?: { json: ErrorShape } }[];
  if (answers.length !== batch.length) throw new Error(`${procedure} answered ${answers.length} of ${batch.length}`);
  return answers.map(({ error }) => {
    if (error === undefined) return OK;
    const { code, httpStatus, reason, issues = [] } = error.json.data;
    return { code, status: httpStatus, reason, issues };
  });
}

/** Whether an issue is about a field, about something in it, or about what it is in. */
function isAbout(issue: FieldIssue, path: string): boolean {
  return issue.path === path || issue.path.startsWith(`${path}.`) || path.startsWith(`${issue.path}.`);
}

/** What is wrong with how a call ended, in words; undefined if nothing is. */
function judge(procedure: string, hostile: HostileInput, ending: Ending): string | undefined {
  const { path, deed } = hostile;
  const about = `${path === "" ? "the input" : path}: ${deed} (seed ${SEED})`;
  const seen = `${ending.status} ${ending.reason} ${JSON.stringify(ending.issues)}`;
  if (ending.status >= 500) return `${about} is a fault of ours: ${seen}`;
  if (ending.code !== "BAD_REQUEST") return undefined;
  if (ending.issues.length === 0) return `${about} is refused without saying which field: ${seen}`;
  const named = ending.issues.every((issue) => issue.path !== "");
  // Only something that has no fields at all has no field to be named.
  const { value } = hostile;
  const hasFields = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!named && hasFields) return `${about} is refused without a name: ${seen}`;
  const fields = fieldsOf(procedure);
  const isKnown = (issue: FieldIssue): boolean => fields.includes(issue.path.split(".", 1)[0] ?? "");
  // Some rules span several fields, and name another one of them.
  const isRight = path === "" || ending.issues.some((issue) => isAbout(issue, path)) || ending.issues.every(isKnown);
  return isRight ? undefined : `${about} is refused for something else: ${seen}`;
}

/** What a client sends that has no annotations to make, or superjson's own. */
const superjsonOf = ({ value, isTyped }: HostileInput): string =>
  isTyped ? JSON.stringify(superjson.serialize(value)) : `{"json":${hostileJson(value)}}`;

/** Inputs in groups that one request can hold. */
function toBatches(inputs: readonly string[], charactersMax: number): string[][] {
  const batches: string[][] = [];
  let characters = Number.POSITIVE_INFINITY;
  for (const input of inputs) {
    const size = encodeURIComponent(input).length + 60;
    const isFull = characters + size > charactersMax || (batches.at(-1)?.length ?? 0) >= BATCH_CALLS_MAX;
    if (isFull) batches.push([]);
    characters = isFull ? size : characters + size;
    batches.at(-1)?.push(input);
  }
  return batches;
}

async function restore(): Promise<void> {
  await snapshot.restore(await snapshot.changes());
}

describe("over REST", () => {
  it.each(withInput)("%s refuses what it cannot take by the name of the field, and has no fault", async (procedure) => {
    const token = tokenFor(procedure);
    const inputs = hostileInputsOf(procedure, false);
    const problems: string[] = [];
    for (let start = 0; start < inputs.length; start += AT_ONCE) {
      const some = inputs.slice(start, start + AT_ONCE);
      const endings = await Promise.all(some.map((input) => endOverRest(procedure, input, token)));
      for (const [index, ending] of endings.entries()) {
        const problem = judge(procedure, some[index] as HostileInput, ending);
        if (problem !== undefined) problems.push(problem);
      }
    }
    await restore();
    expect(problems).toEqual([]);
  });
});

/** A subscription takes its input as the queries do, and cannot be in a batch. */
const inBatches = withInput.filter((procedure) => procedures.get(procedure)?._def.type !== "subscription");

describe("over tRPC", () => {
  it.each(inBatches)("%s refuses what it cannot take by the name of the field, and has no fault", async (procedure) => {
    const token = tokenFor(procedure);
    const isQuery = procedures.get(procedure)?._def.type === "query";
    const charactersMax = isQuery ? QUERY_CHARACTERS_MAX : BATCH_CHARACTERS_MAX;
    const inputs = hostileInputsOf(procedure, true)
      .map((hostile) => ({ hostile, text: superjsonOf(hostile) }))
      .filter(({ text }) => encodeURIComponent(text).length < charactersMax);
    const problems: string[] = [];
    let done = 0;
    for (const batch of toBatches(
      inputs.map(({ text }) => text),
      charactersMax,
    )) {
      for (const ending of await endOverTrpc(procedure, batch, token)) {
        const problem = judge(procedure, inputs[done++]?.hostile as HostileInput, ending);
        if (problem !== undefined) problems.push(problem);
      }
    }
    await restore();
    expect(done).toBe(inputs.length);
    expect(problems).toEqual([]);
  });
});
