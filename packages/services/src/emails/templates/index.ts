import type { z } from "zod";
import { alreadyRegistered } from "./alreadyRegistered.ts";
import type { RenderedEmail } from "./layout.ts";
import { renderLayout } from "./layout.ts";
import type { EmailTemplate } from "./template.ts";
import { verification } from "./verification.ts";
import { welcome } from "./welcome.ts";

/** All mails that the product sends. */
export const EMAIL_TEMPLATES = { alreadyRegistered, verification, welcome } as const;

export type EmailTemplateName = keyof typeof EMAIL_TEMPLATES;
export type EmailTemplateData<Name extends EmailTemplateName> = z.input<(typeof EMAIL_TEMPLATES)[Name]["data"]>;

export function isEmailTemplate(name: string): name is EmailTemplateName {
  return Object.hasOwn(EMAIL_TEMPLATES, name);
}

/** A mail as it goes out. @throws ZodError when the data is not what the template must be told */
export function renderEmail(name: EmailTemplateName, data: unknown): RenderedEmail {
  const template: EmailTemplate<z.ZodType> = EMAIL_TEMPLATES[name];
  return renderLayout(template.compose(template.data.parse(data)));
}
