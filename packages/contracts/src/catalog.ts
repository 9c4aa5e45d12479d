import { z } from "zod";
import { defineEvent, defineJob } from "./definitions.ts";
import { instantInput, microsOutput, nonNegativeMicrosInput, pageInput, pageOf } from "./primitives.ts";

export const apiStatus = z.enum(["draft", "published", "deprecated", "removed"]);
export type ApiStatus = z.infer<typeof apiStatus>;
export const meter = z.enum(["call", "message"]);
export const HTTP_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

/** What one call may cost at most: its price, or its price a unit times the most units. $1,000,000. */
export const CALL_PRICE_MICROS_MAX = 10n ** 12n;
const UNITS_MAX = 1_000_000_000;
const TIMEOUT_MS_MAX = 10 * 60_000;
const BODY_BYTES_DEFAULT = 10 * 1024 * 1024;
const BODY_BYTES_MAX = 1024 * 1024 * 1024;

/** Part of the URL, so: lower-case letters, digits and hyphens. */
export const apiNameInput = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, {
  error: "Must be 1 to 63 lower-case letters, digits and hyphens, and not begin with a hyphen",
});
export const endpointNameInput = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, {
  error: "Must be 1 to 63 letters, digits, hyphens and underscores, and begin with a letter or digit",
});
const httpUrlInput = z.url({ protocol: /^https?$/, error: "Must be an http or https URL" }).max(2_000);
/** In JSON text these are the only escapes of NUL and of half a surrogate pair, neither of which a database can hold. */
const UNSTORABLE_JSON = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;
const isStorable = (text: string): boolean => !text.includes("\\u") || !UNSTORABLE_JSON.test(text);
const JSON_SCALARS: ReadonlySet<string> = new Set(["string", "number", "boolean"]);
/** Documents have hundreds of thousands of values: they are looked at in one go, not by a schema each. */
const jsonObjectInput = z
  .record(z.string(), z.unknown())
  .refine(isJson, { error: "Must be JSON", abort: true })
  .refine((value) => isStorable(JSON.stringify(value)), {
    error: "Must not contain NUL or half of a surrogate pair",
  });

function isJson(root: unknown): boolean {
  const open: unknown[] = [root];
  while (open.length > 0) {
    const value = open.pop() as object;
    if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return false;
    for (const field of Object.values(value)) {
      if (typeof field === "object" && field !== null) open.push(field);
      else if (field !== null && !JSON_SCALARS.has(typeof field)) return false;
    }
  }
  return true;
}

const endpointFields = {
  name: endpointNameInput,
  method: z.string().trim().toUpperCase().pipe(z.enum(HTTP_METHODS)),
  /** As in the OpenAPI document, for example `/forecast/{city}`. */
  path: z.string().max(500).regex(/^\//, { error: "Must begin with a slash" }),
  priceMicros: nonNegativeMicrosInput,
  /** Calls a month that cost nothing, for each billing account. */
  freePerMonth: z.int().min(0).max(1_000_000_000_000),
  /** What the price is for: "call", "byte", "millisecond", or a word of the API's own, counted by `Tollgate-Units`. */
  unit: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, { error: "Must be a lower-case word" }),
  /** The most units that one call may use: what is set aside before the answer tells the actual number. */
  maxUnits: z.int().min(1).max(UNITS_MAX),
  meter,
  chargeOn4xx: z.boolean(),
  timeoutMs: z.int().min(1).max(TIMEOUT_MS_MAX),
  bodyBytesMax: z.int().min(0).max(BODY_BYTES_MAX),
};

export const endpointInput = z
  .object({
    ...endpointFields,
    freePerMonth: endpointFields.freePerMonth.default(0),
    unit: endpointFields.unit.default("call"),
    maxUnits: endpointFields.maxUnits.optional(),
    meter: meter.default("call"),
    chargeOn4xx: z.boolean().default(false),
    timeoutMs: endpointFields.timeoutMs.default(30_000),
    bodyBytesMax: endpointFields.bodyBytesMax.default(BODY_BYTES_DEFAULT),
  })
  .superRefine((endpoint, context) => {
    // A field that is wrong by itself has not become what its type says.
    if (context.issues.length > 0) return;
    for (const issue of endpointIssues(endpoint)) context.addIssue({ code: "custom", ...issue });
  });
