import type { Adjustment, incrementInput } from "@tollgate/contracts";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { creditWallet } from "./creditWallet.ts";

/** An operator gives credit. @throws TollgateError as {@link creditWallet} does; UNAUTHORIZED, FORBIDDEN */
export async function incrementBalance({ ctx, input }: Verb<z.output<typeof incrementInput>>): Promise<Adjustment> {
  requireAdmin(ctx);
  return creditWallet(ctx, input);
}
