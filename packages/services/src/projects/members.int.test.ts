import { inviteMemberInput, listInvitesInput, listMembersInput, listReceivedInvitesInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { newId } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, insertMember, insertProject } from "../../test/serviceFixture.ts";
import { openMail } from "../../test/signUp.ts";
import type { ProjectRole, ProjectRow } from "../permissions.ts";
import {
  acceptInvite,
  changeRole,
  declineInvite,
  inviteMember,
  leaveProject,
  listInvites,
  listMembers,
  listReceivedInvites,
  readProject,
  removeMember,
  revokeInvite,
  transferOwnership,
} from "./index.ts";

const WEEK_MS = 7 * 24 * 3_600_000;
const DAY_MS = 24 * 3_600_000;
let fixture: ServiceFixture;
let project: ProjectRow;
let owner: Actor;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  project = await insertProject(fixture, { name: "Rocket" });
  owner = await insertMember(fixture, project.id, "owner");
});

const idOf = (actor: Actor): string => (actor.kind === "customer" ? actor.customerId : "");

/** A verified customer who is in no project. */
async function insertPerson(): Promise<{ readonly actor: Actor; readonly email: string }> {
  const email = fixture.newEmail();
  const id = newId("customer");
  const now = fixture.clock.now();
  await fixture
    .as()
    .db.insert(schema.customers)
    .values({ id, email, status: "verified", createdAt: now, updatedAt: now });
  return { actor: customerActor(id), email };
}

const invite = (email: string, role: ProjectRole = "developer", actor = owner, projectId = project.id) =>
  inviteMember({ ctx: fixture.as(actor), input: inviteMemberInput.parse({ projectId, email, role }) });
const rolesOf = async (projectId = project.id): Promise<Record<string, ProjectRole>> => {
  const rows = await fixture
    .as()
    .db.select()
    .from(schema.projectMembers)
    .where(eq(schema.projectMembers.projectId, projectId));
  return Object.fromEntries(rows.map((row) => [row.customerId, row.role]));
};
const setRole = (actor: Actor, member: Actor, role: ProjectRole) =>
  changeRole({ ctx: fixture.as(actor), input: { projectId: project.id, customerId: idOf(member), role } });
const remove = (actor: Actor, member: Actor) =>
  removeMember({ ctx: fixture.as(actor), input: { projectId: project.id, customerId: idOf(member) } });
const leave = (actor: Actor) => leaveProject({ ctx: fixture.as(actor), input: { projectId: project.id } });
const events = async (name: string) => {
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.name, name));
  return rows.map((row) => row.payload).filter((payload) => payload["projectId"] === project.id);
};
const mailsTo = (email: string) =>
  fixture
    .as()
    .db.select()
    .from(schema.emails)
    .where(and(eq(schema.emails.recipient, email), eq(schema.emails.template, "invite")));

