import { formatUnits } from "./formatUnits.ts";

type Data = Readonly<Record<string, unknown>>;
const text = (data: Data, field: string): string => (typeof data[field] === "string" ? data[field] : "");

/** A sentence for people about each event that they are told of. */
export function describeEvent(subject: string, data: Data): string {
  switch (subject) {
    case "keys.revoked":
      return "An API key was revoked";
    case "keys.blocked":
      return `An API key was blocked: ${text(data, "message")}`;
    case "keys.unblocked":
      return "A blocked API key works again";
    case "keys.expired":
      return "An API key has expired";
    case "projects.memberJoined":
      return `Somebody joined as ${text(data, "role")}`;
    case "projects.memberLeft":
      return "Somebody left the project";
    case "projects.roleChanged":
      return `A member who was ${text(data, "from")} is ${text(data, "to")} now`;
    case "projects.spendCapChanged":
      return "The monthly spend cap was changed";
    case "balance.credited":
      return `${formatUnits(text(data, "micros"))} of credit was added`;
    case "balance.debited":
      return `${formatUnits(text(data, "micros"))} of credit was taken off`;
    case "balance.low":
      return `The balance is low: ${formatUnits(text(data, "available"))} of credit is left`;
    case "balance.exhausted":
      return "The credit is used up: calls that cost are refused";
    case "balance.topUpFailed":
      return data["isOff"] === true
        ? "An automatic top-up was declined again, and is off now"
        : "An automatic top-up was declined";
    case "billing.invoiceFinalized":
      return `${data["kind"] === "credit_note" ? "The credit note" : "The invoice"} ${text(data, "number")} is there`;
    case "catalog.deprecated":
      return `The API ${text(data, "name")} is deprecated and ends on ${text(data, "sunsetAt").slice(0, 10)}`;
    case "catalog.removed":
      return `The API ${text(data, "name")} was removed`;
    case "webhooks.endpointDisabled":
      return `The webhook endpoint at ${text(data, "host")} was switched off`;
    case "alerts.fired":
      return "An alert fires";
    case "alerts.resolved":
      return "An alert is over";
    default:
      throw new Error(`Nobody is told of ${subject}`);
  }
}
