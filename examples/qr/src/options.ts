/** What a QR code is made of; see ISO/IEC 18004 for the error correction levels and the capacity they leave. */
export interface QrOptions {
  readonly text: string;
  /** Width and height in pixels; 4 pixels a module unless given. */
  readonly size: number | undefined;
  /** Quiet zone around the code, in modules. */
  readonly margin: number;
  readonly level: "L" | "M" | "Q" | "H";
}

/** Bytes that the largest code holds at each level (version 40, byte mode). */
export const BYTES_MAX = { L: 2_953, M: 2_331, Q: 1_663, H: 1_273 } as const;
export const SIZE_RANGE = { min: 64, max: 1_024 } as const;
export const MARGIN_RANGE = { min: 0, max: 16 } as const;

/** A parameter that the caller has to mend. */
export class ParameterError extends Error {}

/** @throws ParameterError that names the parameter */
export function parseQrOptions(query: URLSearchParams): QrOptions {
  const text = query.get("text") ?? "";
  if (text === "") throw new ParameterError("text: is required");
  const level = parseLevel(query.get("level") ?? "M");
  if (Buffer.byteLength(text) > BYTES_MAX[level]) {
    throw new ParameterError(`text: at level ${level} a code holds at most ${BYTES_MAX[level]} bytes`);
  }
  return {
    text,
    level,
    size: parseInteger("size", query.get("size"), SIZE_RANGE),
    margin: parseInteger("margin", query.get("margin"), MARGIN_RANGE) ?? 4,
  };
}

function parseLevel(text: string): QrOptions["level"] {
  if (text === "L" || text === "M" || text === "Q" || text === "H") return text;
  throw new ParameterError("level: must be L, M, Q or H");
}

function parseInteger(
  name: string,
  text: string | null,
  range: { readonly min: number; readonly max: number },
): number | undefined {
  if (text === null) return undefined;
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= range.min && value <= range.max)) {
    throw new ParameterError(`${name}: must be a whole number from ${range.min} to ${range.max}`);
  }
  return value;
}
