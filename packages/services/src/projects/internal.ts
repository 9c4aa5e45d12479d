import type { Project } from "@tollgate/contracts";
import type { ProjectRole, ProjectRow } from "../permissions.ts";

export function toProject(row: ProjectRow, role: ProjectRole): Project {
  return {
    id: row.id,
    name: row.name,
    billingAccountId: row.billingAccountId,
    role,
    monthlySpendCapMicros: row.monthlySpendCapMicros,
    createdAt: row.createdAt,
  };
}
