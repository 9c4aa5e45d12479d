import type {
  Adjustment,
  AlertRule,
  CardList,
  Charge,
  Checkout,
  GeneratedKey,
  Incident,
  Project,
  ProjectInvite,
  SessionTokens,
  WebhookDelivery,
  WebhookSecret,
} from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newCallId, newId, toMicros } from "@tollgate/kernel";
import { walletBudgetId } from "@tollgate/services/budgets";
import { foldCalls, formatCallRecord } from "@tollgate/services/metering";
import { provisionCustomer } from "@tollgate/services/seed";
import { mustCallRest } from "./callRest.ts";
import type { TestApi } from "./testApi.ts";

/** Who belongs to a tenant. `neighbour` is in another project of the same billing account, and in no other. */
export const ROLES = ["owner", "admin", "developer", "billing", "viewer"] as const;
export type Role = (typeof ROLES)[number];
export type TenantPerson = Role | "coOwner" | "neighbour" | "banned" | "departed";

export interface Person {
  readonly customerId: string;
  readonly email: string;
  readonly billingAccountId: string;
  /** The access token; undefined for those who have lost their access. */
  readonly token: string;
  readonly refreshToken: string;
}

/** A customer of the product with everything that one has: people, projects, keys, money, usage, mails, invitations. */
export interface Tenant {
  readonly people: Readonly<Record<TenantPerson, Person>>;
  /** What an id field is filled with, by the prefix of the id. */
  readonly ids: Readonly<Record<string, string>>;
  readonly keyText: string;
  /** An invitation of the viewer to the tenant's other project. */
  readonly inviteToViewer: string;
  /** An owner's token of before everybody else's time: it has expired. */
  readonly expiredToken: string;
}

export const PASSWORD = "seven green llamas";
const TOKEN_LIFETIME_MS = 15 * 60_000;
const WALLET_MICROS = "10000000";

export const API = {
  name: "weather",
  displayName: "Weather",
  description: "The weather of tomorrow",
  category: "data",
  openapi: {
    openapi: "3.1.0",
    info: { title: "Weather", version: "1" },
    paths: { "/forecast": { get: { responses: { "200": { description: "The forecast" } } } } },
  },
  endpoints: [{ name: "forecast", method: "GET", path: "/forecast", priceMicros: "1000" }],
} as const;

type Call = <Output>(procedure: string, input: unknown, token: string | undefined) => Promise<Output>;

/** An operator of the deployment. */
export async function createOperator(api: TestApi): Promise<Person> {
  return signIn(api, await provision(api, "operator@deployment.test", true));
}

/** Somebody who has signed up and nothing else. */
export async function createCustomer(api: TestApi, email: string): Promise<Person> {
  return signIn(api, await provision(api, email, false));
}

/** The published API that every tenant calls. @returns the id of its endpoint */
export async function publishWeather(api: TestApi): Promise<string> {
  const published = await mustCallRest<{ endpoints: { id: string }[] }>(
    api.url,
    "catalog.publish",
    API,
    api.serviceToken,
  );
  const [endpoint] = published.endpoints;
  if (endpoint === undefined) throw new Error("The API was published without its endpoint");
  return endpoint.id;
}

/** An incident that everybody is told of. @returns its id */
export async function openIncident(api: TestApi, operator: Person): Promise<string> {
  const incident = { title: "Calls are slow", message: "We look for the cause." };
  return (await mustCallRest<Incident>(api.url, "status.openIncident", incident, operator.token)).id;
}

