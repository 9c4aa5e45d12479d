import type { IncomingHttpHeaders } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { deleteTenantDataInput, listDataDeletionsInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { dieWhile } from "../../../test/dyingProcess.ts";
import type { ServiceFixture } from "../../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, OPERATOR, SYSTEM } from "../../../test/serviceFixture.ts";
import type { Outbound } from "../../outbound/index.ts";
import { OutboundClient } from "../../outbound/index.ts";
import { askUpstream, deleteTenantData, eraseUpstreams, listDataDeletions, sweepTenantData } from "./index.ts";
import { RETRY_DELAYS_MS } from "./planDeletion.ts";

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let fixture: ServiceFixture;
let origin: string;
let received: Received[] = [];
/** What each path answers; 204 for others, no answer at all for `hang`. */
const answers = new Map<string, { status: number; headers?: Record<string, string> } | "hang">();
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const path = request.url ?? "";
    received.push({ path, headers: request.headers, body: Buffer.concat(chunks).toString() });
    const answer = answers.get(path) ?? { status: 204 };
    if (answer !== "hang") response.writeHead(answer.status, answer.headers).end();
  });
});
const outbound = new OutboundClient({ allowedNetworks: ["127.0.0.0/8"] });

beforeAll(async () => {
  fixture = await createServiceFixture();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(async () => {
  received = [];
  answers.clear();
  // Every API is asked, so those of the tests before must not be there.
  await fixture.as().db.update(schema.apis).set({ deleteDataUrl: null });
});
afterAll(async () => {
  await outbound.close();
  server.closeAllConnections();
  server.close();
  await fixture.close();
});

let apiCount = 0;

/** A published API that is asked at a path of the test's server, or at another URL. */
async function newApi(place: string | null, status: "published" | "draft" | "removed" = "published"): Promise<string> {
  apiCount += 1;
  const name = `api-${apiCount}`;
  const now = fixture.clock.now();
  await fixture
    .as()
    .db.insert(schema.apis)
    .values({
      ...{ id: newId("api"), name, displayName: name, description: name, category: "data", openapi: {}, status },
      ...{ revision: apiCount, createdAt: now, updatedAt: now },
      deleteDataUrl: place?.startsWith("/") === true ? `${origin}${place}` : place,
    });
  return name;
}

const request = async (projectId: string) =>
  (await deleteTenantData({ ctx: fixture.as(OPERATOR), input: deleteTenantDataInput.parse({ projectId }) })).items;
const list = async (input: Record<string, unknown>) =>
  (await listDataDeletions({ ctx: fixture.as(OPERATOR), input: listDataDeletionsInput.parse(input) })).items;
const ask = (deletionId: string, through: Outbound = outbound) =>
  askUpstream({ ctx: fixture.as(SYSTEM), input: { deletionId }, outbound: through });
const only = async (projectId: string) => {
  const [item, ...more] = await list({ projectId });
  if (item === undefined || more.length > 0) throw new Error("Not exactly one deletion");
  return item;
};
const auditOf = (projectId: string) =>
  fixture.as().db.select().from(schema.auditLog).where(eq(schema.auditLog.subject, projectId));
const eventsAbout = async (projectId: string): Promise<string[]> => {
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.kind, "event"));
  return rows.filter(({ payload }) => payload["projectId"] === projectId).map(({ name }) => name);
};
const ordersOf = async (deletionId: string): Promise<number> => {
  const { outbox } = schema;
  const isOrder = and(eq(outbox.kind, "job"), eq(outbox.name, "admin.delete-tenant-data"));
  const rows = await fixture.as().db.select().from(outbox).where(isOrder);
  return rows.filter(({ payload }) => payload["deletionId"] === deletionId).length;
};

