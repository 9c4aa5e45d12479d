import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";
import { isChannel, receive } from "./channels.ts";
import { Mailbox } from "./mailbox.ts";
import { renderMailPage } from "./mailPage.ts";

const HOST = "127.0.0.1";
const MAIL_BYTES_MAX = 25 * 1024 * 1024;
const BODY_BYTES_MAX = 1024 * 1024;

export interface MailCatcher {
  readonly smtpUrl: string;
  readonly httpUrl: string;
  /** Where alerts and webhooks can be sent, to be seen beside the mails; a path below each tells them apart. */
  readonly channelUrls: { readonly slack: string; readonly discord: string; readonly webhook: string };
  stop(): Promise<void>;
}

/**
 * Takes every mail over SMTP and shows it over HTTP instead of delivering it:
 * `GET /messages?to=<address>` answers `[{to, subject, text, html, at}]`, newest last; `DELETE /messages` forgets all;
 * `GET /` is a page for people. Port 0 means any. It also stands in for Slack, Discord and servers that receive webhooks:
 * what is posted to those is a message to `slack/…`, `discord/…` or `webhooks/…`.
 */
export async function startMailCatcher(ports: { smtpPort: number; httpPort: number }): Promise<MailCatcher> {
  const mailbox = new Mailbox();
  const smtp = createSmtpServer(mailbox);
  const http = createHttpServer(mailbox);
  await Promise.all([
    listen(smtp.server, () => smtp.listen(ports.smtpPort, HOST)),
    listen(http, () => http.listen(ports.httpPort, HOST)),
  ]);
  const httpUrl = `http://${HOST}:${portOf(http)}`;
  return {
    smtpUrl: `smtp://${HOST}:${portOf(smtp.server)}`,
    httpUrl,
    channelUrls: {
      slack: `${httpUrl}/slack/alerts`,
      discord: `${httpUrl}/discord/alerts`,
      webhook: `${httpUrl}/webhooks/test`,
    },
    stop: async () => {
      http.closeAllConnections();
      await Promise.all([
        new Promise<void>((resolve) => smtp.close(() => resolve())),
        new Promise<void>((resolve) => http.close(() => resolve())),
      ]);
    },
  };
}

function createSmtpServer(mailbox: Mailbox): SMTPServer {
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    disableReverseLookup: true,
    size: MAIL_BYTES_MAX,
    closeTimeout: 500,
    onData: (stream, session, done) => {
      simpleParser(stream).then((mail) => {
        for (const { address } of session.envelope.rcptTo) {
          mailbox.add({
            to: address,
            from: mail.from?.text ?? "",
            subject: mail.subject ?? "",
            text: mail.text ?? "",
            html: mail.html || "",
            at: new Date().toISOString(),
          });
        }
        done();
      }, done);
    },
  });
  // A client that breaks off is its own problem; what it had handed over is in the mailbox.
  smtp.on("error", (error) => process.emitWarning(error));
  return smtp;
}

function createHttpServer(mailbox: Mailbox): Server {
  return createServer((request, response) => {
    const url = new URL(request.url ?? "/", `http://${HOST}`);
    const route = `${request.method} ${url.pathname}`;
    if (route === "GET /messages") {
      const mails = mailbox.list(url.searchParams.get("to") ?? undefined);
      return answer(response, 200, "application/json", JSON.stringify(mails));
    }
    if (route === "DELETE /messages") {
      mailbox.clear();
      return answer(response, 204, "application/json", "");
    }
    if (route === "GET /") {
      const { searchParams: query } = url;
      const shown = mailbox.find(Number(query.get("id")));
      const view = { shown, isText: query.get("view") === "text", search: query.get("q")?.trim() ?? "" };
      return answer(response, 200, "text/html; charset=utf-8", renderMailPage(mailbox.list(), view));
    }
    if (request.method === "POST" && isChannel(url.pathname)) return void takePosted(mailbox, url, request, response);
    return answer(response, 404, "application/json", JSON.stringify({ error: `No such page: ${route}` }));
  });
}

async function takePosted(
  mailbox: Mailbox,
  { pathname }: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let text = "";
  try {
    for await (const chunk of request.setEncoding("utf8")) {
      text += chunk;
      if (text.length > BODY_BYTES_MAX) return answer(response, 413, "text/plain", "too_large");
    }
  } catch {
    // Whoever sent it has gone.
    return;
  }
  const { status, body, message } = receive(pathname, text, request.headers);
  if (message !== undefined) {
    const { "user-agent": from = "" } = request.headers;
    mailbox.add({ ...message, to: pathname.slice(1), from, html: "", at: new Date().toISOString() });
  }
  answer(response, status, body.startsWith("{") ? "application/json" : "text/plain", body);
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body);
}

async function listen(server: NodeJS.EventEmitter, start: () => unknown): Promise<void> {
  const listening = once(server, "listening");
  start();
  await listening;
}

function portOf(server: { address(): AddressInfo | string | null }): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server does not listen on a port");
  return address.port;
}
