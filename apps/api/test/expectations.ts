import type { Answer } from "./callRest.ts";
import type { Tenant } from "./tenant.ts";
import { API } from "./tenant.ts";

/**
 * Who gets which answer from which procedure, with the ids of the tenant `victim` in every id field. A stranger's id is
 * NOT_FOUND, a role that is too low FORBIDDEN, a token that is none UNAUTHORIZED.
 */
export const CALLERS = [
  "no token",
  "wrong token",
  "expired token",
  "banned",
  "stranger",
  "neighbour",
  "owner",
  "admin",
  "developer",
  "billing",
  "viewer",
  "operator",
  "service",
] as const;
export type Caller = (typeof CALLERS)[number];

/** Who has no business with the victim. */
export const OUTSIDERS: readonly Caller[] = ["no token", "wrong token", "expired token", "banned", "stranger"];

type Answers = Readonly<Record<Caller, Answer>>;
type Members = readonly ("owner" | "admin" | "developer" | "billing" | "viewer")[];

export interface Expectation {
  readonly answers: Answers;
  /** Instead of the derived input, or of some of its fields. */
  readonly input?: (victim: Tenant) => Readonly<Record<string, unknown>>;
  /** Whether {@link input} is all there is to the input. */
  readonly isWholeInput?: boolean;
  /** Which of several inputs of one procedure this is. */
  readonly variant?: string;
  /** Why an outsider's call may change something that names the victim. */
  readonly reachesVictim?: string;
  /** Why a refused call may leave a trace. */
  readonly refusalIsCounted?: string;
}

const fill = (answer: Answer, callers: readonly Caller[]): Partial<Answers> =>
  Object.fromEntries(callers.map((caller) => [caller, answer]));
const everybody = (answer: Answer): Answers => fill(answer, CALLERS) as Answers;

const UNKNOWN = fill("UNAUTHORIZED", ["no token", "wrong token", "expired token", "banned"]);
const EVERY_ROLE: Members = ["owner", "admin", "developer", "billing", "viewer"];

/** Procedures for anyone, whatever token they come with. */
const publicly = (answer: Answer = "OK"): Answers => everybody(answer);

/** Procedures about the caller's own things. */
const people = (answer: Answer = "OK", others: Partial<Answers> = {}): Answers => ({
  ...everybody(answer),
  ...UNKNOWN,
  service: "FORBIDDEN",
  ...others,
});

const operators = (): Answers => ({ ...everybody("FORBIDDEN"), ...UNKNOWN, operator: "OK" });
const services = (): Answers => ({ ...everybody("FORBIDDEN"), ...UNKNOWN, service: "OK" });
const operatorsAndServices = (): Answers => ({ ...operators(), service: "OK" });

/** Procedures about a project, for some of its roles. An operator is no member. */
const members = (roles: Members): Answers => ({
  ...everybody("NOT_FOUND"),
  ...UNKNOWN,
  ...fill("FORBIDDEN", EVERY_ROLE),
  ...fill("OK", roles),
  service: "FORBIDDEN",
});

/** The same, where operators and services look in as well. */
const membersAndMachinery = (roles: Members): Answers => ({ ...members(roles), operator: "OK", service: "OK" });

/** Procedures about one person's own things, which nobody else has any business with. */
const only = (...callers: Caller[]): Answers => ({ ...people("NOT_FOUND"), ...fill("OK", callers) });

/** Whoever is in any project of the billing account may look. */
const accountMembers = (): Answers => ({ ...membersAndMachinery(EVERY_ROLE), neighbour: "OK" });

/** Whoever administers the billing account, and those who look in from the deployment's side. */
const accountAdmins = (answer: Answer = "OK"): Answers => ({
  ...people("NOT_FOUND"),
  ...fill(answer, ["owner", "operator", "service"]),
});

const viewerOf = ({ people: { viewer } }: Tenant) => ({ email: viewer.email });
const OWN_ADDRESS = "the address is its owner's, whoever types it";
const THE_KEY_ITSELF = "whoever has a leaked key may say so";
const GUESSING = "guesses are counted";

const DEVELOPERS: Members = ["owner", "admin", "developer"];
const ADMINS: Members = ["owner", "admin"];

const RULE = {
  kind: "noUsage",
  name: "Silence",
  channels: [{ kind: "webhook", url: "https://example.com/alerts" }],
};

