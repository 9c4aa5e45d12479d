import { commonEnv, parseEnv } from "@tollgate/kernel";
import { z } from "zod";

/** What the migration command needs. */
export const databaseEnv = () => parseEnv(z.object({ DATABASE_URL: commonEnv.DATABASE_URL }));
