import type { Api, apiRefInput } from "@tollgate/contracts";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import { readApi } from "./internal.ts";

/** An API with everything about it, in whatever state it is. @throws TollgateError NOT_FOUND, UNAUTHORIZED, FORBIDDEN */
export async function getApi({ ctx, input }: Verb<z.output<typeof apiRefInput>>): Promise<Api> {
  requireAdminOrService(ctx);
  return readApi(ctx, input.name);
}
