import type { CardError } from "../world/stored.ts";

export type ApiErrorType = "invalid_request_error" | "card_error" | "idempotency_error" | "api_error";

export interface ApiErrorFields {
  readonly code?: string;
  readonly param?: string;
  readonly decline_code?: string;
  readonly [field: string]: unknown;
}

/** A refusal as Stripe says it: `{"error": {"type", "code", "message", "param", …}}` under an HTTP status. */
export class ApiError extends Error {
  readonly status: number;
  readonly type: ApiErrorType;
  readonly fields: ApiErrorFields;

  constructor(status: number, type: ApiErrorType, message: string, fields: ApiErrorFields = {}) {
    super(message);
    this.status = status;
    this.type = type;
    this.fields = fields;
  }

  toBody(): { error: Record<string, unknown> } {
    const docs =
      this.fields.code === undefined ? {} : { doc_url: `https://stripe.com/docs/error-codes/${this.fields.code}` };
    return { error: { ...this.fields, ...docs, message: this.message, type: this.type } };
  }
}

/** A request that makes no sense: 400. */
export const invalidRequest = (message: string, fields: ApiErrorFields = {}): ApiError =>
  new ApiError(400, "invalid_request_error", message, fields);

/** An id that is not there: 404 in a path, 400 in a parameter. */
export const missingResource = (kind: string, id: string, param = "id"): ApiError =>
  new ApiError(param === "id" ? 404 : 400, "invalid_request_error", `No such ${kind}: '${id}'`, {
    code: "resource_missing",
    param,
  });

/** A card that was refused: 402, with what the intent keeps as its last error. */
export const cardDeclined = (error: CardError, fields: ApiErrorFields = {}): ApiError =>
  new ApiError(402, "card_error", error.message ?? "Your card was declined.", {
    ...fields,
    ...(error.charge === undefined ? {} : { charge: error.charge }),
    ...(error.code === undefined ? {} : { code: error.code }),
    ...(error.decline_code === undefined ? {} : { decline_code: error.decline_code }),
    ...(error.payment_method === undefined ? {} : { payment_method: error.payment_method }),
  });
