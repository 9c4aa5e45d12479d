import type { ErrorCode, ProblemDetails } from "@tollgate/kernel";
import { ERROR_CODES } from "@tollgate/kernel";

/** `OK`, or the code of the failure. */
export type Answer = "OK" | ErrorCode;

export interface RestAnswer {
  readonly answer: Answer;
  readonly status: number;
  readonly text: string;
}

const BY_STATUS: ReadonlyMap<number, ErrorCode> = new Map(
  Object.entries(ERROR_CODES).map(([code, { status }]) => [status, code as ErrorCode]),
);

/** Calls `keys.read` as `POST /rest/keys/read`. @throws Error for a status that no error of the product has */
export function callRest(
  url: string,
  procedure: string,
  input: unknown,
  token: string | undefined,
): Promise<RestAnswer> {
  return postRest(url, procedure, input === undefined ? undefined : JSON.stringify(input), token);
}

/** The same with the text of a body. */
export async function postRest(
  url: string,
  procedure: string,
  body: string | undefined,
  token: string | undefined,
): Promise<RestAnswer> {
  const response = await fetch(`${url}/rest/${procedure.replaceAll(".", "/")}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body }),
  });
  const text = isStream(response) ? await firstOf(response) : await response.text();
  const answer = response.status === 200 ? "OK" : BY_STATUS.get(response.status);
  if (answer === undefined) throw new Error(`${procedure} answered ${response.status}: ${text}`);
  return { answer, status: response.status, text };
}

/** The answer of a call that has to succeed. @throws Error if it does not */
export async function mustCallRest<Output>(
  url: string,
  procedure: string,
  input: unknown,
  token: string | undefined,
): Promise<Output> {
  const { answer, text } = await callRest(url, procedure, input, token);
  if (answer !== "OK") throw new Error(`${procedure} answered ${answer}: ${text}`);
  return JSON.parse(text) as Output;
}

/** The problem document of a failed call. */
export const problemOf = ({ text }: RestAnswer): ProblemDetails => JSON.parse(text) as ProblemDetails;

const isStream = (response: Response): boolean => response.headers.get("content-type") === "text/event-stream";

/** The first event of a stream, which is closed then. */
async function firstOf(response: Response): Promise<string> {
  let text = "";
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    if (/^data:.*\n\n/m.test(text)) break;
  }
  return text;
}
