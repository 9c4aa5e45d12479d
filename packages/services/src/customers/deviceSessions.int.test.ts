import { listSessionsInput } from "@tollgate/contracts";
import { newId } from "@tollgate/kernel";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture } from "../../test/serviceFixture.ts";
import { PASSWORD, signUp } from "../../test/signUp.ts";
import {
  createAccessTokenAuthenticator,
  listSessions,
  login,
  logout,
  refreshSession,
  revokeAllSessions,
  revokeSession,
} from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

/** Signs in on so many devices; each has a context of its own. */
async function newDevices(count: number) {
  const { email } = await signUp(fixture);
  const devices = [];
  for (let nth = 0; nth < count; nth += 1) {
    fixture.clock.advanceMs(1_000);
    const device = { ip: `192.0.2.${nth}`, userAgent: `Device ${nth}` };
    const tokens = await login({ ctx: { ...fixture.as(), ...device }, input: { email, password: PASSWORD } });
    const claims = await fixture.as().tokenIssuer.verifyAccessToken(tokens.accessToken);
    devices.push({ ...tokens, sessionId: claims.sessionId, ctx: fixture.as({ kind: "customer", ...claims }) });
  }
  const [first] = devices;
  if (first === undefined) throw new Error("There are no devices");
  return { first, devices };
}
const list = async (ctx: Awaited<ReturnType<typeof newDevices>>["first"]["ctx"], limit = 50) =>
  (await listSessions({ ctx, input: listSessionsInput.parse({ limit }) })).items;
const isOpen = (refreshToken: string) =>
  refreshSession({ ctx: fixture.as(), input: { refreshToken } }).then(
    () => true,
    () => false,
  );

test("a list shows where the caller is signed in, newest first, and which of them is asking", async () => {
  const { first, devices } = await newDevices(3);
  const [signup, ...shown] = (await list(first.ctx)).toReversed();
  expect(signup).toMatchObject({ userAgent: "tests" });
  expect(shown).toMatchObject(
    devices.map(({ sessionId }, nth) => ({
      id: sessionId,
      ip: `192.0.2.${nth}`,
      userAgent: `Device ${nth}`,
      isCurrent: nth === 0,
    })),
  );
  await logout({ ctx: devices[2]?.ctx ?? fixture.as() });
  expect((await list(first.ctx)).map((session) => session.id)).not.toContain(devices[2]?.sessionId);
  fixture.clock.advanceMs(30 * 24 * 3_600_000);
  expect(await list(first.ctx)).toEqual([]);
});

test("a session that is revoked ends: its refresh token at once, its access token within a second everywhere", async () => {
  const { first, devices } = await newDevices(2);
  const other = devices[1];
  if (other === undefined) throw new Error("There is no other device");
  const authenticators = [fixture.as(), fixture.otherProcess()].map(({ database, tokenIssuer }) =>
    createAccessTokenAuthenticator({ database, tokenIssuer, clock: fixture.clock }),
  );
  for (const one of authenticators) await one.authenticateAccessToken(other.accessToken);
  await revokeSession({ ctx: first.ctx, input: { id: other.sessionId } });
  await expect(revokeSession({ ctx: first.ctx, input: { id: other.sessionId } })).resolves.toEqual({ ok: true });
  expect(await isOpen(other.refreshToken)).toBe(false);
  fixture.clock.advanceMs(1_000);
  for (const one of authenticators) {
    await expect(one.authenticateAccessToken(other.accessToken)).rejects.toMatchObject({ reason: "session_ended" });
    await expect(one.authenticateAccessToken(first.accessToken)).resolves.toBeDefined();
  }
});

test("a stranger's session is as if it were not there", async () => {
  const [mine, theirs] = [await newDevices(1), await newDevices(1)];
  for (const id of [theirs.first.sessionId, newId("session")]) {
    await expect(revokeSession({ ctx: mine.first.ctx, input: { id } })).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: "No such session",
    });
  }
  expect(await isOpen(theirs.first.refreshToken)).toBe(true);
});

test("signing out everywhere ends every session, or every other one", async () => {
  const { first, devices } = await newDevices(3);
  expect(await revokeAllSessions({ ctx: first.ctx, input: { keepCurrent: true } })).toEqual({ revoked: 3 });
  expect(await list(first.ctx)).toMatchObject([{ id: first.sessionId, isCurrent: true }]);
  expect(await isOpen(devices[1]?.refreshToken ?? "")).toBe(false);
  expect(await revokeAllSessions({ ctx: first.ctx, input: { keepCurrent: false } })).toEqual({ revoked: 1 });
  expect(await isOpen(first.refreshToken)).toBe(false);
  await expect(revokeAllSessions({ ctx: fixture.as(), input: { keepCurrent: false } })).rejects.toMatchObject({
    code: "UNAUTHORIZED",
  });
});
