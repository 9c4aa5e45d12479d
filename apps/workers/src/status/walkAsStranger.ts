import { delay, randomBase62 } from "@tollgate/kernel";

/**
 * A walk through the product as somebody who has never been here: signs up with a mailed code, makes a key, makes a paid
 * call, finds it in the usage and in the balance, ends the key and leaves. It goes through the public addresses and knows
 * nothing but what a stranger knows; only the mail is read for it, because nobody gets it.
 */
export interface Walk {
  readonly apiUrl: string;
  readonly gatewayUrl: string;
  /** `api/endpoint` of a paid endpoint, and what a call of it costs. */
  readonly call: string;
  readonly priceMicros: bigint;
  readonly email: string;
  /** Reads the code out of the stranger's mail. */
  readCode(): Promise<string>;
  readonly signal: AbortSignal;
}

export interface WalkOutcome {
  readonly steps: { readonly name: string; readonly ms: number }[];
  readonly failure: { readonly step: string; readonly error: string } | null;
}

const REQUEST_MS = 15_000;
/** Usage is there within a second; when workers are busy, a little later. */
const PATIENCE_MS = 60_000;
const LOOK_AGAIN_MS = 250;
const ERROR_CHARACTERS_MAX = 300;

interface State {
  token: string;
  projectId: string;
  billingAccountId: string;
  balanceMicros: bigint;
  keyId: string;
  key: string;
  callId: string;
  code: string;
}

type Step = (walk: Walk, state: State) => Promise<void>;

const STEPS: Readonly<Record<string, Step>> = {
  askForCode: async (walk, state) => {
    await rest(walk, "onboarding/sendVerificationEmail", { email: walk.email });
    state.code = await walk.readCode();
  },
  signUp: async (walk, state) => {
    const { email } = walk;
    const signedUp = await rest(walk, "onboarding/completeSignup", {
      email,
      code: state.code,
      password: randomBase62(24),
    });
    state.token = textIn(signedUp, "accessToken");
    const me = await rest(walk, "customers/me", {}, state.token);
    const [project] = me["projects"] as Record<string, unknown>[];
    if (project === undefined) throw new Error("They have no project");
    state.projectId = textIn(project, "id");
    state.billingAccountId = textIn(project, "billingAccountId");
    state.balanceMicros = await balanceOf(walk, state);
  },
  generateKey: async (walk, state) => {
    const generated = await rest(walk, "keys/generate", { projectId: state.projectId, name: "Self-test" }, state.token);
    state.keyId = textIn(generated, "id");
    state.key = textIn(generated, "key");
  },
  call: async (walk, state) => {
    // Gateways hear of what was published a moment ago a moment later; that happens once in a deployment.
    const response = await eventually(walk, "an answer of the gateway", async () => {
      const answer = await callGateway(walk, state);
      return answer.status === 404 ? undefined : answer;
    });
    if (response.status !== 200) throw new Error(`The gateway answered ${response.status}`);
    const price = response.headers.get("tollgate-price");
    if (price !== walk.priceMicros.toString())
      throw new Error(`The call was priced at ${price}, not at ${walk.priceMicros}`);
    state.callId = response.headers.get("tollgate-call-id") ?? "";
  },
  usage: async (walk, state) => {
    const input = { projectId: state.projectId, keyId: state.keyId };
    const call = await eventually(walk, "the call in the usage", async () => {
      const { items } = (await rest(walk, "usage/calls", input, state.token)) as { items: Record<string, unknown>[] };
      return items.find(({ id }) => id === state.callId);
    });
    const charged = call["chargedMicros"];
    if (charged !== walk.priceMicros.toString())
      throw new Error(`The call was charged ${charged}, not ${walk.priceMicros}`);
  },
  balance: async (walk, state) => {
    await eventually(walk, "the call in the balance", async () => {
      return (await balanceOf(walk, state)) <= state.balanceMicros - walk.priceMicros || undefined;
    });
  },
  revokeKey: async (walk, state) => {
    await rest(walk, "keys/revoke", { id: state.keyId }, state.token);
    await eventually(
      walk,
      "the end of the key",
      async () => (await callGateway(walk, state)).status === 401 || undefined,
    );
  },
  leave: async (walk, state) => {
    await rest(walk, "customers/delete", { force: true }, state.token);
  },
};

export const WALK_STEPS: readonly string[] = Object.keys(STEPS);

/** Walks until the end or until a step fails; never throws. */
export async function walkAsStranger(walk: Walk): Promise<WalkOutcome> {
  const state: State = {
    token: "",
    projectId: "",
    billingAccountId: "",
    balanceMicros: 0n,
    keyId: "",
    key: "",
    callId: "",
    code: "",
  };
  const steps: WalkOutcome["steps"] = [];
  for (const [name, take] of Object.entries(STEPS)) {
    const startedAtMs = performance.now();
    try {
      await take(walk, state);
    } catch (error) {
      return { steps, failure: { step: name, error: describe(error) } };
    }
    steps.push({ name, ms: Math.round(performance.now() - startedAtMs) });
  }
  return { steps, failure: null };
}

/** What went wrong, for operators: answers are named by their status and code, so nothing that was sent is in it. */
const describe = (error: unknown): string =>
  (error instanceof Error ? error.message : "Something that is no error").slice(0, ERROR_CHARACTERS_MAX);

async function rest(walk: Walk, procedure: string, input: object, token?: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${walk.apiUrl}/rest/${procedure}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(input),
    redirect: "error",
    signal: AbortSignal.any([walk.signal, AbortSignal.timeout(REQUEST_MS)]),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${procedure} answered ${response.status} ${codeIn(text)}`);
  return JSON.parse(text) as Record<string, unknown>;
}

function codeIn(text: string): string {
  try {
    const { code, requestId } = JSON.parse(text) as { code?: unknown; requestId?: unknown };
    return `${code} (${requestId})`;
  } catch {
    return "without a problem document";
  }
}

async function callGateway(walk: Walk, { key }: State): Promise<{ status: number; headers: Headers }> {
  const response = await fetch(`${walk.gatewayUrl}/v1/${walk.call}`, {
    headers: { authorization: `Bearer ${key}` },
    redirect: "error",
    signal: AbortSignal.any([walk.signal, AbortSignal.timeout(REQUEST_MS)]),
  });
  await response.arrayBuffer();
  return response;
}

async function balanceOf(walk: Walk, { billingAccountId, token }: State): Promise<bigint> {
  return BigInt(textIn(await rest(walk, "balance/current", { billingAccountId }, token), "balance"));
}

/** Asks until there is an answer. @throws Error when there is none in time */
async function eventually<Answer>(walk: Walk, what: string, ask: () => Promise<Answer | undefined>): Promise<Answer> {
  const giveUpAtMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > giveUpAtMs) throw new Error(`There is not ${what} after ${PATIENCE_MS / 1_000} s`);
    await delay(LOOK_AGAIN_MS, walk.signal);
  }
}

function textIn(answer: Readonly<Record<string, unknown>>, field: string): string {
  const value = answer[field];
  if (typeof value !== "string" || value === "") throw new Error(`An answer has no ${field}`);
  return value;
}