export type EndpointInput = z.output<typeof endpointInput>;

/** The rules that span several fields of an endpoint; also for an endpoint that an update has changed in part. */
export function endpointIssues(endpoint: {
  readonly unit: string;
  readonly maxUnits?: number | undefined;
  readonly meter: z.output<typeof meter>;
  readonly priceMicros: bigint;
}): { path: string[]; message: string }[] {
  const issues: { path: string[]; message: string }[] = [];
  const isByCall = endpoint.unit === "call";
  if (!isByCall && endpoint.maxUnits === undefined) {
    issues.push({ path: ["maxUnits"], message: `Required when the unit is "${endpoint.unit}"` });
  }
  if (isByCall && (endpoint.maxUnits ?? 1) !== 1) {
    issues.push({ path: ["maxUnits"], message: "A call is one unit" });
  }
  if (!isByCall && endpoint.meter === "message") {
    issues.push({ path: ["unit"], message: 'Messages are priced each: the unit must be "call"' });
  }
  if (endpoint.priceMicros * BigInt(endpoint.maxUnits ?? 1) > CALL_PRICE_MICROS_MAX) {
    issues.push({ path: ["priceMicros"], message: `One call could cost more than ${CALL_PRICE_MICROS_MAX} micros` });
  }
  return issues;
}

const apiFields = {
  displayName: z.string().trim().min(1, { error: "Must not be empty" }).max(100),
  description: z.string().trim().min(1, { error: "Must not be empty" }).max(10_000),
  category: z.string().trim().toLowerCase().min(1, { error: "Must not be empty" }).max(50),
  icon: z.string().trim().min(1).max(2_000).nullable(),
  /** An OpenAPI 3.0 or 3.1 document, self-contained. */
  openapi: jsonObjectInput,
  examples: z.array(jsonObjectInput).max(50),
  upstreamUrls: z.array(httpUrlInput).max(50),
  /** Called, signed, when a tenant's data is to be deleted. */
  deleteDataUrl: httpUrlInput.nullable(),
};

const endpointsInput = z
  .array(endpointInput)
  .min(1, { error: "Must have at least one endpoint" })
  .max(1_000)
  .superRefine(requireDistinctNames);

export const publishApiInput = z.object({
  name: apiNameInput,
  ...apiFields,
  icon: apiFields.icon.default(null),
  examples: apiFields.examples.default([]),
  upstreamUrls: apiFields.upstreamUrls.default([]),
  deleteDataUrl: apiFields.deleteDataUrl.default(null),
  endpoints: endpointsInput,
  status: z.enum(["draft", "published"]).default("published"),
});
export type PublishApiInput = z.output<typeof publishApiInput>;

/** What to change; what is left out stays. Endpoints are found by name, and those that are not named stay. */
export const updateApiInput = z.object({
  name: apiNameInput,
  ...z.object(apiFields).partial().shape,
  endpoints: z
    .array(z.object({ ...z.object(endpointFields).partial().shape, name: endpointNameInput }))
    .min(1)
    .max(1_000)
    .superRefine(requireDistinctNames)
    .optional(),
  /** When new prices begin to count. Now, if left out; never earlier. */
  effectiveFrom: instantInput.optional(),
});
export type UpdateApiInput = z.output<typeof updateApiInput>;

function requireDistinctNames(
  endpoints: readonly { readonly name: string }[],
  context: z.core.$RefinementCtx<unknown>,
): void {
  const seen = new Set<string>();
  for (const [index, { name }] of endpoints.entries()) {
    if (seen.has(name)) {
      context.addIssue({ code: "custom", path: [index, "name"], message: "Another endpoint has this name" });
    }
    seen.add(name);
  }
}

