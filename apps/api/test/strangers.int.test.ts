import { appRouter } from "@tollgate/routers";
import { procedureMap } from "@tollgate/routers/http";
import type { RowChange } from "@tollgate/testing";
import { DatabaseSnapshot } from "@tollgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Answer, RestAnswer } from "./callRest.ts";
import { callRest } from "./callRest.ts";
import { deriveInput, idFieldsOf } from "./deriveInput.ts";
import type { Caller, Expectation } from "./expectations.ts";
import { CALLERS, EXPECTATIONS, OUTSIDERS } from "./expectations.ts";
import type { Person, Tenant } from "./tenant.ts";
import { createOperator, createTenant, openIncident, publishWeather, signIn } from "./tenant.ts";
import type { TestApi } from "./testApi.ts";
import { startTestApi } from "./testApi.ts";

/**
 * One table over every procedure and every kind of caller: each gets the answer that the table says, a refused call
 * changes nothing, and nobody learns or changes anything of a tenant that is not theirs. Every call starts from the same
 * database.
 */
/** Whole tenants, on a machine that may be busy. */
const PREPARING_MS = 300_000;

let api: TestApi;
let snapshot: DatabaseSnapshot;
let tokens: Readonly<Record<Caller, string | undefined>>;
let victim: Tenant;
let stranger: Tenant;
/** Ids (ours, and those of Stripe) and addresses of the victim. What contains one of them is the victim's, or tells of the victim. */
let marks: ReadonlySet<string>;

const MARK = /\b[a-z]{2,4}_[0-9A-Za-z]{22,24}\b|[\w.-]+@victim\.test\b/g;
const marksIn = (text: string): string[] => (text.match(MARK) ?? []).filter((mark) => marks.has(mark));

beforeAll(async () => {
  api = await startTestApi();
  const operator = await createOperator(api);
  const endpointId = await publishWeather(api);
  const incidentId = await openIncident(api, operator);
  stranger = await createTenant(api, "stranger", { operator, endpointId, incidentId });
  const before = await DatabaseSnapshot.take(api.databaseUrl);
  const others = new Set(before.texts.flatMap((text) => text.match(MARK) ?? []));
  await before.close();
  victim = await createTenant(api, "victim", { operator, endpointId, incidentId });
  tokens = await issueTokens(operator);
  snapshot = await DatabaseSnapshot.take(api.databaseUrl);
  const all = new Set(snapshot.texts.flatMap((text) => text.match(MARK) ?? []));
  for (const other of [...others, ...(await marksOfNobody())]) all.delete(other);
  marks = all;
}, PREPARING_MS);
afterAll(async () => {
  await snapshot.close();
  await api.close();
});

async function issueTokens(operator: Person): Promise<Record<Caller, string | undefined>> {
  const { owner, admin, developer, billing, viewer, neighbour, banned } = victim.people;
  const roles = { owner, admin, developer, billing, viewer, neighbour, banned };
  const [header, payload] = owner.token.split(".");
  const [, , signature] = viewer.token.split(".");
  return {
    ...(Object.fromEntries(Object.entries(roles).map(([name, { token }]) => [name, token])) as Record<Caller, string>),
    "no token": undefined,
    "wrong token": [header, payload, signature].join("."),
    "expired token": victim.expiredToken,
    // The tokens of before have expired meanwhile.
    stranger: (await signIn(api, stranger.people.owner)).token,
    operator: (await signIn(api, operator)).token,
    service: api.serviceToken,
  };
}

/** Ids in rows that came with the victim and are of others: the sessions in which the stranger and the operator call. */
async function marksOfNobody(): Promise<string[]> {
  const rows = await api.database.sql<{ id: string }[]>`
    select s.id from sessions s join customers c on c.id = s.customer_id where c.email not like '%@victim.test'`;
  return rows.map((row) => row.id);
}

const procedures = procedureMap(appRouter);

interface Row {
  readonly procedure: string;
  readonly expectation: Expectation;
  readonly title: string;
}

const rows: readonly Row[] = Object.entries(EXPECTATIONS).flatMap(([procedure, expected]) =>
  [expected].flat().map((expectation: Expectation) => ({
    procedure,
    expectation,
    title: expectation.variant === undefined ? procedure : `${procedure} (${expectation.variant})`,
  })),
);

/** The input with the ids of some tenant, and what the row wants otherwise. */
function inputOf(procedure: string, expectation: Expectation, ids: Tenant["ids"]): Record<string, unknown> | undefined {
  const own = expectation.input?.(victim);
  const derived = expectation.isWholeInput === true ? {} : deriveInput(procedure, ids);
  return own === undefined && derived === undefined ? undefined : { ...derived, ...own };
}

/** Calls, and gives back what was answered and what has changed, with the database as it was before. */
async function callOnce(
  procedure: string,
  input: unknown,
  token: string | undefined,
): Promise<{ readonly answered: RestAnswer; readonly changes: readonly RowChange[] }> {
  const answered = await callRest(api.url, procedure, input, token);
  const changes = await snapshot.changes();
  await snapshot.restore(changes);
  return { answered, changes };
}

