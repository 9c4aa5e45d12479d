import { createProjectInput, listProjectsInput, projectDto, projectIdInput, projectPage } from "@tollgate/contracts";
import { createProject, listProjects, readProject } from "@tollgate/services/projects";
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
});