describe("an invitation", () => {
  test("mails a link, is seen by both sides, and makes whoever has the address a member", async () => {
    const { actor, email } = await insertPerson();
    const made = await invite(email.toUpperCase(), "billing");
    expect(made).toMatchObject({ email, role: "billing" });
    expect(made.expiresAt.getTime()).toBe(fixture.clock.nowMs() + WEEK_MS);
    expect(await openMail(fixture, email)).toContain(`${fixture.settings.publicWebUrl}/invites/${made.id}`);
    const received = await listReceivedInvites({ ctx: fixture.as(actor), input: listReceivedInvitesInput.parse({}) });
    expect(received.items).toEqual([{ ...made, projectName: "Rocket" }]);
    const open = await listInvites({
      ctx: fixture.as(owner),
      input: listInvitesInput.parse({ projectId: project.id }),
    });
    expect(open.items).toEqual([made]);
    const joined = await acceptInvite({ ctx: fixture.as(actor), input: { id: made.id } });
    expect(joined).toMatchObject({ id: project.id, role: "billing" });
    expect(await rolesOf()).toMatchObject({ [idOf(actor)]: "billing" });
    expect(await events("projects.memberInvited")).toEqual([
      { projectId: project.id, inviteId: made.id, role: "billing" },
    ]);
    expect(await events("projects.memberJoined")).toEqual([
      { projectId: project.id, customerId: idOf(actor), role: "billing" },
    ]);
    await expect(acceptInvite({ ctx: fixture.as(actor), input: { id: made.id } })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });

  test("is as if it were not there to anybody but the one who has the address, verified", async () => {
    const { actor, email } = await insertPerson();
    const { id } = await invite(email);
    const stranger = await insertPerson();
    for (const verb of [acceptInvite, declineInvite, revokeInvite]) {
      await expect(verb({ ctx: fixture.as(stranger.actor), input: { id } })).rejects.toMatchObject({
        code: "NOT_FOUND",
        reason: "invite_not_found",
      });
      await expect(verb({ ctx: fixture.as(), input: { id } })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    }
    await fixture
      .as()
      .db.update(schema.customers)
      .set({ status: "unverified" })
      .where(eq(schema.customers.id, idOf(actor)));
    await expect(acceptInvite({ ctx: fixture.as(actor), input: { id } })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("ends after seven days, when it is declined, and when it is taken back", async () => {
    const { actor, email } = await insertPerson();
    const late = await invite(email);
    fixture.clock.advanceMs(WEEK_MS);
    await expect(acceptInvite({ ctx: fixture.as(actor), input: { id: late.id } })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    const again = await invite(email);
    await declineInvite({ ctx: fixture.as(actor), input: { id: again.id } });
    const third = await invite(email);
    await revokeInvite({ ctx: fixture.as(owner), input: { id: third.id } });
    for (const { id } of [again, third]) {
      await expect(acceptInvite({ ctx: fixture.as(actor), input: { id } })).rejects.toMatchObject({
        code: "NOT_FOUND",
      });
    }
    expect(await rolesOf()).toEqual({ [idOf(owner)]: "owner" });
  });

  test("is mailed again when it is repeated, with the new role, up to five times a day", async () => {
    const { email } = await insertPerson();
    const first = await invite(email, "viewer");
    const second = await invite(email, "admin");
    expect(second).toMatchObject({ id: first.id, role: "admin" });
    expect(await mailsTo(email)).toHaveLength(2);
    for (let time = 0; time < 3; time += 1) await invite(email, "admin");
    await expect(invite(email, "admin")).rejects.toMatchObject({
      code: "TOO_MANY_REQUESTS",
      reason: "invite_mailed_too_often",
    });
    fixture.clock.advanceMs(DAY_MS);
    await invite(email, "admin");
    expect(await mailsTo(email)).toHaveLength(6);
  });

  test("is one of at most five open ones of a person, also when ten come at once", async () => {
    const { actor, email } = await insertPerson();
    const projects = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const one = await insertProject(fixture);
        return { id: one.id, owner: await insertMember(fixture, one.id, "owner") };
      }),
    );
    const results = await Promise.allSettled(projects.map((one) => invite(email, "viewer", one.owner, one.id)));
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(5);
    for (const result of results) {
      if (result.status === "rejected") expect(result.reason).toMatchObject({ reason: "too_many_invites" });
    }
    const { items } = await listReceivedInvites({ ctx: fixture.as(actor), input: listReceivedInvitesInput.parse({}) });
    expect(items).toHaveLength(5);
    await declineInvite({ ctx: fixture.as(actor), input: { id: items[0]?.id ?? "" } });
    await expect(invite(email)).resolves.toMatchObject({ email });
  });

  test("is refused for who is a member already, by those who are no admins, and as owner by those who are no owners", async () => {
    const member = await insertMember(fixture, project.id, "developer");
    const [row] = await fixture
      .as()
      .db.select()
      .from(schema.customers)
      .where(eq(schema.customers.id, idOf(member)));
    await expect(invite(row?.email ?? "")).rejects.toMatchObject({ code: "CONFLICT", reason: "already_member" });
    await expect(invite(fixture.newEmail(), "viewer", member)).rejects.toMatchObject({ code: "FORBIDDEN" });
    const admin = await insertMember(fixture, project.id, "admin");
    await expect(invite(fixture.newEmail(), "owner", admin)).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(invite(fixture.newEmail(), "owner")).resolves.toMatchObject({ role: "owner" });
  });
});

describe("the last owner", () => {
  test("stays, whoever tries what", async () => {
    const admin = await insertMember(fixture, project.id, "admin");
    const lastOwner = { code: "CONFLICT", reason: "last_owner" };
    await expect(setRole(owner, owner, "admin")).rejects.toMatchObject(lastOwner);
    await expect(remove(owner, owner)).rejects.toMatchObject(lastOwner);
    await expect(leave(owner)).rejects.toMatchObject(lastOwner);
    const attempts = [
      () => setRole(admin, owner, "viewer"),
      () => remove(admin, owner),
      () => setRole(admin, admin, "owner"),
    ];
    for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: "FORBIDDEN" });
    expect(await rolesOf()).toEqual({ [idOf(owner)]: "owner", [idOf(admin)]: "admin" });
  });

  test.each(["demoted", "gone"] as const)("stays when all of them are %s at the same moment", async (what) => {
    const owners = [owner, ...(await Promise.all([1, 2, 3].map(() => insertMember(fixture, project.id, "owner"))))];
    const results = await Promise.allSettled(
      owners.map((actor) => (what === "gone" ? leave(actor) : setRole(actor, actor, "viewer"))),
    );
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(owners.length - 1);
    expect(Object.values(await rolesOf()).filter((role) => role === "owner")).toHaveLength(1);
  });

  test("is one who can sign in: a deleted customer does not count", async () => {
    const other = await insertMember(fixture, project.id, "owner");
    await fixture
      .as()
      .db.update(schema.customers)
      .set({ status: "deleted", deletedAt: fixture.clock.now() })
      .where(eq(schema.customers.id, idOf(other)));
    await expect(leave(owner)).rejects.toMatchObject({ reason: "last_owner" });
  });
});

describe("a role", () => {
  test("bites at once, is announced with what it was, and is written once", async () => {
    const member = await insertMember(fixture, project.id, "developer");
    await setRole(owner, member, "viewer");
    await setRole(owner, member, "viewer");
    await expect(invite(fixture.newEmail(), "viewer", member)).rejects.toMatchObject({ code: "FORBIDDEN" });
    expect(await events("projects.roleChanged")).toEqual([
      { projectId: project.id, customerId: idOf(member), from: "developer", to: "viewer" },
    ]);
  });

  test("is handed over with the ownership: one owner before, one owner after", async () => {
    const heir = await insertMember(fixture, project.id, "viewer");
    const transfer = (actor: Actor, to: Actor) =>
      transferOwnership({ ctx: fixture.as(actor), input: { projectId: project.id, customerId: idOf(to) } });
    await expect(transfer(heir, heir)).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(transfer(owner, owner)).rejects.toMatchObject({ issues: [{ path: "customerId" }] });
    const stranger = await insertPerson();
    await expect(transfer(owner, stranger.actor)).rejects.toMatchObject({
      code: "NOT_FOUND",
      reason: "member_not_found",
    });
    await transfer(owner, heir);
    expect(await rolesOf()).toEqual({ [idOf(heir)]: "owner", [idOf(owner)]: "admin" });
  });
});

describe("members", () => {
  test("are listed to members in pages, and to nobody else", async () => {
    for (const role of ["viewer", "billing", "admin"] as const) await insertMember(fixture, project.id, role);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const input = listMembersInput.parse({ projectId: project.id, limit: 3, cursor });
      const page = await listMembers({ ctx: fixture.as(owner), input });
      seen.push(...page.items.map((member) => member.role));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen.toSorted()).toEqual(["admin", "billing", "owner", "viewer"]);
    const { actor } = await insertPerson();
    const input = listMembersInput.parse({ projectId: project.id });
    await expect(listMembers({ ctx: fixture.as(actor), input })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("who leave or are removed see nothing of the project any more, and it is announced", async () => {
    const [leaver, removed] = [
      await insertMember(fixture, project.id, "viewer"),
      await insertMember(fixture, project.id, "admin"),
    ];
    await leave(leaver);
    await remove(owner, removed);
    for (const actor of [leaver, removed]) {
      await expect(readProject({ ctx: fixture.as(actor), input: { id: project.id } })).rejects.toMatchObject({
        code: "NOT_FOUND",
      });
    }
    const left = (await events("projects.memberLeft")).map((payload) => payload["customerId"]);
    expect(left.toSorted()).toEqual([idOf(leaver), idOf(removed)].toSorted());
    await expect(remove(owner, removed)).rejects.toMatchObject({ code: "NOT_FOUND", reason: "member_not_found" });
  });
});
