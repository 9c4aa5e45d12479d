import { z } from "zod";
import { apiNameInput } from "./catalog.ts";
import { defineEvent, defineJob } from "./definitions.ts";
import { idSchema, instantInput, pageInput, pageOf } from "./primitives.ts";

/** What operators do about the deployment itself. */

export const secretPlacement = z.enum(["header", "query"]);
export type SecretPlacement = z.infer<typeof secretPlacement>;

/** Headers that the gateway or HTTP itself decides about. `authorization` is not among them: many upstreams want theirs there. */
const RESERVED_HEADERS = new Set([
  "connection",
  "content-length",
  "content-type",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "traceparent",
  "transfer-encoding",
  "upgrade",
]);
const isReserved = (header: string): boolean =>
  RESERVED_HEADERS.has(header) || header.startsWith("tollgate-") || header.startsWith("sec-websocket-");

const secretPlace = z.object({
  api: apiNameInput,
  placement: secretPlacement.default("header"),
  /** Of the header or of the query parameter. */
  name: z
    .string()
    .trim()
    .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, { error: "Must be the name of a header or of a query parameter" }),
});

type SecretPlace = z.output<typeof secretPlace>;

/** Header names have no case. */
const normalise = <Place extends SecretPlace>(place: Place): Place =>
  place.placement === "header" ? { ...place, name: place.name.toLowerCase() } : place;

const checkName = (place: SecretPlace, context: z.core.$RefinementCtx<SecretPlace>): void => {
  if (place.placement !== "header" || typeof place.name !== "string" || !isReserved(place.name.toLowerCase())) return;
  context.addIssue({ code: "custom", path: ["name"], message: "This header is the gateway's own" });
};

export const setSecretInput = secretPlace
  .extend({
    /** What the header or the parameter is to say. Nobody ever reads it back. */
    value: z
      .string()
      .max(8_000)
      .regex(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/, {
        error: "Must be printable ASCII without spaces at its ends",
      }),
  })
  .superRefine(checkName)
  .transform(normalise);
export type SetSecretInput = z.output<typeof setSecretInput>;

export const deleteSecretInput = secretPlace.transform(normalise);
export type DeleteSecretInput = z.output<typeof deleteSecretInput>;

export const listSecretsInput = pageInput.extend({ api: apiNameInput.optional() });

/** A secret without what it says. */
export const secretDto = z.object({
  id: z.string(),
  api: z.string(),
  placement: secretPlacement,
  name: z.string(),
  /** The master key that it is wrapped by. */
  masterKeyId: z.string(),
  createdAt: z.date(),
  updatedAt: z.date(),
});
export type Secret = z.infer<typeof secretDto>;
export const secretPage = pageOf(secretDto);

export const rewrappedDto = z.object({
  /** How many were under another master key and are now under this one. */
  rewrapped: z.int(),
  masterKeyId: z.string(),
});
export type Rewrapped = z.infer<typeof rewrappedDto>;

const secretEventData = z.object({ apiId: z.string(), api: z.string(), placement: secretPlacement, name: z.string() });
export const adminSecretSet = defineEvent("admin.secretSet", secretEventData);
export const adminSecretDeleted = defineEvent("admin.secretDeleted", secretEventData);
export const adminSecretsRewrapped = defineEvent(
  "admin.secretsRewrapped",
  z.object({ rewrapped: z.int(), masterKeyId: z.string() }),
);

const settingNameInput = z.string().regex(/^[a-zA-Z][a-zA-Z0-9]{0,63}$/, { error: "Must be the name of a setting" });
/** What a setting can be; which of these is the setting's own affair. Amounts are micros as a decimal string. */
const settingValue = z.union([z.string().max(1_000), z.number(), z.boolean(), z.null()], {
  error: "Must be a text, a number, true, false or null",
});
const revisionInput = z.int().min(0).max(1_000_000_000);

/** One setting, or all of them. */
export const getConfigInput = z.object({ name: settingNameInput.optional() });
export const setConfigInput = z.object({
  name: settingNameInput,
  value: settingValue,
  /** The revision that was read: if another one is in force by now, nothing changes and the answer is CONFLICT. */
  expectedRevision: revisionInput.optional(),
});
export const configHistoryInput = pageInput.extend({
  name: settingNameInput,
  cursor: z
    .string()
    .regex(/^\d{1,9}$/, { error: "Not a cursor" })
    .optional(),
});
export const rollbackConfigInput = z.object({
  name: settingNameInput,
  /** Whose value comes into force again; 0 for the default. */
  revision: revisionInput,
  expectedRevision: revisionInput.optional(),
});

export const settingDto = z.object({
  name: z.string(),
  value: settingValue,
  default: settingValue,
  description: z.string(),
  /** Counts the changes; 0 while nobody has set it. */
  revision: z.int(),
  changedAt: z.date().nullable(),
  changedBy: z.string().nullable(),
});
export type SettingInForce = z.infer<typeof settingDto>;

export const configDto = z.object({
  /**
   * Where the values come from: etcd as it is watched; what was recorded last, because etcd did not answer at the start;
   * or the defaults, because neither could be read yet.
   */
  source: z.enum(["etcd", "recorded", "defaults"]),
  /** Since when etcd does not answer, so that changes may not have been seen; null while it does. */
  staleSince: z.date().nullable(),
  items: z.array(settingDto),
});
export type Config = z.infer<typeof configDto>;

