import type { FieldIssue } from "@tollgate/kernel";
import { delay, jitteredBackoffMs } from "@tollgate/kernel";

const ATTEMPT_TIMEOUT_MS = 10_000;
const RETRY_BASE_MS = 200;
const RETRY_CAP_MS = 5_000;

/** One priced operation of an API, as the catalogue takes it. */
export interface EndpointDefinition {
  /** The gateway serves it at `/v1/<api>/<name>`. */
  readonly name: string;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path on the upstream; must be in the OpenAPI document. */
  readonly path: string;
  /** Integer micros (1/1,000,000 of the currency unit) as a decimal string; of one unit if {@link unit} is set. */
  readonly priceMicros: string;
  /** Calls a month that a paid endpoint gives away to each project. */
  readonly freePerMonth: number;
  /** What is counted when it is not calls: the upstream's `Tollgate-Units`, or `byte` or `millisecond` as measured. */
  readonly unit?: string;
  /** Most units that one call may cost; reserved before it and settled after. */
  readonly maxUnits?: number;
  readonly meter?: "call" | "message";
  readonly chargeOn4xx?: boolean;
  readonly timeoutMs?: number;
}

export interface ApiDefinition {
  readonly name: string;
  readonly displayName: string;
  readonly description: string;
  readonly category: string;
  readonly icon?: string;
  /** An OpenAPI 3.0 or 3.1 document. */
  readonly openapi: Readonly<Record<string, unknown>>;
  readonly endpoints: readonly EndpointDefinition[];
  readonly examples?: readonly Readonly<Record<string, unknown>>[];
  readonly upstreamUrls?: readonly string[];
  readonly deleteDataUrl?: string;
}

export interface PublishApiOptions {
  /** Public address of the control plane. */
  readonly apiUrl: string;
  readonly serviceToken: string;
  readonly definition: ApiDefinition;
  /** Ends the attempts. */
  readonly signal?: AbortSignal;
  /** Told before each new attempt what went wrong with the last. */
  readonly onRetry?: (error: unknown, attempt: number) => void;
}

/** The catalogue understood the definition and does not take it; trying again will not help. */
export class PublishRefusedError extends Error {
  override readonly name = "PublishRefusedError";
  readonly status: number;
  readonly issues: readonly FieldIssue[];

  constructor(status: number, detail: string, issues: readonly FieldIssue[]) {
    super(
      [
        `The catalogue refused the API (${status}): ${detail}`,
        ...issues.map(({ path, message }) => `${path}: ${message}`),
      ].join("; "),
    );
    this.status = status;
    this.issues = issues;
  }
}

/**
 * Publishes an API to the catalogue, or brings it up to date; the same definition twice changes nothing. Waits for a
 * control plane that is not up yet, for ever or until the signal aborts.
 * @returns whether it was published; false only if aborted
 * @throws PublishRefusedError if the catalogue says no
 */
export async function publishApi(options: PublishApiOptions): Promise<boolean> {
  const isAborted = (): boolean => options.signal?.aborted ?? false;
  for (let attempt = 1; !isAborted(); attempt += 1) {
    try {
      await publishOnce(options);
      return true;
    } catch (error) {
      if (error instanceof PublishRefusedError) throw error;
      if (isAborted()) return false;
      options.onRetry?.(error, attempt);
    }
    await delay(jitteredBackoffMs(attempt, RETRY_BASE_MS, RETRY_CAP_MS), options.signal);
  }
  return false;
}

async function publishOnce({ apiUrl, serviceToken, definition, signal }: PublishApiOptions): Promise<void> {
  const timeout = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
  const response = await fetch(new URL("/rest/catalog/publish", apiUrl), {
    method: "POST",
    headers: { authorization: `Bearer ${serviceToken}`, "content-type": "application/json" },
    body: JSON.stringify(definition),
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
  });
  const text = await response.text();
  if (response.ok) return;
  if (response.status >= 500 || [408, 409, 425, 429].includes(response.status)) {
    throw new Error(`The control plane answered ${response.status}`);
  }
  const { detail, issues } = readProblem(text);
  throw new PublishRefusedError(response.status, detail ?? (text.slice(0, 200) || response.statusText), issues);
}

/** What an RFC 9457 problem document says; nothing if it is not one. */
function readProblem(text: string): { detail: string | undefined; issues: readonly FieldIssue[] } {
  let problem: unknown;
  try {
    problem = JSON.parse(text);
  } catch {
    return { detail: undefined, issues: [] };
  }
  if (typeof problem !== "object" || problem === null) return { detail: undefined, issues: [] };
  const detail = "detail" in problem && typeof problem.detail === "string" ? problem.detail : undefined;
  const issues = "issues" in problem && Array.isArray(problem.issues) ? problem.issues.filter(isFieldIssue) : [];
  return { detail, issues };
}

function isFieldIssue(value: unknown): value is FieldIssue {
  return (
    typeof value === "object" &&
    value !== null &&
    "path" in value &&
    typeof value.path === "string" &&
    "message" in value &&
    typeof value.message === "string"
  );
}