/** A complete tenant, made through the API wherever there is a procedure for it. Moves the clock past a token's life. */
export async function createTenant(
  api: TestApi,
  name: string,
  world: { readonly operator: Person; readonly endpointId: string; readonly incidentId: string },
): Promise<Tenant> {
  const call: Call = (procedure, input, token) => mustCallRest(api.url, procedure, input, token);
  const { owner: known, ...others } = await provisionPeople(api, name);
  const expired = await signIn(api, known);
  api.clock.advanceMs(TOKEN_LIFETIME_MS + 60_000);
  // Another device of the owner: a session to be revoked.
  const device = await signIn(api, known);
  const owner = await signIn(api, known);
  const people = { owner, ...others } as Record<TenantPerson, Person>;
  for (const [person, account] of Object.entries(others)) {
    people[person as TenantPerson] = await signIn(api, account);
  }
  const operator = await signIn(api, world.operator);
  const { billingAccountId } = owner;
  const main = await call<Project>("projects.create", { name: `${name} main`, billingAccountId }, owner.token);
  const second = await call<Project>("projects.create", { name: `${name} second`, billingAccountId }, owner.token);
  const join = (project: Project, person: Person, role: Role) => addMember(call, project, owner, person, role);
  await join(main, people.coOwner, "owner");
  for (const role of ["admin", "developer", "billing", "viewer"] as const) await join(main, people[role], role);
  await join(second, people.neighbour, "owner");
  const invite = (project: Project, email: string) =>
    call<ProjectInvite>("projects.invite", { projectId: project.id, email, role: "viewer" }, owner.token);
  const toStranger = await invite(main, `guest@${name}.test`);
  const toViewer = await invite(second, people.viewer.email);
  const key = await call<GeneratedKey>("keys.generate", { projectId: main.id }, people.developer.token);
  const debit = await moveCredit(call, billingAccountId, operator);
  const callId = await makeCall(api, { billingAccountId, projectId: main.id, keyId: key.id, ...world });
  await linkIdentity(api, owner, name);
  const { endpoint } = await call<WebhookSecret>(
    "webhooks.createEndpoint",
    { projectId: main.id, url: "https://example.com/webhooks", events: ["*"] },
    owner.token,
  );
  const delivery = await call<WebhookDelivery>("webhooks.sendTest", { id: endpoint.id }, owner.token);
  const { cardId, paymentId } = await payByCard(api, call, owner);
  const rule = await call<AlertRule>(
    "alerts.createRule",
    {
      projectId: main.id,
      kind: "noUsage",
      name: "Silence",
      channels: [{ kind: "webhook", url: "https://example.com/alerts" }],
    },
    owner.token,
  );
  const alertId = newId("alert");
  await api.database.db.insert(schema.alerts).values({
    id: alertId,
    ruleId: rule.id,
    projectId: main.id,
    title: "Silence",
    text: "There was no call",
    createdAt: api.clock.now(),
  });
  await call("customers.ban", { id: people.banned.customerId, reason: "Does not belong here" }, operator.token);
  await call("customers.delete", { id: people.departed.customerId }, operator.token);
  return {
    people,
    ids: {
      cus: people.viewer.customerId,
      ba: billingAccountId,
      txn: debit.id,
      inv: await insertInvoice(api, billingAccountId),
      prj: main.id,
      key: key.id,
      ivt: toStranger.id,
      pay: paymentId,
      pm: cardId,
      arl: rule.id,
      alt: alertId,
      whk: endpoint.id,
      whd: delivery.id,
      ses: sessionOf(device),
      ep: world.endpointId,
      call: callId,
      inc: world.incidentId,
    },
    keyText: key.key,
    inviteToViewer: toViewer.id,
    expiredToken: expired.token,
  };
}

/** A saved card of the owner's account, and a payment with it. */
async function payByCard(api: TestApi, call: Call, owner: Person): Promise<{ cardId: string; paymentId: string }> {
  const { billingAccountId } = owner;
  const checkout = { billingAccountId, amountCents: 1_000, saveCard: true };
  const { sessionId } = await call<Checkout>("payments.createCheckoutSession", checkout, owner.token);
  api.stripe.completeCheckout(sessionId);
  const { items } = await call<CardList>("payments.listCards", { billingAccountId }, owner.token);
  const cardId = items[0]?.id ?? "";
  await call("payments.setDefaultCard", { billingAccountId, cardId }, owner.token);
  const charge = { billingAccountId, cardId, amountCents: 1_000, idempotencyKey: "first" };
  const { payment } = await call<Charge>("payments.chargeCard", charge, owner.token);
  return { cardId, paymentId: payment.id };
}

