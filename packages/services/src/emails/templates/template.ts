import type { z } from "zod";
import type { EmailContent } from "./layout.ts";

/** A kind of mail: what it must be told, and what it says. */
export interface EmailTemplate<Schema extends z.ZodType> {
  readonly data: Schema;
  /** People may unsubscribe from it. */
  readonly isOptional?: boolean;
  compose(data: z.output<Schema>): EmailContent;
}

export function defineTemplate<Schema extends z.ZodType>(template: EmailTemplate<Schema>): EmailTemplate<Schema> {
  return template;
}
