import { readExport } from "@tollgate/services/customers";
import type { FastifyInstance } from "fastify";
import type { ApiResources } from "./requestContext.ts";
import { anonymousContext } from "./requestContext.ts";

/** Copies of people's data, behind links that were mailed to them. The link is the permission, so nothing keeps it. */
export function addExportDownload(app: FastifyInstance, resources: ApiResources): void {
  app.get<{ Params: { token: string } }>("/exports/:token", async (request, reply) => {
    const ctx = anonymousContext(resources, request.id);
    const body = await readExport({ ctx, input: { token: request.params.token } });
    return reply
      .header("cache-control", "no-store")
      .header("referrer-policy", "no-referrer")
      .header("x-content-type-options", "nosniff")
      .header("content-disposition", 'attachment; filename="tollgate-export.json"')
      .type("application/json; charset=utf-8")
      .send(body);
  });
}
