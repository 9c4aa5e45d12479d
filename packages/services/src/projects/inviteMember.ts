import type { inviteMemberInput, ProjectInvite } from "@tollgate/contracts";
import { projectsMemberInvited } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, newId, notFound, TollgateError } from "@tollgate/kernel";
import { and, count, eq, gt, ne } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { holdsEmail } from "../customers/internal.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import type { ProjectRow } from "../permissions.ts";
import { assertMayDecideOn, requireMembership } from "./internal.ts";
import type { InviteRow } from "./invites.ts";
import { INVITE_LIFETIME_MS, toInvite } from "./invites.ts";

const DAY_MS = 24 * 3_600_000;
/** Open invitations of one person, over all projects. */
const PENDING_MAX = 5;
/** Mails of one invitation a day. */
const MAILS_PER_DAY = 5;
const { customers, projectInvites, projectMembers } = schema;

type Input = z.output<typeof inviteMemberInput>;

/**
 * Invites an address to a project, for its admins, and mails the link; only owners invite owners. Inviting the same address
 * again mails the same invitation again, with the new role and seven new days.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN; CONFLICT `already_member`; TOO_MANY_REQUESTS
 * `too_many_invites` (five are open for this person), `invite_mailed_too_often`
 */
export async function inviteMember({ ctx, input }: Verb<Input>): Promise<ProjectInvite> {
  return withTransaction(ctx, async (ctx) => {
    const { project, own } = await requireMembership(ctx, input.projectId, "projects.invite");
    assertMayDecideOn(own, input.role);
    await assertNoMember(ctx, input);
    const before = await findInvite(ctx, input);
    const invite = await writeInvite(ctx, input, own.customerId, before);
    await mailInvite(ctx, project, own.customerId, invite);
    await writeAudit(ctx, {
      action: "projects.invite",
      subject: invite.id,
      ...(before === undefined ? {} : { before: { role: before.role, expiresAt: before.expiresAt } }),
      after: { projectId: project.id, role: invite.role, expiresAt: invite.expiresAt },
    });
    await appendEvent(ctx, projectsMemberInvited, {
      projectId: project.id,
      inviteId: invite.id,
      role: invite.role,
    });
    return toInvite(invite);
  });
}

async function assertNoMember(ctx: ServiceContext, input: Input): Promise<void> {
  const [member] = await ctx.db
    .select({ customerId: projectMembers.customerId })
    .from(projectMembers)
    .innerJoin(customers, eq(customers.id, projectMembers.customerId))
    .where(and(eq(projectMembers.projectId, input.projectId), holdsEmail(input.email)));
  if (member !== undefined) throw conflict("This person is a member already", { reason: "already_member" });
}

async function findInvite(ctx: ServiceContext, input: Input): Promise<InviteRow | undefined> {
  const [row] = await ctx.db
    .select()
    .from(projectInvites)
    .where(and(eq(projectInvites.projectId, input.projectId), eq(projectInvites.email, input.email)));
  return row;
}

/** There is one row a project and address; of two admins who invite at once the second renews what the first wrote. */
async function writeInvite(
  ctx: ServiceContext,
  input: Input,
  invitedBy: string,
  before: InviteRow | undefined,
): Promise<InviteRow> {
  await assertFewPending(ctx, input);
  const now = ctx.clock.now();
  const isFreshDay = before === undefined || now.getTime() - before.mailedAt.getTime() >= DAY_MS;
  const mailsSent = isFreshDay ? 1 : before.mailsSent + 1;
  if (mailsSent > MAILS_PER_DAY) throw tooMany("invite_mailed_too_often", "This invitation was mailed often today");
  const renewed = {
    role: input.role,
    invitedBy,
    expiresAt: new Date(now.getTime() + INVITE_LIFETIME_MS),
    mailsSent,
    mailedAt: now,
  };
  const [row] = await ctx.db
    .insert(projectInvites)
    .values({ id: newId("invite"), projectId: input.projectId, email: input.email, createdAt: now, ...renewed })
    .onConflictDoUpdate({ target: [projectInvites.projectId, projectInvites.email], set: renewed })
    .returning();
  if (row === undefined) throw new Error("An invitation was written and is not there");
  return row;
}

async function assertFewPending(ctx: ServiceContext, input: Input): Promise<void> {
  const [row] = await ctx.db
    .select({ pending: count() })
    .from(projectInvites)
    .where(
      and(
        eq(projectInvites.email, input.email),
        ne(projectInvites.projectId, input.projectId),
        gt(projectInvites.expiresAt, ctx.clock.now()),
      ),
    );
  if ((row?.pending ?? 0) >= PENDING_MAX) {
    throw tooMany(
      "too_many_invites",
      `This person has ${PENDING_MAX} open invitations: they have to answer some first`,
    );
  }
}

function tooMany(reason: string, message: string): TollgateError {
  return new TollgateError("TOO_MANY_REQUESTS", message, { reason, retryAfterSeconds: DAY_MS / 1_000 });
}

async function mailInvite(
  ctx: ServiceContext,
  project: ProjectRow,
  inviterId: string,
  invite: InviteRow,
): Promise<void> {
  const [inviter] = await ctx.db
    .select({ email: customers.email, name: customers.name })
    .from(customers)
    .where(eq(customers.id, inviterId));
  if (inviter === undefined) throw notFound("customer");
  await queueEmail(ctx, {
    template: "invite",
    to: invite.email,
    data: {
      projectName: project.name,
      inviter: inviter.name ?? inviter.email,
      role: invite.role,
      acceptUrl: `${ctx.settings.publicWebUrl}/invites/${invite.id}`,
      days: INVITE_LIFETIME_MS / DAY_MS,
    },
    idempotencyKey: `invite:${invite.id}:${invite.mailedAt.getTime()}:${invite.mailsSent}`,
  });
}