const ofVictim = (changes: readonly RowChange[]): RowChange[] =>
  changes.filter(({ before = "", after = "" }) => marksIn(before).length + marksIn(after).length > 0);

/** Marks of the victim in an answer that were not in the question. */
function learned(input: unknown, answered: RestAnswer): string[] {
  const asked = JSON.stringify(input) ?? "";
  return marksIn(answered.text).filter((mark) => !asked.includes(mark));
}

const isRefusal = (answer: Answer): boolean => ["UNAUTHORIZED", "FORBIDDEN", "NOT_FOUND"].includes(answer);

/** What is wrong with one cell, in words; nothing if nothing is. */
function judge(
  expectation: Expectation,
  caller: Caller,
  seen: { readonly input: unknown; readonly answered: RestAnswer; readonly changes: readonly RowChange[] },
): string[] {
  const { input, answered, changes } = seen;
  const problems: string[] = [];
  const wanted = expectation.answers[caller];
  if (answered.answer !== wanted) {
    problems.push(`answered ${answered.answer}, not ${wanted}: ${answered.text.slice(0, 300)}`);
  }
  const isOutsider = OUTSIDERS.includes(caller);
  const told = isOutsider || isRefusal(answered.answer) ? learned(input, answered) : [];
  if (told.length > 0) problems.push(`was told of ${told.join(", ")}`);
  const wrongly =
    isRefusal(answered.answer) && expectation.refusalIsCounted === undefined
      ? changes
      : isOutsider && expectation.reachesVictim === undefined
        ? ofVictim(changes)
        : [];
  if (wrongly.length > 0) problems.push(`changed ${JSON.stringify(wrongly)}`);
  return problems.map((problem) => `${caller} ${problem}`);
}

/** What is wrong with a row. Calls that must change nothing are made together; if something changed, one by one. */
async function judgeRow({ procedure, expectation }: Row): Promise<string[]> {
  const input = inputOf(procedure, expectation, victim.ids);
  const isQuery = procedures.get(procedure)?._def.type === "query";
  const { answers, refusalIsCounted } = expectation;
  const changesNothing = (caller: Caller): boolean =>
    isQuery || (isRefusal(answers[caller]) && refusalIsCounted === undefined);
  const together = CALLERS.filter(changesNothing);
  const answered = await Promise.all(together.map((caller) => callRest(api.url, procedure, input, tokens[caller])));
  const changes = await snapshot.changes();
  await snapshot.restore(changes);
  const problems: string[] = [];
  if (changes.length === 0) {
    for (const [index, answer] of answered.entries()) {
      problems.push(...judge(expectation, together[index] as Caller, { input, answered: answer, changes }));
    }
  }
  for (const caller of CALLERS) {
    if (changes.length === 0 && together.includes(caller)) continue;
    const seen = await callOnce(procedure, input, tokens[caller]);
    problems.push(...judge(expectation, caller, { input, ...seen }));
    if (isQuery && seen.changes.length > 0) problems.push(`${caller} changed something by a query`);
  }
  return problems;
}

it("every procedure has a row in the table, and every row has a procedure", () => {
  expect(Object.keys(EXPECTATIONS).sort()).toEqual([...procedures.keys()].sort());
});

describe("the ids of another tenant", () => {
  it("are told apart from those of everybody else, so that a leak would be seen", () => {
    const { ids, people } = victim;
    const { ep: _, inc: __, ...own } = ids;
    for (const id of [...Object.values(own), people.owner.email, people.owner.customerId]) expect(marks).toContain(id);
    const others = [stranger.people.owner.customerId, ...Object.values(stranger.ids)];
    for (const id of others) expect(marks).not.toContain(id);
  });

  it.each(rows.map((row) => [row.title, row] as const))(
    "%s answers every caller as the table says, and nothing leaks or changes",
    async (_, row) => {
      expect(await judgeRow(row)).toEqual([]);
    },
  );

  /** Inputs that are the stranger's own but for some of their ids. */
  const mixed = rows.flatMap((row) => {
    const fields = [...idFieldsOf(row.procedure).keys()];
    if (fields.length < 2 || row.expectation.isWholeInput === true) return [];
    const subsets = Array.from({ length: 2 ** fields.length - 2 }, (_, index) =>
      fields.filter((_, bit) => (((index + 1) >> bit) & 1) === 1),
    );
    return subsets.map((foreign) => [row.title, foreign.join(" and "), { ...row, foreign }] as const);
  });

  it.each(mixed)("%s gives nothing for the %s of another tenant among one's own", async (_, __, row) => {
    const { procedure, expectation, foreign } = row;
    const prefixes = idFieldsOf(procedure);
    const input = {
      ...inputOf(procedure, expectation, stranger.ids),
      ...Object.fromEntries(foreign.map((field) => [field, victim.ids[prefixes.get(field) ?? ""]])),
    };
    const { answered, changes } = await callOnce(procedure, input, tokens.stranger);
    const isForOthers = expectation.answers.stranger === "FORBIDDEN";
    expect(isForOthers ? ["FORBIDDEN"] : ["OK", "NOT_FOUND"]).toContain(answered.answer);
    expect(learned(input, answered)).toEqual([]);
    expect(ofVictim(changes)).toEqual([]);
  });
});