export const EXPECTATIONS: Readonly<Record<string, Expectation | readonly Expectation[]>> = {
  "admin.audit": { answers: operators() },
  "admin.impersonate": { answers: operators() },
  "admin.invariants": { answers: operators() },
  "analytics.summary": {
    answers: operators(),
    input: () => ({ from: "2026-11-01T00:00:00Z", to: "2026-12-01T00:00:00Z" }),
  },
  "analytics.events": { answers: operators() },
  "admin.deleteTenantData": {
    answers: operators(),
    // An operator's business with any project.
    input: ({ ids }) => ({ projectId: ids["prj"] }),
  },
  "admin.listDataDeletions": { answers: operators(), input: ({ ids }) => ({ projectId: ids["prj"] }) },
  "admin.dismissRun": { answers: operators(), input: () => ({ runId: "gw_nobody" }), isWholeInput: true },
  "admin.deadLetters.list": { answers: operators() },
  "admin.deadLetters.replay": { answers: operators(), input: () => ({ consumer: "nobody" }), isWholeInput: true },
  "admin.deadLetters.discard": { answers: operators(), input: () => ({ consumer: "nobody" }), isWholeInput: true },
  "admin.config.get": { answers: operators(), input: () => ({ name: "margin" }) },
  "admin.config.set": { answers: operators(), input: () => ({ name: "margin", value: 0.4 }), isWholeInput: true },
  "admin.config.history": { answers: operators(), input: () => ({ name: "margin" }) },
  "admin.config.rollback": { answers: operators(), input: () => ({ name: "margin", revision: 0 }), isWholeInput: true },
  "admin.secrets.set": { answers: operators(), input: () => ({ api: API.name, name: "X-Api-Key", value: "hidden" }) },
  "admin.secrets.list": { answers: operators(), input: () => ({ api: API.name }) },
  "admin.secrets.delete": {
    // Nobody has set this one.
    answers: { ...operators(), operator: "NOT_FOUND" },
    input: () => ({ api: API.name, name: "X-Other-Key" }),
  },
  "admin.secrets.rewrap": { answers: operators() },

  "alerts.report": { answers: services(), input: () => ({ category: "upstream", action: "slow" }) },
  "alerts.createRule": byOwner(RULE, ["owner", "admin", "developer", "billing"]),
  "alerts.listRules": byOwner({}, ["owner", "admin", "developer", "billing"]),
  "alerts.updateRule": {
    answers: members(["owner", "admin", "developer", "billing"]),
    input: () => ({ name: "Other" }),
  },
  "alerts.deleteRule": { answers: members(["owner", "admin", "developer", "billing"]) },
  "alerts.list": [
    ...byOwner({}, EVERY_ROLE),
    { answers: operators(), variant: "reports", input: () => ({}), isWholeInput: true },
  ],
  "alerts.acknowledge": { answers: members(["owner", "admin", "developer", "billing"]) },

  "balance.current": { answers: accountMembers() },
  "balance.ledger": { answers: accountMembers() },
  "balance.listAdjustments": { answers: accountMembers() },
  "balance.listGrants": { answers: accountMembers() },
  "balance.increment": { answers: operators() },
  "balance.decrement": { answers: operators() },
  "balance.transfer": {
    answers: operators(),
    input: ({ people: { viewer } }) => ({ toBillingAccountId: viewer.billingAccountId }),
  },
  "balance.reverse": { answers: operators(), input: () => ({ micros: "1" }) },
  "balance.setLowBalanceAlert": { answers: { ...only("owner", "operator"), service: "OK" } },
  "balance.live": { answers: accountMembers() },

  "balance.readAutoTopUp": { answers: { ...only("owner", "operator"), service: "OK" } },
  "balance.setAutoTopUp": [
    {
      answers: only("owner"),
      variant: "on",
      input: ({ ids }) => ({
        billingAccountId: ids["ba"],
        isOn: true,
        thresholdMicros: "1000000",
        amountCents: 1_000,
        maxPerMonthCents: 5_000,
        cardId: ids["pm"],
      }),
      isWholeInput: true,
    },
    {
      answers: only("owner"),
      variant: "off",
      input: ({ ids }) => ({ billingAccountId: ids["ba"], isOn: false }),
      isWholeInput: true,
    },
  ],

  "billing.listTiers": { answers: publicly() },
  "billing.readAccount": {
    answers: { ...only("owner", "operator"), service: "OK" },
  },
  "billing.updateAccount": { answers: accountAdmins() },
  "billing.addAdmin": {
    answers: accountAdmins(),
    // Who is one already.
    input: ({ people: { owner } }) => ({ email: owner.email }),
  },
  "billing.removeAdmin": {
    // The last one stays.
    answers: accountAdmins("CONFLICT"),
    input: ({ people: { owner } }) => ({ customerId: owner.customerId }),
  },
  "billing.previewTierChange": {
    answers: { ...only("owner", "operator"), service: "OK" },
    input: () => ({ tierId: "solo" }),
  },
  "billing.subscribeTier": { answers: only("owner"), input: () => ({ tierId: "solo" }) },
  "billing.resumeSubscription": { answers: people("NOT_FOUND") },
  "billing.cancelSubscription": { answers: people("NOT_FOUND") },
  "billing.listInvoices": { answers: accountAdmins() },
  "billing.getInvoice": { answers: accountAdmins() },
  "billing.closePeriod": { answers: operators(), input: () => ({ at: "2020-01-01T00:00:00Z" }) },
  "billing.listPendingCharges": { answers: operators() },
  "billing.issueCreditNote": { answers: operators(), input: () => ({ micros: "1" }) },
  "billing.voidInvoice": { answers: operators() },

  "catalog.publish": { answers: operatorsAndServices(), input: () => ({ ...API, name: "tides" }) },
  "catalog.update": { answers: operatorsAndServices(), input: () => ({ name: API.name, description: "Rain" }) },
  "catalog.deprecate": { answers: operatorsAndServices(), input: () => ({ name: API.name }) },
  "catalog.remove": { answers: operatorsAndServices(), input: () => ({ name: API.name }) },
  "catalog.get": { answers: operatorsAndServices(), input: () => ({ name: API.name }) },
  "catalog.list": { answers: operatorsAndServices() },
  "catalog.index": { answers: publicly() },
  "catalog.search": { answers: publicly() },
  "catalog.api": { answers: publicly(), input: () => ({ name: API.name }) },
  "catalog.listCategories": { answers: publicly() },
  "catalog.pricing": { answers: publicly() },

  "customers.create": { answers: operatorsAndServices() },
  "customers.markVerified": { answers: operatorsAndServices() },
  "customers.read": [
    { answers: only("viewer", "operator"), variant: "by id" },
    { answers: only("viewer", "operator"), variant: "by address", input: viewerOf, isWholeInput: true },
  ],
  "customers.me": { answers: people() },
  "customers.list": { answers: operators() },
  "customers.login": {
    answers: publicly("UNAUTHORIZED"),
    input: viewerOf,
    refusalIsCounted: GUESSING,
  },
  "customers.refresh": {
    answers: publicly("UNAUTHORIZED"),
    // The victim's session with another secret: not sealed by this deployment.
    input: ({ people: { viewer } }) => ({
      refreshToken: viewer.refreshToken.replace(/_[0-9A-Za-z]{32}_/, `_${"a".repeat(32)}_`),
    }),
  },
  "customers.logout": { answers: people() },
  "customers.update": { answers: operators() },
  "customers.updateName": { answers: people() },
  "customers.delete": [
    { answers: only("viewer", "operator"), variant: "by id" },
    { answers: people(), variant: "oneself", input: () => ({}), isWholeInput: true },
  ],
  "customers.readErasure": {
    answers: operators(),
    input: ({ people: { departed } }) => ({ id: departed.customerId }),
  },
  "customers.ban": { answers: operators() },
  "customers.unban": { answers: operators(), input: ({ people: { banned } }) => ({ id: banned.customerId }) },
  "customers.listSessions": { answers: people() },
  "customers.revokeSession": { answers: only("owner") },
  "customers.revokeAllSessions": { answers: people() },
  "customers.exportData": { answers: people() },

  "emails.send": { answers: services(), input: ({ people: { viewer } }) => ({ to: viewer.email }) },
  "emails.listSent": { answers: operators(), input: ({ people: { viewer } }) => ({ to: viewer.email }) },
  "emails.suppress": { answers: operators(), input: viewerOf },
  "emails.reportBounce": { answers: services(), input: viewerOf },
  "emails.unsuppress": { answers: operators(), input: viewerOf },

  "keys.generate": { answers: members(DEVELOPERS) },
  "keys.list": { answers: members(EVERY_ROLE) },
  "keys.read": { answers: members(EVERY_ROLE) },
  "keys.update": { answers: members(DEVELOPERS), input: () => ({ name: "Renamed" }) },
  "keys.rotate": { answers: members(DEVELOPERS) },
  "keys.revoke": { answers: members(DEVELOPERS) },
  "keys.block": bySubject({ message: "Blocked" }),
  "keys.unblock": bySubject({}),
  "keys.verify": { answers: services(), input: ({ keyText }) => ({ key: keyText }) },
  "keys.reportLeaked": {
    answers: publicly(),
    input: ({ keyText }) => ({ key: keyText }),
    reachesVictim: THE_KEY_ITSELF,
  },

  "notifications.list": { answers: people() },
  "notifications.markAsRead": { answers: people(), input: () => ({}), isWholeInput: true },
  "notifications.subscribe": [
    {
      answers: { ...members(EVERY_ROLE), operator: "NOT_FOUND" },
      variant: "a project",
      input: ({ ids }) => ({ resourceType: "project", resourceId: ids["prj"] }),
    },
    {
      answers: only("owner"),
      variant: "a billing account",
      input: ({ ids }) => ({ resourceType: "billingAccount", resourceId: ids["ba"] }),
    },
  ],
  "notifications.unsubscribe": {
    answers: people(),
    input: ({ ids }) => ({ resourceType: "project", resourceId: ids["prj"] }),
  },
  "notifications.listSubscriptions": { answers: people() },
  "notifications.live": { answers: people() },

  "oauth.start": { answers: publicly(), input: () => ({ provider: "github" }) },
  "oauth.complete": { answers: publicly("BAD_REQUEST"), input: () => ({ provider: "github" }) },
  "oauth.link": { answers: people(), input: () => ({ provider: "github" }) },
  // The owners of both tenants have linked one.
  "oauth.unlink": { answers: only("owner", "stranger"), input: () => ({ provider: "github" }) },
  "oauth.list": { answers: people() },

  "onboarding.sendVerificationEmail": { answers: publicly(), input: viewerOf, reachesVictim: OWN_ADDRESS },
  "onboarding.completeSignup": { answers: publicly("BAD_REQUEST"), input: viewerOf },
  "onboarding.recover": { answers: publicly(), input: viewerOf, reachesVictim: OWN_ADDRESS },
  "onboarding.resetPassword": { answers: publicly("BAD_REQUEST") },
  "onboarding.requestEmailChange": {
    // It is the viewer's address already.
    answers: people("OK", { viewer: "BAD_REQUEST" }),
    input: viewerOf,
    reachesVictim: OWN_ADDRESS,
  },
  "onboarding.confirmEmailChange": { answers: people("BAD_REQUEST"), input: viewerOf },
  "onboarding.track": {
    answers: publicly(),
    input: ({ people: { viewer } }) => ({ id: "visitor-0001", email: viewer.email }),
    reachesVictim: OWN_ADDRESS,
  },
  "onboarding.joinWaitlist": { answers: publicly(), input: viewerOf, reachesVictim: OWN_ADDRESS },

  "payments.setupCard": { answers: only("owner") },
  "payments.createCheckoutSession": { answers: only("owner"), input: () => ({ amountCents: 1_000 }) },
  "payments.listCards": { answers: { ...only("owner", "operator"), service: "OK" } },
  "payments.setDefaultCard": { answers: only("owner") },
  "payments.chargeCard": { answers: only("owner"), input: () => ({ amountCents: 1_000, idempotencyKey: "table" }) },
  "payments.listPayments": { answers: { ...only("owner", "operator"), service: "OK" } },
  "payments.getPayment": { answers: { ...only("owner", "operator"), service: "OK" } },
  "payments.refund": { answers: operators(), input: () => ({ amountCents: 1, idempotencyKey: "table" }) },
  "payments.portalUrl": { answers: only("owner") },
  // Last: a card that was taken off is gone at Stripe as well.
  "payments.deleteCard": { answers: only("owner") },
  "payments.listDifferences": { answers: operators() },

  "projects.create": [
    { answers: only("owner"), variant: "for a billing account" },
    { answers: people(), variant: "for their own", input: () => ({ name: "Mine" }), isWholeInput: true },
  ],
  "projects.list": { answers: people() },
  "projects.read": { answers: members(EVERY_ROLE) },
  "projects.rename": { answers: members(ADMINS) },
  "projects.delete": { answers: members(["owner"]) },
  "projects.listMembers": { answers: members(EVERY_ROLE) },
  "projects.invite": [
    { answers: members(ADMINS), variant: "a viewer", input: () => ({ role: "viewer" }) },
    { answers: members(["owner"]), variant: "an owner", input: () => ({ role: "owner" }) },
  ],
  "projects.listInvites": { answers: members(ADMINS) },
  "projects.listReceivedInvites": { answers: people() },
  "projects.acceptInvite": { answers: only("viewer"), input: ({ inviteToViewer }) => ({ id: inviteToViewer }) },
  "projects.declineInvite": { answers: only("viewer"), input: ({ inviteToViewer }) => ({ id: inviteToViewer }) },
  "projects.revokeInvite": { answers: members(ADMINS) },
  "projects.changeRole": [
    { answers: members(ADMINS), variant: "to billing", input: () => ({ role: "billing" }) },
    { answers: members(["owner"]), variant: "to owner", input: () => ({ role: "owner" }) },
    {
      answers: members(["owner"]),
      variant: "of an owner",
      input: ({ people: { coOwner } }) => ({ customerId: coOwner.customerId, role: "viewer" }),
    },
  ],
  "projects.removeMember": [
    { answers: members(ADMINS), variant: "a viewer" },
    {
      answers: members(["owner"]),
      variant: "an owner",
      input: ({ people: { coOwner } }) => ({ customerId: coOwner.customerId }),
    },
  ],
  "projects.leave": { answers: members(EVERY_ROLE) },
  "projects.transferOwnership": { answers: members(["owner"]) },
  "projects.setMonthlySpendCap": { answers: members(["owner", "admin", "billing"]) },

  "status.current": { answers: publicly() },
  "status.history": { answers: publicly() },
  "status.openIncident": { answers: operators() },
  "status.updateIncident": { answers: operators() },
  "status.resolveIncident": { answers: operators() },
  "usage.read": { answers: membersAndMachinery(EVERY_ROLE) },
  "usage.monthlyTotal": { answers: membersAndMachinery(EVERY_ROLE) },
  "usage.monthly": { answers: services(), input: ({ ids }) => ({ endpoints: [ids["ep"]] }) },
  "usage.calls": { answers: membersAndMachinery(EVERY_ROLE) },
  "usage.trace": { answers: membersAndMachinery(EVERY_ROLE) },
  "usage.ingest": { answers: services() },
  "usage.saveEvent": { answers: services() },
  "usage.listEvents": { answers: membersAndMachinery(EVERY_ROLE) },
  "usage.ranks": { answers: publicly() },
  "usage.setRankingName": { answers: members(ADMINS) },
  "usage.exportCsv": { answers: membersAndMachinery(EVERY_ROLE) },
  "usage.live": { answers: membersAndMachinery(EVERY_ROLE) },

  "webhooks.createEndpoint": byOwner({ url: "https://example.com/webhooks", events: ["*"] }),
  "webhooks.list": byOwner({}),
  "webhooks.update": { answers: members(DEVELOPERS), input: () => ({ description: "Ours" }) },
  "webhooks.delete": { answers: members(DEVELOPERS) },
  "webhooks.rotateSecret": { answers: members(DEVELOPERS) },
  "webhooks.listDeliveries": { answers: members(DEVELOPERS) },
  "webhooks.redeliver": { answers: members(DEVELOPERS) },
  "webhooks.sendTest": { answers: members(DEVELOPERS) },
  "webhooks.listEventTypes": { answers: publicly() },
};

/** Each of the three ways to say which keys are meant. */
function bySubject(fields: Readonly<Record<string, unknown>>): Expectation[] {
  const subjects = [
    ["one key", "keyId", "key"],
    ["a project's", "projectId", "prj"],
    ["a customer's", "customerId", "cus"],
  ] as const;
  return subjects.map(([variant, field, prefix]) => ({
    answers: operators(),
    variant,
    input: ({ ids }: Tenant) => ({ ...fields, [field]: ids[prefix] }),
    isWholeInput: true,
  }));
}

/** What is a project's, for its developers, or a billing account's, for its admins. */
function byOwner(fields: Readonly<Record<string, unknown>>, roles: Members = DEVELOPERS): Expectation[] {
  const whole = (idField: string, prefix: string) => ({
    variant: idField,
    input: ({ ids }: Tenant) => ({ ...fields, [idField]: ids[prefix] }),
    isWholeInput: true,
  });
  return [
    { answers: members(roles), ...whole("projectId", "prj") },
    { answers: { ...only("owner"), service: "FORBIDDEN" }, ...whole("billingAccountId", "ba") },
  ];
}
