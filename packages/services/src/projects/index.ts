export * from "./createProject.ts";
export * from "./listProjects.ts";
export * from "./readProject.ts";
