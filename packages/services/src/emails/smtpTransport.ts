import { createTransport } from "nodemailer";
import type SMTPPool from "nodemailer/lib/smtp-pool";
import type { MailTransport, OutgoingMail } from "./mailTransport.ts";
import { MailRejectedError } from "./mailTransport.ts";

const CONNECTIONS_MAX = 5;
const CONNECT_TIMEOUT_MS = 10_000;
const SOCKET_TIMEOUT_MS = 30_000;

/**
 * Mails over SMTP. `url` is `smtp://user:password@host:port` (upgraded to TLS when the server offers it) or `smtps://…`
 * (TLS from the start); `from` is the sender, as `Name <address>` or an address.
 */
export function createSmtpTransport(url: string, from: string): MailTransport {
  const transporter = createTransport(poolOptions(new URL(url)));
  return {
    send: async (mail) => {
      try {
        await transporter.sendMail(toMessage(mail, from));
      } catch (error) {
        if (!isRejection(error)) throw error;
        throw new MailRejectedError("The mail was refused for good", {
          cause: error,
          isUndeliverable: namesBadMailbox(error),
        });
      }
    },
    close: async () => transporter.close(),
  };
}

function poolOptions(url: URL): SMTPPool.Options {
  const isSecure = url.protocol === "smtps:";
  if (!isSecure && url.protocol !== "smtp:") throw new Error(`Not an SMTP address: ${url.protocol}//${url.host}`);
  return {
    pool: true,
    maxConnections: CONNECTIONS_MAX,
    host: url.hostname,
    port: url.port === "" ? (isSecure ? 465 : 587) : Number(url.port),
    secure: isSecure,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    ...(url.username === ""
      ? {}
      : { auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) } }),
  };
}

function toMessage(mail: OutgoingMail, from: string) {
  return {
    from,
    to: { name: "", address: mail.to },
    subject: mail.subject,
    text: mail.text,
    html: mail.html,
    messageId: mail.messageId,
    attachments: (mail.attachments ?? []).map(({ fileName, contentType, content }) => ({
      filename: fileName,
      contentType,
      content,
    })),
    // Keeps mailboxes on holiday from answering (RFC 3834).
    headers: { "Auto-Submitted": "auto-generated", ...unsubscribeHeaders(mail) },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** What lets a mail program offer its own button (RFC 2369, and RFC 8058 for the single click). */
function unsubscribeHeaders({ unsubscribeUrl }: OutgoingMail): Record<string, string> {
  if (unsubscribeUrl === undefined) return {};
  return { "List-Unsubscribe": `<${unsubscribeUrl}>`, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click" };
}

/** A 5xx answer to the envelope or the message. A 5xx to the login is our own mistake, and is tried again. */
function isRejection(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, responseCode } = error as { code?: unknown; responseCode?: unknown };
  return (code === "EENVELOPE" || code === "EMESSAGE") && typeof responseCode === "number" && responseCode >= 500;
}

/**
 * The enhanced status of the answer (RFC 3463, RFC 7505): there is no such mailbox (5.1.1, 5.1.6), no such domain (5.1.2) or
 * none that takes mail (5.1.10), or the mailbox is switched off (5.2.1).
 */
function namesBadMailbox(error: unknown): boolean {
  const { response } = error as { response?: unknown };
  return typeof response === "string" && /\b5\.(?:1\.(?:1|2|6|10)|2\.1)\b/.test(response);
}
