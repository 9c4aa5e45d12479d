import type { AnyTRPCProcedure, AnyTRPCRouter } from "@trpc/server";
import { z } from "zod";
import { EVENTS_PATH } from "../http/createEventsHandler.ts";
import { inputsOf } from "../http/createRestHandler.ts";
import { procedureMap } from "../http/procedureMap.ts";
import type { Caller, ProcedureMeta } from "../trpc.ts";
import { exampleOf } from "./example.ts";
import type { JsonSchema } from "./jsonSchema.ts";
import { toJsonSchema } from "./jsonSchema.ts";

/** The parts of an OpenAPI 3.1 document that this API uses (https://spec.openapis.org/oas/v3.1.1). */
export interface ApiDocument {
  readonly openapi: "3.1.0";
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, { readonly post: ApiOperation; readonly get?: ApiStreamOperation }>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly responses: Readonly<Record<string, ApiResponse>>;
    readonly securitySchemes: Readonly<Record<string, unknown>>;
  };
}

export interface ApiOperation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: { readonly "application/json": { readonly schema: JsonSchema; readonly example: unknown } };
  };
  readonly responses: Readonly<Record<string, ApiResponse | { readonly $ref: string }>>;
}

/** A stream opened by its address, as EventSource does. */
export type ApiStreamOperation = Omit<ApiOperation, "requestBody"> & {
  readonly parameters: readonly {
    readonly name: string;
    readonly in: "query";
    readonly required: boolean;
    readonly schema: JsonSchema;
  }[];
};

export interface ApiResponse {
  readonly description: string;
  readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>>;
}

const DESCRIPTION =
  "Every procedure is a POST with its input as JSON. Amounts are integer micros (1,000,000 to the currency unit) as " +
  "decimal strings, instants are ISO 8601 text. Failures are problem documents (RFC 9457) whose `code` is stable. " +
  "Send an access token or a service token as `Authorization: Bearer TOKEN`.";

/** Describes every procedure of a router as REST offers it. Subscriptions are streams of server-sent events. */
export function describeApi(router: AnyTRPCRouter, options: { readonly serverUrl: string }): ApiDocument {
  const schemas: Record<string, JsonSchema> = { Problem: toJsonSchema(problemSchema, "output", {}) };
  const procedures = [...procedureMap(router)];
  const paths = procedures.map(([path, procedure]): [string, ApiDocument["paths"][string]] => {
    const post = describeProcedure(path, procedure, schemas);
    const get = procedure._def.type === "subscription" ? { get: describeStreamByAddress(post) } : {};
    return [`/rest/${path.replaceAll(".", "/")}`, { ...get, post }];
  });
  return {
    openapi: "3.1.0",
    info: { title: "Tollgate", version: "0.1.0", description: DESCRIPTION },
    servers: [{ url: options.serverUrl }],
    tags: [...new Set(procedures.map(([path]) => domainOf(path)))].map((name) => ({ name })),
    paths: { ...Object.fromEntries(paths), ...describeEvents(paths) },
    components: {
      schemas,
      responses: {
        Problem: {
          description: "What went wrong, as a problem document (RFC 9457)",
          content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
        },
      },
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
    },
  };
}

const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string().optional(),
  code: z.string().meta({ description: "Which failure it is; stable." }),
  requestId: z.string(),
  issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

/** Who may call, for people. */
const CALLERS: Readonly<Record<Caller, string>> = {
  public: "For anyone, signed in or not.",
  authenticated: "For signed-in people and for services.",
  customer: "For signed-in people.",
  admin: "For operators.",
  service: "For services.",
  "admin or service": "For operators and services.",
};

function describeProcedure(
  path: string,
  procedure: AnyTRPCProcedure,
  schemas: Record<string, JsonSchema>,
): ApiOperation {
  const {
    description = "",
    caller = "public",
    example = {},
    message,
    streamsAs,
  } = (procedure._def.meta ?? {}) as ProcedureMeta;
  const isStream = procedure._def.type === "subscription";
  const { output = message } = procedure._def as unknown as { output?: unknown };
  const inputs = inputsOf(procedure).map((input) => toJsonSchema(input as z.ZodType, "input", schemas));
  const [only] = inputs;
  const input = inputs.length > 1 ? { allOf: inputs } : only;
  const answer = output === undefined ? {} : toJsonSchema(output as z.ZodType, "output", schemas);
  return {
    operationId: path,
    tags: [domainOf(path)],
    summary: description.split(/(?<=\.)\s/, 1)[0] ?? description,
    description: `${description}\n\n${CALLERS[caller]}`,
    security: caller === "public" ? [] : [{ bearer: [] }],
    ...(input === undefined ? {} : { requestBody: describeBody(input, example, schemas) }),
    responses: {
      "200": isStream
        ? streamsAs === undefined
          ? { description: STREAM_ANSWER, content: { "text/event-stream": { schema: answer } } }
          : { description: "The text, streamed", content: { [streamsAs]: { schema: answer } } }
        : { description: "Done", content: { "application/json": { schema: answer } } },
      default: { $ref: "#/components/responses/Problem" },
    },
  };
}

/** `usage.ingest` for senders that speak CloudEvents over HTTP and not this API. */
function describeEvents(paths: readonly (readonly [string, ApiDocument["paths"][string]])[]): ApiDocument["paths"] {
  const ingest = paths.find(([, { post }]) => post.operationId === "usage.ingest")?.[1].post;
  if (ingest === undefined) return {};
  const event = { type: "object", required: ["specversion", "id", "source", "type"] };
  const operation = {
    ...ingest,
    operationId: "usage.ingest.cloudevents",
    summary: "CloudEvents over HTTP: structured, binary or a batch of at most 1,000.",
    description: `CloudEvents over HTTP: structured, binary (attributes as \`ce-\` headers) or a batch of at most 1,000.\n\n${CALLERS.service}`,
    parameters: [{ name: "projectId", in: "query", required: true, schema: { type: "string" } }],
    requestBody: {
      required: true,
      content: {
        "application/cloudevents+json": { schema: event },
        "application/cloudevents-batch+json": { schema: { type: "array", items: event } },
        "*/*": { schema: {} },
      },
    },
  };
  return { [EVENTS_PATH]: { post: operation as unknown as ApiOperation } };
}

const STREAM_ANSWER =
  "Server-sent events: each message's data is JSON of this schema. An event `problem` carries a problem document and ends the stream";

/** The same as {@link describeProcedure} of a subscription, with the fields in the address. */
function describeStreamByAddress(post: ApiOperation): ApiStreamOperation {
  const { requestBody, ...operation } = post;
  const schema = requestBody?.content["application/json"].schema ?? {};
  return {
    ...operation,
    operationId: `${post.operationId}.get`,
    parameters: Object.entries(schema.properties ?? {}).map(([name, property]) => ({
      name,
      in: "query",
      required: schema.required?.includes(name) ?? false,
      schema: property,
    })),
  };
}

function describeBody(
  schema: JsonSchema,
  example: Readonly<Record<string, unknown>>,
  schemas: Record<string, JsonSchema>,
): NonNullable<ApiOperation["requestBody"]> {
  const required = exampleOf(schema, schemas);
  return {
    required: (schema.required ?? []).length > 0,
    content: { "application/json": { schema, example: Object.assign({}, required, example) } },
  };
}

const domainOf = (path: string): string => path.split(".", 1)[0] ?? path;