export const apiRefInput = z.object({ name: apiNameInput });
export const deprecateApiInput = apiRefInput.extend({ sunsetAt: instantInput });
export const listApisInput = pageInput.extend({ status: apiStatus.optional() });
export const catalogIndexInput = pageInput.extend({ category: z.string().trim().toLowerCase().max(50).optional() });
export const searchApisInput = z.object({
  term: z.string().trim().max(100).default(""),
  categories: z.array(z.string().trim().toLowerCase().max(50)).max(50).optional(),
  limit: z.int().min(1).max(200).default(50),
});

export const endpointDto = z.object({
  id: z.string(),
  name: z.string(),
  method: z.enum(HTTP_METHODS),
  path: z.string(),
  /** The price in force. */
  priceMicros: microsOutput,
  /** Prices that are announced, soonest first. */
  nextPrices: z.array(z.object({ effectiveFrom: z.date(), priceMicros: microsOutput })),
  freePerMonth: z.int(),
  unit: z.string(),
  maxUnits: z.int(),
  meter,
  chargeOn4xx: z.boolean(),
  timeoutMs: z.int(),
  bodyBytesMax: z.int(),
  retiredAt: z.date().nullable(),
});
export type Endpoint = z.infer<typeof endpointDto>;

/** An API as the public catalogue lists it. */
export const apiSummaryDto = z.object({
  id: z.string(),
  name: z.string(),
  displayName: z.string(),
  description: z.string(),
  category: z.string(),
  icon: z.string().nullable(),
  status: apiStatus,
  /** 1 to 10 by the calls of the last 30 days; 0 before the first ranking. */
  popularity: z.int(),
  sunsetAt: z.date().nullable(),
  createdAt: z.date(),
  updatedAt: z.date(),
});
export type ApiSummary = z.infer<typeof apiSummaryDto>;

/** An API as its operator sees it. */
export const apiDto = apiSummaryDto.extend({
  openapi: z.record(z.string(), z.unknown()),
  examples: z.array(z.record(z.string(), z.unknown())),
  upstreamUrls: z.array(z.string()),
  deleteDataUrl: z.string().nullable(),
  deprecatedAt: z.date().nullable(),
  endpoints: z.array(endpointDto),
});
export type Api = z.infer<typeof apiDto>;

/** An API as anyone sees it, with code to begin from. */
export const publicApiDto = apiSummaryDto.extend({
  openapi: z.record(z.string(), z.unknown()),
  examples: z.array(z.record(z.string(), z.unknown())),
  endpoints: z.array(endpointDto.extend({ url: z.string(), curl: z.string(), typescript: z.string() })),
});
export type PublicApi = z.infer<typeof publicApiDto>;

export const apiPage = pageOf(apiSummaryDto);
export const searchResult = z.object({ items: z.array(apiSummaryDto) });
export const categoriesDto = z.object({ items: z.array(z.object({ category: z.string(), apis: z.int() })) });
export type Categories = z.infer<typeof categoriesDto>;

export const pricingInput = pageInput;
export const pricingDto = pageOf(
  z.object({
    name: z.string(),
    displayName: z.string(),
    endpoints: z.array(
      endpointDto.pick({
        name: true,
        method: true,
        path: true,
        priceMicros: true,
        nextPrices: true,
        freePerMonth: true,
        unit: true,
        maxUnits: true,
      }),
    ),
  }),
);
export type Pricing = z.infer<typeof pricingDto>;

const apiEventData = z.object({ apiId: z.string(), name: z.string() });
export const catalogPublished = defineEvent("catalog.published", apiEventData);
export const catalogUpdated = defineEvent("catalog.updated", apiEventData);
export const catalogDeprecated = defineEvent("catalog.deprecated", apiEventData.extend({ sunsetAt: z.iso.datetime() }));
export const catalogRemoved = defineEvent("catalog.removed", apiEventData);

/** Daily: gives each API its popularity. */
export const rankApisJob = defineJob({
  name: "catalog.rank-apis",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 3,
  backoffMs: 60_000,
});
