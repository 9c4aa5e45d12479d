import { z } from "zod";
import { defineEvent } from "./definitions.ts";
import {
  emailInput,
  idSchema,
  microsOutput,
  nameInput,
  nonNegativeMicrosInput,
  pageInput,
  pageOf,
} from "./primitives.ts";

export const projectRole = z.enum(["owner", "admin", "developer", "billing", "viewer"]);

/** A project as the caller sees it. */
export const projectDto = z.object({
  id: z.string(),
  name: z.string(),
  billingAccountId: z.string(),
  /** The caller's role. */
  role: projectRole,
  monthlySpendCapMicros: microsOutput.nullable(),
  createdAt: z.date(),
});
export type Project = z.infer<typeof projectDto>;

export const createProjectInput = z.object({
  name: nameInput,
  /** Who pays; one that the caller administers. Without it, their own. */
  billingAccountId: idSchema("billingAccount").optional(),
});
export const listProjectsInput = pageInput;
export const projectPage = pageOf(projectDto);
export const projectIdInput = z.object({ id: idSchema("project") });

export const renameProjectInput = projectIdInput.extend({ name: nameInput });

/** Null lifts the cap. Micros a calendar month in the billing account's time zone, counted from the month's first call. */
export const setMonthlySpendCapInput = z.object({
  projectId: idSchema("project"),
  micros: nonNegativeMicrosInput.nullable(),
});

/** A member as the other members see them. */
export const projectMemberDto = z.object({
  customerId: z.string(),
  email: z.string(),
  name: z.string().nullable(),
  role: projectRole,
  joinedAt: z.date(),
});
export type ProjectMember = z.infer<typeof projectMemberDto>;
export const listMembersInput = pageInput.extend({ projectId: idSchema("project") });
export const projectMemberPage = pageOf(projectMemberDto);

/** An open invitation as the project's admins see it. */
export const projectInviteDto = z.object({
  id: z.string(),
  projectId: z.string(),
  email: z.string(),
  role: projectRole,
  createdAt: z.date(),
  expiresAt: z.date(),
});
export type ProjectInvite = z.infer<typeof projectInviteDto>;
export const listInvitesInput = listMembersInput;
export const projectInvitePage = pageOf(projectInviteDto);

/** An open invitation as the invited person sees it. */
export const receivedInviteDto = projectInviteDto.extend({ projectName: z.string() });
export type ReceivedInvite = z.infer<typeof receivedInviteDto>;
export const listReceivedInvitesInput = pageInput;
export const receivedInvitePage = pageOf(receivedInviteDto);

export const inviteMemberInput = z.object({ projectId: idSchema("project"), email: emailInput, role: projectRole });
export const inviteIdInput = z.object({ id: idSchema("invite") });

const memberInput = z.object({ projectId: idSchema("project"), customerId: idSchema("customer") });
export const changeRoleInput = memberInput.extend({ role: projectRole });
export const removeMemberInput = memberInput;
export const transferOwnershipInput = memberInput;
export const leaveProjectInput = z.object({ projectId: idSchema("project") });

const projectEventData = z.object({ projectId: z.string() });
const memberEventData = projectEventData.extend({ customerId: z.string() });
export const projectsCreated = defineEvent(
  "projects.created",
  z.object({ projectId: z.string(), billingAccountId: z.string(), customerId: z.string() }),
);
export const projectsRenamed = defineEvent("projects.renamed", projectEventData.extend({ name: z.string() }));
export const projectsDeleted = defineEvent(
  "projects.deleted",
  projectEventData.extend({ billingAccountId: z.string() }),
);
export const projectsMemberInvited = defineEvent(
  "projects.memberInvited",
  projectEventData.extend({ inviteId: z.string(), role: projectRole }),
);
export const projectsInviteDeclined = defineEvent(
  "projects.inviteDeclined",
  projectEventData.extend({ inviteId: z.string() }),
);
export const projectsInviteRevoked = defineEvent(
  "projects.inviteRevoked",
  projectEventData.extend({ inviteId: z.string() }),
);
export const projectsMemberJoined = defineEvent("projects.memberJoined", memberEventData.extend({ role: projectRole }));
export const projectsMemberLeft = defineEvent("projects.memberLeft", memberEventData);
export const projectsRoleChanged = defineEvent(
  "projects.roleChanged",
  memberEventData.extend({ from: projectRole, to: projectRole }),
);
export const projectsSpendCapChanged = defineEvent("projects.spendCapChanged", projectEventData);
