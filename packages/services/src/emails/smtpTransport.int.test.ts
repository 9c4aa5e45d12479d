import { startMailCatcher } from "@tollgate/dev/mail-catcher";
import { SMTPServer } from "smtp-server";
import { expect, test } from "vitest";
import { createSmtpTransport, MailRejectedError } from "./index.ts";

const mail = {
  to: "someone@example.test",
  subject: "Grüße 👋",
  text: "plain",
  html: "<p>html</p>",
  messageId: "<eml_12345678@api.example.test>",
};

test("a mail goes out over SMTP as it was composed", async () => {
  const catcher = await startMailCatcher({ smtpPort: 0, httpPort: 0 });
  const transport = createSmtpTransport(catcher.smtpUrl, "Tollgate <no-reply@example.test>");
  try {
    await transport.send(mail);
    const answer = await fetch(`${catcher.httpUrl}/messages?to=${mail.to}`);
    expect(await answer.json()).toEqual([
      expect.objectContaining({ to: mail.to, subject: mail.subject, text: "plain", html: "<p>html</p>" }),
    ]);
  } finally {
    await transport.close();
    await catcher.stop();
  }
});

test("a file that goes along arrives byte by byte, under its name", async () => {
  const raw: Buffer[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    onData: (stream, _, callback) => {
      stream.on("data", (chunk: Buffer) => raw.push(chunk));
      stream.on("end", () => callback());
    },
  });
  const port = await new Promise<number>((resolve) => {
    const listening = server.listen(0, "127.0.0.1", () => {
      const address = listening.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  const transport = createSmtpTransport(`smtp://127.0.0.1:${port}`, "no-reply@example.test");
  try {
    const content = Buffer.from("%PDF-1.7 \u00e4");
    await transport.send({
      ...mail,
      attachments: [{ fileName: "INV-00042.pdf", contentType: "application/pdf", content }],
    });
    const message = Buffer.concat(raw).toString();
    expect(message).toContain("Content-Type: application/pdf; name=INV-00042.pdf");
    expect(message).toContain("Content-Disposition: attachment; filename=INV-00042.pdf");
    expect(message).toContain(content.toString("base64"));
  } finally {
    await transport.close();
    await new Promise<void>((resolve) => server.close(resolve));
  }
});

test.each([
  { responseCode: 550, isForGood: true },
  { responseCode: 451, isForGood: false },
])("a recipient refused with $responseCode is refused for good: $isForGood", async ({ responseCode, isForGood }) => {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    onRcptTo: (_, __, callback) => callback(Object.assign(new Error("not here"), { responseCode })),
  });
  const port = await new Promise<number>((resolve) => {
    const listening = server.listen(0, "127.0.0.1", () => {
      const address = listening.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  const transport = createSmtpTransport(`smtp://127.0.0.1:${port}`, "no-reply@example.test");
  try {
    const error: unknown = await transport.send(mail).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(Error);
    expect(error instanceof MailRejectedError).toBe(isForGood);
  } finally {
    await transport.close();
    await new Promise<void>((resolve) => server.close(resolve));
  }
});

test("a server that is not there is an error to try again after, and other protocols are refused at once", async () => {
  const transport = createSmtpTransport("smtp://127.0.0.1:1", "no-reply@example.test");
  await expect(transport.send(mail)).rejects.not.toBeInstanceOf(MailRejectedError);
  await transport.close();
  expect(() => createSmtpTransport("http://127.0.0.1", "no-reply@example.test")).toThrow(/Not an SMTP address/);
});
