import type { IncomingHttpHeaders } from "node:http";
import { badRequest } from "@tollgate/kernel";

/**
 * The binary content mode of the CloudEvents HTTP binding (section 3.1): attributes are headers, and the body is the data,
 * as it is. What comes of it is an event in the JSON format (section 3.1.1 there): JSON as a value, text as text, and
 * everything else as Base64.
 * @throws TollgateError BAD_REQUEST for a body that is not the JSON it says it is, or a header that is not text
 */
export function binaryEvent(headers: IncomingHttpHeaders, body: Buffer): Record<string, unknown> {
  const event: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith("ce-") && typeof value === "string") event[name.slice(3)] = attributeOf(name.slice(3), value);
  }
  const contentType = headers["content-type"] ?? "";
  if (contentType !== "") event["datacontenttype"] = contentType;
  if (body.length === 0) return event;
  const mediaType = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (mediaType === "" || /[/+]json$/.test(mediaType)) return { ...event, data: parseJson(body.toString("utf8")) };
  const text = isText(mediaType) ? decoded(body, contentType) : undefined;
  return text === undefined ? { ...event, data_base64: body.toString("base64") } : { ...event, data: text };
}

/** @throws TollgateError BAD_REQUEST */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw badRequest("The body is not valid JSON", { cause });
  }
}

function isText(mediaType: string): boolean {
  return mediaType.startsWith("text/") || /[/+]xml$/.test(mediaType) || OTHER_TEXT.has(mediaType);
}

const OTHER_TEXT = new Set(["application/x-www-form-urlencoded", "application/javascript", "application/yaml"]);

/** Undefined for bytes that are no text in the charset they come with, UTF-8 when they come with none. */
function decoded(body: Buffer, contentType: string): string | undefined {
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(contentType)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return undefined;
  }
}

/** Section 3.1.3.2 of the binding: older senders quote; then one round of percent-decoding. */
function attributeOf(name: string, value: string): string {
  const quoted = /^"(.*)"$/.exec(value)?.[1];
  try {
    const unquoted = quoted === undefined ? value : quoted.replaceAll(/\\(.)/g, "$1");
    return unquoted.replaceAll(/(?:%[0-9a-f]{2})+/gi, decodeURIComponent);
  } catch (cause) {
    const issue = { path: name, message: "Must be percent-encoded UTF-8" };
    throw badRequest(`The event is not valid: ${issue.path}: ${issue.message}`, {
      reason: "invalid_event",
      issues: [issue],
      cause,
    });
  }
}