describe("a deletion of a tenant's data", () => {
  it("asks every API that says where, also one that was removed, and none that is a draft, with a token of its own kind", async () => {
    const { id: projectId } = await insertProject(fixture);
    const names = [await newApi("/one"), await newApi("/two", "removed")];
    await newApi(null);
    await newApi("/draft", "draft");
    const items = await request(projectId);
    expect(items.map(({ api, status, cause }) => [api, status, cause])).toEqual(
      names.map((name) => [name, "pending", "operator"]),
    );
    for (const { id } of items) expect(await ask(id)).toBe("done");
    expect(received.map(({ path }) => path)).toEqual(["/one", "/two"]);
    const keys = createLocalJWKSet((await fixture.as().tokenIssuer.getJwks()) as { keys: [] });
    for (const [index, { headers, body }] of received.entries()) {
      const token = headers.authorization?.replace("Bearer ", "") ?? "";
      const audience = names[index] ?? "";
      const checks = { typ: "data-deletion+jwt", audience, currentDate: fixture.clock.now() };
      const { payload } = await jwtVerify(token, keys, checks);
      expect(payload).toMatchObject({ sub: projectId, deletion: items[index]?.id, iss: fixture.settings.publicApiUrl });
      expect(Number(payload.exp) - Number(payload.iat)).toBe(60);
      expect(JSON.parse(body)).toEqual({ projectId, deletionId: items[index]?.id, api: audience });
      await expect(fixture.as().tokenIssuer.verifyAccessToken(token)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    }
    expect((await list({ projectId })).map(({ status }) => status)).toEqual(["done", "done"]);
    expect(await eventsAbout(projectId)).toEqual([
      "admin.tenantDataDeletionRequested",
      "admin.tenantDataDeletionRequested",
      "admin.tenantDataDeleted",
      "admin.tenantDataDeleted",
    ]);
    expect((await auditOf(projectId)).map(({ action }) => action)).toEqual(Array(3).fill("admin.deleteTenantData"));
  });

  it("is asked for twice and is one while it is under way, and another one after that", async () => {
    const { id: projectId } = await insertProject(fixture);
    await newApi("/again");
    const [first] = await request(projectId);
    const [second] = await request(projectId);
    expect(second?.id).toBe(first?.id);
    const both = await Promise.all([ask(first?.id ?? ""), ask(first?.id ?? "")]);
    expect(both.toSorted()).toEqual(["busy", "done"]);
    expect(received).toHaveLength(1);
    const [third] = await request(projectId);
    expect(third?.id).not.toBe(first?.id);
    expect(await ask(third?.id ?? "")).toBe("done");
  });

  it("is tried again when the upstream is down, slow, fails or sends elsewhere, and never follows it there", async () => {
    const { id: projectId } = await insertProject(fixture);
    answers.set("/fails", { status: 500 });
    answers.set("/gone", { status: 410 });
    answers.set("/hangs", "hang");
    answers.set("/elsewhere", { status: 307, headers: { location: `${origin}/private` } });
    answers.set("/busy", { status: 503, headers: { "retry-after": "3600" } });
    for (const path of ["/fails", "/gone", "/hangs", "/elsewhere", "/busy"]) await newApi(path);
    await newApi("http://127.0.0.1:1/down");
    const startedAt = fixture.clock.nowMs();
    const impatient: Outbound = { send: (outgoing) => outbound.send({ ...outgoing, timeoutMs: 300 }) };
    for (const { id } of await request(projectId)) expect(await ask(id, impatient)).toBe("retry");
    const items = (await list({ projectId })).toSorted((one, other) =>
      one.api.localeCompare(other.api, "en", { numeric: true }),
    );
    expect(items.map(({ attemptLog: [attempt] }) => attempt?.status ?? attempt?.error)).toEqual([
      500,
      410,
      "No answer in time",
      307,
      503,
      expect.stringMatching(/^The connection failed/),
    ]);
    expect(items.every(({ status, attempts }) => status === "pending" && attempts === 1)).toBe(true);
    const waits = items.map(({ nextAttemptAt }) => Number(nextAttemptAt?.getTime()) - startedAt);
    expect(waits).toEqual([10_000, 10_000, 10_000, 10_000, 3_600_000, 10_000]);
    expect(received.some(({ path }) => path === "/private")).toBe(false);
    // Not yet: it is not due.
    expect(await ask(items[0]?.id ?? "")).toBe("busy");
    answers.clear();
    fixture.clock.advanceMs(10_000);
    const before = await ordersOf(items[0]?.id ?? "");
    await sweepTenantData({ ctx: fixture.as(SYSTEM) });
    expect(await ordersOf(items[0]?.id ?? "")).toBe(before + 1);
    expect(await ask(items[0]?.id ?? "")).toBe("done");
  });

  it("reaches no private address, whatever the catalogue says", async () => {
    const { id: projectId } = await insertProject(fixture);
    await newApi("/internal");
    await newApi("https://169.254.169.254/latest/meta-data");
    const guarded = new OutboundClient();
    for (const { id } of await request(projectId)) expect(await ask(id, guarded)).toBe("retry");
    await guarded.close();
    expect(received).toEqual([]);
    for (const { attemptLog } of await list({ projectId })) {
      expect(attemptLog).toEqual([
        expect.objectContaining({ status: null, error: expect.stringMatching(/private|https/) }),
      ]);
    }
  });

  it("is given up after the last attempt, is said to have failed, and begins anew when an operator asks", async () => {
    const { id: projectId } = await insertProject(fixture);
    answers.set("/never", { status: 500 });
    await newApi("/never");
    const [item] = await request(projectId);
    const id = item?.id ?? "";
    for (const delayMs of RETRY_DELAYS_MS) {
      expect(await ask(id)).toBe("retry");
      fixture.clock.advanceMs(delayMs);
    }
    expect(await ask(id)).toBe("failed");
    expect(await only(projectId)).toMatchObject({ status: "failed", nextAttemptAt: null });
    expect((await only(projectId)).attemptLog).toHaveLength(20);
    expect(await eventsAbout(projectId)).toContain("admin.tenantDataDeletionFailed");
    answers.clear();
    expect((await request(projectId))[0]).toMatchObject({ id, status: "pending", attempts: 0 });
    expect(await ask(id)).toBe("done");
  });

  it("is skipped when the API no longer says where to ask", async () => {
    const { id: projectId } = await insertProject(fixture);
    const name = await newApi("/moved");
    const [item] = await request(projectId);
    await fixture.as().db.update(schema.apis).set({ deleteDataUrl: null }).where(eq(schema.apis.name, name));
    expect(await ask(item?.id ?? "")).toBe("skipped");
    expect(await only(projectId)).toMatchObject({ status: "skipped" });
  });

  it("goes on when the worker dies at any COMMIT, and is noted as done once", async () => {
    for (const commit of [1, 2]) {
      for (const moment of ["before", "after"] as const) {
        await fixture.as().db.update(schema.apis).set({ deleteDataUrl: null });
        const { id: projectId } = await insertProject(fixture);
        await newApi(`/dies-${commit}-${moment}`);
        const [item] = await request(projectId);
        const deletionId = item?.id ?? "";
        const work = (ctx: ReturnType<ServiceFixture["as"]>) => askUpstream({ ctx, input: { deletionId }, outbound });
        const death = await dieWhile(fixture, SYSTEM, { moment, commit }, work);
        expect(death.hasDied).toBe(true);
        await death.buried;
        // What it had is taken for nobody's after a minute.
        fixture.clock.advanceMs(60_000);
        await sweepTenantData({ ctx: fixture.as(SYSTEM) });
        await ask(deletionId);
        expect(await only(projectId)).toMatchObject({ status: "done" });
        expect((await eventsAbout(projectId)).filter((name) => name === "admin.tenantDataDeleted")).toHaveLength(1);
        expect(received.some(({ path }) => path === `/dies-${commit}-${moment}`)).toBe(true);
      }
    }
  });

  it("is for operators to ask for and to watch, and for workers to do", async () => {
    const { id: projectId } = await insertProject(fixture);
    const owner = fixture.as(await insertMember(fixture, projectId, "owner"));
    const input = { projectId };
    await expect(deleteTenantData({ ctx: owner, input })).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(deleteTenantData({ ctx: fixture.as(), input })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    await expect(listDataDeletions({ ctx: owner, input: { limit: 1 } })).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(askUpstream({ ctx: owner, input: { deletionId: "ddl_x" }, outbound })).rejects.toMatchObject({
      code: "FORBIDDEN",
    });
    await expect(sweepTenantData({ ctx: owner })).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(
      deleteTenantData({ ctx: fixture.as(OPERATOR), input: { projectId: newId("project") } }),
    ).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("the step of an erasure", () => {
  it("is done when every API has confirmed, and names those that have not; it orders each once", async () => {
    const { id: projectId } = await insertProject(fixture);
    const [one, two] = [await newApi("/erases"), await newApi("/fails")];
    answers.set("/fails", { status: 500 });
    const ctx = fixture.as(SYSTEM);
    const step = () => eraseUpstreams(ctx, { projectIds: [projectId] });
    await expect(step()).rejects.toThrow(`Not confirmed yet by ${one}, ${two}`);
    await expect(step()).rejects.toThrow(`Not confirmed yet by ${one}, ${two}`);
    const items = await list({ projectId });
    expect(items.map(({ cause }) => cause)).toEqual(["erasure", "erasure"]);
    for (const { id } of items) await ask(id);
    await expect(step()).rejects.toThrow(new Error(`Not confirmed yet by ${two}`));
    answers.clear();
    fixture.clock.advanceMs(10_000);
    for (const { id } of items) await ask(id);
    await step();
    await step();
    expect(await list({ projectId })).toHaveLength(2);
    await eraseUpstreams(ctx, { projectIds: [] });
  });

  it("takes over what an operator has asked for and is not confirmed yet", async () => {
    const { id: projectId } = await insertProject(fixture);
    await newApi("/taken");
    const [item] = await request(projectId);
    await expect(eraseUpstreams(fixture.as(SYSTEM), { projectIds: [projectId] })).rejects.toThrow("Not confirmed yet");
    expect(await only(projectId)).toMatchObject({ id: item?.id, cause: "erasure" });
    expect(await ask(item?.id ?? "")).toBe("done");
    await eraseUpstreams(fixture.as(SYSTEM), { projectIds: [projectId] });
  });
});
