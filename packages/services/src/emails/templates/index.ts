import type { z } from "zod";
import { accountDeleted } from "./accountDeleted.ts";
import { alert } from "./alert.ts";
import { alreadyRegistered } from "./alreadyRegistered.ts";
import { creditNote } from "./creditNote.ts";
import { emailChange } from "./emailChange.ts";
import { emailChangeNotice } from "./emailChangeNotice.ts";
import { emailInUse } from "./emailInUse.ts";
import { exhaustedBalance } from "./exhaustedBalance.ts";
import { exportReady } from "./exportReady.ts";
import { invite } from "./invite.ts";
import { invoice } from "./invoice.ts";
import { keyLeaked } from "./keyLeaked.ts";
import type { RenderedEmail } from "./layout.ts";
import { renderLayout } from "./layout.ts";
import { lowBalance } from "./lowBalance.ts";
import { passwordChanged } from "./passwordChanged.ts";
import { paymentFailed } from "./paymentFailed.ts";
import { receipt } from "./receipt.ts";
import { recovery } from "./recovery.ts";
import type { EmailTemplate } from "./template.ts";
import { verification } from "./verification.ts";
import { webhookDisabled } from "./webhookDisabled.ts";
import { welcome } from "./welcome.ts";

/** All mails that the product sends. */
export const EMAIL_TEMPLATES = {
  alert,
  creditNote,
  exhaustedBalance,
  invoice,
  lowBalance,
  paymentFailed,
  accountDeleted,
  alreadyRegistered,
  emailChange,
  emailChangeNotice,
  emailInUse,
  exportReady,
  invite,
  keyLeaked,
  passwordChanged,
  receipt,
  recovery,
  verification,
  welcome,
  webhookDisabled,
} as const;

export type EmailTemplateName = keyof typeof EMAIL_TEMPLATES;
export type EmailTemplateData<Name extends EmailTemplateName> = z.input<(typeof EMAIL_TEMPLATES)[Name]["data"]>;

export function isEmailTemplate(name: string): name is EmailTemplateName {
  return Object.hasOwn(EMAIL_TEMPLATES, name);
}

/** Whether people may unsubscribe from a mail: it is not the answer to something that they or their account did. */
export function isOptionalEmail(name: EmailTemplateName): boolean {
  const template: EmailTemplate<z.ZodType> = EMAIL_TEMPLATES[name];
  return template.isOptional === true;
}

/** A mail as it goes out. @throws ZodError when the data is not what the template must be told */
export function renderEmail(name: EmailTemplateName, data: unknown, unsubscribeUrl?: string): RenderedEmail {
  const template: EmailTemplate<z.ZodType> = EMAIL_TEMPLATES[name];
  return renderLayout(template.compose(template.data.parse(data)), unsubscribeUrl);
}
