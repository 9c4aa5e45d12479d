import type { ServiceContext } from "../context.ts";
import { parseRetryAfter } from "../outbound/index.ts";
import { SinkUnavailableError } from "./sink.ts";

const TIMEOUT_MS = 20_000;

export interface SinkRequest {
  readonly url: string;
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/**
 * Asks a sink over HTTP. An answer that another attempt may change (429, 5xx, and refused credentials, which an operator
 * puts right) is an outage; what the request said is in no error.
 * @throws SinkUnavailableError
 */
export async function askSink(
  ctx: ServiceContext,
  { url, method, headers, body }: SinkRequest,
): Promise<{ readonly status: number; readonly text: string }> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await response.text();
  } catch (error) {
    throw new SinkUnavailableError(`No answer: ${error instanceof Error ? error.name : "unknown"}`);
  }
  const { status } = response;
  if (status === 429 || status >= 500 || status === 401 || status === 403) {
    const retryAfter = response.headers.get("retry-after");
    throw new SinkUnavailableError(
      `Answered ${status}`,
      retryAfter === null ? undefined : parseRetryAfter(retryAfter, ctx.clock.now()),
    );
  }
  return { status, text };
}

export const basicAuthorization = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
