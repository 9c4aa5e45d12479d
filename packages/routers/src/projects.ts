import {
  changeRoleInput,
  createProjectInput,
  doneDto,
  inviteIdInput,
  inviteMemberInput,
  leaveProjectInput,
  listInvitesInput,
  listMembersInput,
  listProjectsInput,
  listReceivedInvitesInput,
  projectDto,
  projectIdInput,
  projectInviteDto,
  projectInvitePage,
  projectMemberPage,
  projectPage,
  receivedInvitePage,
  removeMemberInput,
  renameProjectInput,
  setMonthlySpendCapInput,
  transferOwnershipInput,
} from "@tollgate/contracts";
import {
  acceptInvite,
  changeRole,
  createProject,
  declineInvite,
  deleteProject,
  inviteMember,
  leaveProject,
  listInvites,
  listMembers,
  listProjects,
  listReceivedInvites,
  readProject,
  removeMember,
  renameProject,
  revokeInvite,
  setMonthlySpendCap,
  transferOwnership,
} from "@tollgate/services/projects";
import { customerProcedure, router } from "./trpc.ts";

/** Projects: what calls APIs, with its members and keys. */
export const projectsRouter = router({
  create: customerProcedure
    .meta({ description: "Makes a project of which the caller is the owner." })
    .input(createProjectInput)
    .output(projectDto)
    .mutation(({ ctx, input }) => createProject({ ctx, input })),

  list: customerProcedure
    .meta({ description: "The projects that the caller is a member of, newest first." })
    .input(listProjectsInput)
    .output(projectPage)
    .query(({ ctx, input }) => listProjects({ ctx, input })),

  read: customerProcedure
    .meta({ description: "One project with the caller's role in it." })
    .input(projectIdInput)
    .output(projectDto)
    .query(({ ctx, input }) => readProject({ ctx, input })),

  rename: customerProcedure
    .meta({ description: "Gives a project another name. For its admins." })
    .input(renameProjectInput)
    .output(projectDto)
    .mutation(({ ctx, input }) => renameProject({ ctx, input })),

  delete: customerProcedure
    .meta({ description: "Ends a project for good; its keys stop at once. Credit and records stay. For its owners." })
    .input(projectIdInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => deleteProject({ ctx, input })),

  listMembers: customerProcedure
    .meta({ description: "Who is in a project and as what, newest first." })
    .input(listMembersInput)
    .output(projectMemberPage)
    .query(({ ctx, input }) => listMembers({ ctx, input })),

  invite: customerProcedure
    .meta({
      description:
        "Mails an address a link to join, good for seven days. Again mails it again. For the project's admins.",
    })
    .input(inviteMemberInput)
    .output(projectInviteDto)
    .mutation(({ ctx, input }) => inviteMember({ ctx, input })),

  listInvites: customerProcedure
    .meta({ description: "The open invitations of a project, newest first. For its admins." })
    .input(listInvitesInput)
    .output(projectInvitePage)
    .query(({ ctx, input }) => listInvites({ ctx, input })),

  listReceivedInvites: customerProcedure
    .meta({ description: "The open invitations to the caller's address, newest first." })
    .input(listReceivedInvitesInput)
    .output(receivedInvitePage)
    .query(({ ctx, input }) => listReceivedInvites({ ctx, input })),

  acceptInvite: customerProcedure
    .meta({ description: "Joins a project. The invitation must be to the caller's address." })
    .input(inviteIdInput)
    .output(projectDto)
    .mutation(({ ctx, input }) => acceptInvite({ ctx, input })),

  declineInvite: customerProcedure
    .meta({ description: "Turns down an invitation to the caller's address." })
    .input(inviteIdInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => declineInvite({ ctx, input })),

  revokeInvite: customerProcedure
    .meta({ description: "Takes an invitation back. For the project's admins." })
    .input(inviteIdInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => revokeInvite({ ctx, input })),

  changeRole: customerProcedure
    .meta({ description: "Gives a member another role. The last owner stays one. For the project's admins." })
    .input(changeRoleInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => changeRole({ ctx, input })),

  removeMember: customerProcedure
    .meta({ description: "Takes somebody out of a project, never its last owner. For the project's admins." })
    .input(removeMemberInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => removeMember({ ctx, input })),

  leave: customerProcedure
    .meta({ description: "The caller leaves a project. Its last owner cannot." })
    .input(leaveProjectInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => leaveProject({ ctx, input })),

  transferOwnership: customerProcedure
    .meta({ description: "Makes another member an owner and the caller an admin. For the project's owners." })
    .input(transferOwnershipInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => transferOwnership({ ctx, input })),

  setMonthlySpendCap: customerProcedure
    .meta({
      description:
        "Bounds what a project spends in a calendar month, with what was counted of it so far; null lifts the bound. For billing and admins.",
    })
    .input(setMonthlySpendCapInput)
    .output(projectDto)
    .mutation(({ ctx, input }) => setMonthlySpendCap({ ctx, input })),
});
