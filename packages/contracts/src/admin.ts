import { z } from "zod";
import { apiNameInput } from "./catalog.ts";
import { defineEvent } from "./definitions.ts";
import { pageInput, pageOf } from "./primitives.ts";

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
