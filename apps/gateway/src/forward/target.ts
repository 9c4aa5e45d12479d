/**
 * Reads where a call goes: `/v1/<api>/<endpoint>(/<rest>)(?query)`. Cut by hand because this is the first thing every
 * call pays for, and a URL parser costs more than the rest of the decision.
 */
export interface CallTarget {
  readonly api: string;
  readonly endpoint: string;
  /** What follows the endpoint, without the slash; still encoded. */
  readonly rest: string;
  /** With its question mark, or empty. */
  readonly query: string;
}

const PREFIX = "/v1/";

/** @returns undefined for anything that is not a call */
export function readTarget(url: string): CallTarget | undefined {
  if (!url.startsWith(PREFIX)) return undefined;
  const question = url.indexOf("?");
  const pathEnd = question === -1 ? url.length : question;
  const apiEnd = url.indexOf("/", PREFIX.length);
  if (apiEnd === -1 || apiEnd >= pathEnd) return undefined;
  const slash = url.indexOf("/", apiEnd + 1);
  const endpointEnd = slash === -1 || slash > pathEnd ? pathEnd : slash;
  return {
    api: url.slice(PREFIX.length, apiEnd).toLowerCase(),
    endpoint: url.slice(apiEnd + 1, endpointEnd),
    rest: endpointEnd === pathEnd ? "" : url.slice(endpointEnd + 1, pathEnd),
    query: url.slice(pathEnd),
  };
}

/**
 * The upstream's path: the endpoint's own, with its `{parameters}` filled from the rest, one segment each. A segment that
 * would climb or hide a slash does not pass, so a call reaches the published path and no other.
 * @returns undefined when the rest does not fit
 */
export function upstreamPath(path: string, hasParameters: boolean, rest: string): string | undefined {
  if (!hasParameters) return rest === "" ? path : undefined;
  const segments = rest.split("/");
  let next = 0;
  let isComplete = true;
  const filled = path.replace(/\{[^}]*\}/g, () => {
    const segment = segments[next];
    next += 1;
    if (segment === undefined || !isPlainSegment(segment)) isComplete = false;
    return segment ?? "";
  });
  return isComplete && next === segments.length ? filled : undefined;
}

/**
 * The path without the query parameters that say the caller's key.
 * @returns undefined when the key is in the path itself, which cannot be forwarded without it
 */
export function withoutKey(path: string, key: string | undefined): string | undefined {
  if (key === undefined || key === "" || !path.includes(key)) return path;
  const question = path.indexOf("?");
  const pathname = question === -1 ? path : path.slice(0, question);
  if (pathname.includes(key)) return undefined;
  const kept = path
    .slice(question + 1)
    .split("&")
    .filter((pair) => !pair.includes(key));
  return kept.length === 0 ? pathname : `${pathname}?${kept.join("&")}`;
}

function isPlainSegment(segment: string): boolean {
  if (segment === "") return false;
  let decoded: string;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    // Not valid percent-encoding: an upstream could read it as anything.
    return false;
  }
  // Some servers cut parameters (`;a=b`) off a segment before they look for dots.
  const [name] = decoded.split(";", 1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not pass
  return name !== "." && name !== ".." && !/[/\\\u0000-\u001f\u007f]/.test(decoded);
}

const BASIC = /^basic +([A-Za-z0-9+/=]+)$/i;
const BEARER = /^bearer +(\S+)$/i;

/** The key in an `Authorization` header: a bearer token, or the password of basic credentials. */
export function readKey(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  if (authorization.startsWith("Bearer ")) return authorization.slice(7).trim();
  const bearer = BEARER.exec(authorization);
  if (bearer !== null) return bearer[1];
  const basic = BASIC.exec(authorization);
  if (basic?.[1] === undefined) return undefined;
  const credentials = Buffer.from(basic[1], "base64").toString("utf8");
  const colon = credentials.indexOf(":");
  return colon === -1 ? undefined : credentials.slice(colon + 1);
}