export const settingChangeDto = z.object({
  name: z.string(),
  revision: z.int(),
  value: settingValue,
  changedAt: z.date(),
  changedBy: z.string(),
  /** The revision whose value was taken again, if the change was a rollback. */
  rolledBackTo: z.int().nullable(),
});
export type ChangeOfSetting = z.infer<typeof settingChangeDto>;
export const settingChangePage = pageOf(settingChangeDto);

export const adminSettingChanged = defineEvent(
  "admin.settingChanged",
  z.object({ setting: z.string(), revision: z.int() }),
);

export const auditEntryDto = z.object({
  id: z.string(),
  /** `customer:cus_…`, `service:…`, `system:…` or `anonymous`. */
  actor: z.string(),
  /** The procedure: `keys.revoke`. */
  action: z.string(),
  /** The record's id. */
  subject: z.string(),
  before: z.record(z.string(), z.unknown()).nullable(),
  after: z.record(z.string(), z.unknown()).nullable(),
  requestId: z.string(),
  ip: z.string().nullable(),
  createdAt: z.date(),
});
export type AuditEntry = z.infer<typeof auditEntryDto>;
export const auditPage = pageOf(auditEntryDto);
export const listAuditInput = pageInput
  .extend({
    /** As entries name it; a customer's id alone is enough. */
    actor: z
      .string()
      .regex(/^[A-Za-z0-9_:.-]{1,100}$/, { error: "Must be an actor, for example customer:cus_… or service:billing" })
      .optional(),
    /** A procedure or the beginning of its name: `keys.`. */
    action: z
      .string()
      .regex(/^[A-Za-z][A-Za-z0-9.]{0,99}$/, { error: "Must be the beginning of an action, for example keys." })
      .optional(),
    subject: z.string().min(1).max(100).optional(),
    from: instantInput.optional(),
    /** Up to but without this instant. */
    to: instantInput.optional(),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || from < to, {
    error: "Must be later than from",
    path: ["to"],
  });

export const impersonateInput = z.object({
  customerId: idSchema("customer"),
  /** For the audit. */
  reason: z.string().trim().min(1, { error: "Must say why" }).max(500),
});
/** A token that reads what the customer reads and changes nothing. It says who holds it (`act`, RFC 8693). */
export const impersonationDto = z.object({ accessToken: z.string(), expiresAt: z.date(), customerId: z.string() });
export type Impersonation = z.infer<typeof impersonationDto>;
export const adminImpersonated = defineEvent(
  "admin.impersonated",
  z.object({ customerId: z.string(), operatorId: z.string() }),
);

export const deleteTenantDataInput = z.object({ projectId: idSchema("project") });

export const dataDeletionStatus = z.enum(["pending", "done", "skipped", "failed"]);
export const dataDeletionAttemptDto = z.object({
  at: z.string(),
  durationMs: z.int(),
  /** The status of the answer; null when there was none. */
  status: z.int().nullable(),
  error: z.string().nullable(),
});
/** What one published API was asked to delete of one project. */
export const dataDeletionDto = z.object({
  id: z.string(),
  projectId: z.string(),
  apiId: z.string(),
  api: z.string(),
  /** An operator asked, or the project has ended with the account of its last owner. */
  cause: z.enum(["operator", "erasure"]),
  /** `skipped`: the API no longer says where to ask. `failed`: given up after the last attempt. */
  status: dataDeletionStatus,
  attempts: z.int(),
  /** The last attempts, the oldest first. */
  attemptLog: z.array(dataDeletionAttemptDto),
  /** When it will be tried again; null when it will not. */
  nextAttemptAt: z.date().nullable(),
  createdAt: z.date(),
  completedAt: z.date().nullable(),
});
export type DataDeletion = z.infer<typeof dataDeletionDto>;
/** One for each API that says where to ask; none when there is no such API. */
export const dataDeletionList = z.object({ items: z.array(dataDeletionDto) });
export const listDataDeletionsInput = pageInput.extend({
  projectId: idSchema("project").optional(),
  status: dataDeletionStatus.optional(),
});
export const dataDeletionPage = pageOf(dataDeletionDto);

/** Asks one API to delete what it holds of one project. */
export const deleteTenantDataJob = defineJob({
  name: "admin.delete-tenant-data",
  // It waits for others most of the time, as webhooks do.
  queue: "webhooks",
  schema: z.object({ deletionId: z.string() }),
  attempts: 1,
  backoffMs: 1_000,
  id: ({ deletionId }) => deletionId,
});

/** Every minute: orders what is to be tried again, and what has lost its job with the queue. */
export const tenantDataSweepJob = defineJob({
  name: "admin.tenant-data-sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});

const dataDeletionEventData = z.object({
  deletionId: z.string(),
  projectId: z.string(),
  apiId: z.string(),
  api: z.string(),
});
export const adminTenantDataDeletionRequested = defineEvent("admin.tenantDataDeletionRequested", dataDeletionEventData);
export const adminTenantDataDeleted = defineEvent("admin.tenantDataDeleted", dataDeletionEventData);
export const adminTenantDataDeletionFailed = defineEvent("admin.tenantDataDeletionFailed", dataDeletionEventData);
