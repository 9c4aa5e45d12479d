import { z } from "zod";

/** One thing that must be true of the books, and how it was when it was last looked at. */
export const invariantDto = z.object({
  check: z.string(),
  claim: z.string(),
  /** Null before its first run. */
  ok: z.boolean().nullable(),
  /** The first places where two amounts that must be equal are not. */
  differences: z.array(z.object({ subject: z.string(), left: z.string(), right: z.string() })),
  ranAt: z.date().nullable(),
  /** Since when it has been broken; null while it holds. */
  brokenSince: z.date().nullable(),
});
export type Invariant = z.infer<typeof invariantDto>;
export const invariantList = z.object({ ok: z.boolean(), items: z.array(invariantDto) });
export type InvariantList = z.infer<typeof invariantList>;