async function provisionPeople(api: TestApi, name: string): Promise<Record<TenantPerson, Person>> {
  const people = [...ROLES, "coOwner", "neighbour", "banned", "departed"] as const;
  const provisioned = await Promise.all(
    people.map(
      async (person) => [person, await provision(api, `${person.toLowerCase()}@${name}.test`, false)] as const,
    ),
  );
  return Object.fromEntries(provisioned) as Record<TenantPerson, Person>;
}

async function provision(api: TestApi, email: string, isOperator: boolean): Promise<Person> {
  const made = await provisionCustomer({ ctx: api.system, input: { email, password: PASSWORD, isOperator } });
  return { ...made, email, token: "", refreshToken: "" };
}

/** A new session of a person. */
export async function signIn(api: TestApi, person: Person): Promise<Person> {
  const { email } = person;
  const tokens = await mustCallRest<SessionTokens>(
    api.url,
    "customers.login",
    { email, password: PASSWORD },
    undefined,
  );
  return { ...person, token: tokens.accessToken, refreshToken: tokens.refreshToken };
}

const sessionOf = ({ refreshToken }: Person): string => `ses_${refreshToken.split("_")[1] ?? ""}`;

async function addMember(call: Call, project: Project, owner: Person, person: Person, role: Role): Promise<void> {
  const input = { projectId: project.id, email: person.email, role };
  const { id } = await call<ProjectInvite>("projects.invite", input, owner.token);
  await call("projects.acceptInvite", { id }, person.token);
}

/** Credit, and a debit of some of it. */
async function moveCredit(call: Call, billingAccountId: string, operator: Person): Promise<Adjustment> {
  const adjustment = { billingAccountId, micros: WALLET_MICROS, reference: "Credit", idempotencyKey: "credit" };
  await call("balance.increment", adjustment, operator.token);
  return call("balance.decrement", { ...adjustment, micros: "1000", idempotencyKey: "debit" }, operator.token);
}

/** One paid call, as a gateway reports it. */
async function makeCall(
  api: TestApi,
  about: {
    readonly billingAccountId: string;
    readonly projectId: string;
    readonly keyId: string;
    readonly endpointId: string;
  },
): Promise<string> {
  const { billingAccountId, projectId, keyId, endpointId } = about;
  const id = newCallId(api.clock.nowMs());
  const record = formatCallRecord({
    sequence: 1,
    id,
    holderId: newId("gateway"),
    billingAccountId,
    projectId,
    keyId,
    endpointId,
    mode: "live",
    outcome: "charged",
    status: 200,
    latencyMs: 12,
    units: 1,
    unitPriceMicros: 1_000,
    chargedMicros: 1_000,
    requestBytes: 100,
    responseBytes: 2_000,
    draws: `${walletBudgetId(billingAccountId)}=1000`,
  });
  const batch = { source: `${newId("gateway")}.0`, sequence: 1, records: record };
  await foldCalls(api.database, api.clock, batch);
  return id;
}

/** An invoice that waits to be paid; a period would have to pass to make one. */
async function insertInvoice(api: TestApi, billingAccountId: string): Promise<string> {
  const now = api.clock.now();
  const id = newId("invoice");
  const party = { name: "Somebody", address: null, taxId: null, email: null };
  await api.database.db.insert(schema.invoices).values({
    id,
    billingAccountId,
    kind: "usage",
    status: "final",
    number: id,
    periodStart: now,
    periodEnd: now,
    timeZone: "UTC",
    currency: "usd",
    totalMicros: toMicros(1_000n),
    dueMicros: toMicros(1_000n),
    seller: party,
    customer: party,
    createdAt: now,
    updatedAt: now,
  });
  return id;
}

/** The account at a provider that the owner signs in with as well; a provider would have to take part in making it. */
async function linkIdentity(api: TestApi, owner: Person, name: string): Promise<void> {
  const now = api.clock.now();
  await api.database.db.insert(schema.oauthIdentities).values({
    provider: "github",
    subject: `owner of ${name}`,
    customerId: owner.customerId,
    email: owner.email,
    createdAt: now,
    lastUsedAt: now,
  });
}
