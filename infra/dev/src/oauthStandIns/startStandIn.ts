import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { randomBase62 } from "@tollgate/kernel";
import { authorize, carriedParameters } from "./authorize.ts";
import { renderConsentPage } from "./consentPage.ts";
import type { Grant, StandInPerson } from "./grants.ts";
import { Grants } from "./grants.ts";

const HOST = "127.0.0.1";

/** What can be wrong with a provider. `hang`: it takes connections and does not answer. */
export type StandInFault = "none" | "error" | "hang" | "forged token";

/** What one stand-in has of its own: where things are and what it answers. */
export interface StandInKind {
  readonly name: string;
  readonly clientId: string;
  readonly authorizePath: string;
  readonly tokenPath: string;
  /** Answers of further GET endpoints; undefined is a 401. */
  readonly routes: Readonly<Record<string, (about: { url: string; person: StandInPerson | undefined }) => unknown>>;
  answerToken(issued: { grant: Grant; accessToken: string; url: string; fault: StandInFault }): object;
  refuseToken(): { readonly status: number; readonly body: object };
}

/** A provider that runs here. */
export interface StandIn {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** What is wrong with it from now on, everywhere but at the page where people sign in. */
  setFault(fault: StandInFault): void;
  stop(): Promise<void>;
}

/** Starts one stand-in. Port 0 means any. */
export async function startStandIn(kind: StandInKind, port: number): Promise<StandIn> {
  const clientSecret = randomBase62(32);
  const grants = new Grants(clientSecret);
  let fault: StandInFault = "none";
  let url = "";
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = new URL(request.url ?? "/", url);
    if (target.pathname === kind.authorizePath) return answerAuthorize(target, response);
    if (fault === "hang") return;
    if (fault === "error") return sendJson(response, 500, { error: "server_error" });
    if (target.pathname === kind.tokenPath && request.method === "POST") return answerToken(request, response);
    const route = kind.routes[target.pathname];
    if (route === undefined) return sendJson(response, 404, { error: "not_found" });
    const body = route({ url, person: grants.findPerson(request.headers.authorization) });
    return body === undefined ? sendJson(response, 401, { error: "invalid_token" }) : sendJson(response, 200, body);
  }

  function answerAuthorize(target: URL, response: ServerResponse): void {
    const outcome = authorize(target.searchParams, kind.clientId, grants);
    switch (outcome.kind) {
      case "page":
        response.writeHead(200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" });
        response.end(renderConsentPage(kind.name, carriedParameters(target.searchParams)));
        return;
      case "redirect":
        response.writeHead(302, { location: outcome.to, "cache-control": "no-store" }).end();
        return;
      case "refused":
        sendJson(response, 400, { error: "invalid_request", error_description: outcome.message });
    }
  }

  async function answerToken(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams(await text(request));
    const redeemed = grants.redeem({
      code: form.get("code"),
      clientId: form.get("client_id"),
      clientSecret: form.get("client_secret"),
      redirectUri: form.get("redirect_uri"),
      codeVerifier: form.get("code_verifier"),
    });
    if (redeemed !== undefined) return sendJson(response, 200, kind.answerToken({ ...redeemed, url, fault }));
    const { status, body } = kind.refuseToken();
    return sendJson(response, status, body);
  }

  server.listen(port, HOST);
  await once(server, "listening");
  url = `http://${HOST}:${(server.address() as AddressInfo).port}`;
  return {
    url,
    clientId: kind.clientId,
    clientSecret,
    setFault: (next) => {
      fault = next;
    },
    stop: async () => {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, "close");
    },
  };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}
