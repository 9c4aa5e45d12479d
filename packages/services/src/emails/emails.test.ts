import { expect, test } from "vitest";
import { sealData, unsealData } from "./internal.ts";
import type { EmailTemplateName } from "./templates/index.ts";
import { EMAIL_TEMPLATES, isEmailTemplate, renderEmail } from "./templates/index.ts";
import { renderLayout } from "./templates/layout.ts";

const SAMPLES: { readonly [Name in EmailTemplateName]: unknown } = {
  alert: {
    title: "Spend of Weather",
    text: "The project Weather spent $12.00 in the last hour; the rule is $10.00.",
    isResolved: false,
    dashboardUrl: "https://app.example.test",
  },
  creditNote: {
    creditNoteNumber: "CN-00007",
    accountName: "Example GmbH",
    total: "$4.20",
    reason: "Charged twice",
    invoiceUrl: "https://app.example.test/invoices/inv_y",
  },
  exhaustedBalance: { accountName: "Example GmbH", dashboardUrl: "https://app.example.test" },
  invoice: {
    invoiceNumber: "TG-2026-00042",
    accountName: "Example GmbH",
    period: "October 2026",
    total: "$49.00",
    isPaid: true,
    invoiceUrl: "https://app.example.test/invoices/inv_x",
  },
  lowBalance: {
    accountName: "Example GmbH",
    available: "$3.20",
    threshold: "$5.00",
    dashboardUrl: "https://app.example.test",
  },
  paymentFailed: {
    accountName: "Example GmbH",
    amount: "$49.00",
    why: "the card was declined.",
    retriedOn: "27 November 2026",
    dashboardUrl: "https://app.example.test",
  },
  accountDeleted: { erasedOn: "22 December 2026" },
  alreadyRegistered: {},
  emailChange: { code: "K7QX2M9P", minutes: 15 },
  emailChangeNotice: {
    newEmail: "new@example.test",
    hasHappened: false,
    recoverUrl: "https://app.example.test/recover",
  },
  emailInUse: {},
  exportReady: { downloadUrl: "https://api.example.test/exports/tge_x", hours: 48 },
  invite: {
    projectName: "Weather\r\nBcc: everyone@example.test",
    inviter: "Ann Example",
    role: "developer",
    acceptUrl: "https://app.example.test/invites/ivt_x",
    days: 7,
  },
  receipt: {
    amount: "25.00 USD",
    accountName: "Weather Ltd",
    paymentId: "pay_x",
    receiptUrl: null,
    dashboardUrl: "https://app.example.test",
  },
  keyLeaked: {
    keyName: "production",
    keyStart: "tg_live_4fDq",
    projectName: "Weather",
    dashboardUrl: "https://app.example.test/projects/prj_x",
  },
  passwordChanged: { recoverUrl: "https://app.example.test/recover" },
  recovery: { resetUrl: "https://app.example.test/reset?token=tgp_x", minutes: 10 },
  verification: { code: "K7QX2M9P", minutes: 5 },
  webhookDisabled: { host: "hooks.example.test", reason: "failing", dashboardUrl: "https://app.example.test" },
  welcome: { gatewayUrl: "https://gateway.example.test", referenceUrl: "https://api.example.test/reference" },
};

test.each(Object.keys(EMAIL_TEMPLATES).filter(isEmailTemplate))(
  "the mail %s says the same in text and in HTML, and loads nothing from elsewhere",
  (name) => {
    const mail = renderEmail(name, SAMPLES[name]);
    expect(mail.subject).not.toMatch(/[\r\n]/);
    expect(mail.subject.length).toBeGreaterThan(5);
    const visible = mail.html
      .replace(/<style>.*?<\/style>/s, "")
      .replace(/<[^>]+>/g, "\n")
      .replaceAll("&lt;", "<")
      .replaceAll("&gt;", ">")
      .replaceAll("&#39;", "'")
      .replaceAll("&quot;", '"');
    for (const line of mail.text.split("\n").filter((line) => line !== "" && !line.startsWith("-- "))) {
      const withoutUrl = line.replace(/: https:\S+$/, "");
      expect(visible).toContain(withoutUrl);
    }
    expect(mail.html).not.toMatch(/\b(src|background)=|url\(|@import|<script/i);
  },
);

test("a verification mail shows its code in the subject, the text and the HTML", () => {
  const mail = renderEmail("verification", SAMPLES.verification);
  expect(mail.subject).toContain("K7QX2M9P");
  expect(mail.text).toMatch(/^K7QX2M9P$/m);
  expect(mail.html).toContain(">K7QX2M9P<");
});

test("what a mail is told cannot break out of its HTML", () => {
  const { html } = renderLayout({
    subject: "</title><script>",
    heading: '<img src=x onerror="x">',
    blocks: [
      { kind: "text", text: "a & b < c" },
      { kind: "button", label: "<b>", url: 'https://example.test/"onclick="x' },
    ],
  });
  expect(html).not.toMatch(/<script|<img|<b>|"onclick/);
  expect(html).toContain("a &amp; b &lt; c");
});

test("a template that is not told what it needs is refused", () => {
  expect(() => renderEmail("verification", { code: "K7QX2M9P" })).toThrow();
  expect(isEmailTemplate("constructor")).toBe(false);
});

test("a mail's data can be opened with the secret that sealed it, and with no other", () => {
  const sealed = sealData("one secret", { code: "K7QX2M9P" });
  expect(JSON.stringify(sealed)).not.toContain("K7QX2M9P");
  expect(unsealData("one secret", sealed)).toEqual({ code: "K7QX2M9P" });
  expect(() => unsealData("another secret", sealed)).toThrow();
  expect(() => unsealData("one secret", {})).toThrow(/not there/);
});
