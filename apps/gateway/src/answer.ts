import type { ServerResponse } from "node:http";
import { ERROR_CODES, problemOf } from "@tollgate/kernel";
import type { Refusal } from "./admission/refusal.ts";

/** Answers a refused call with problem details (RFC 9457). Nothing is sent if the answer has already begun. */
export function answerRefusal(response: ServerResponse, refusal: Refusal, callId: string, path: string): void {
  if (response.headersSent || response.destroyed) return;
  const body = JSON.stringify(problemOf(refusal, callId, path));
  response.writeHead(ERROR_CODES[refusal.code].status, [
    "Content-Type",
    "application/problem+json",
    "Content-Length",
    String(Buffer.byteLength(body)),
    "Tollgate-Call-Id",
    callId,
    "Cache-Control",
    "no-store",
    ...(refusal.headers ?? []),
  ]);
  response.end(body);
}
