import type { EndpointInput } from "@tollgate/contracts";
import type { Micros } from "@tollgate/kernel";

/**
 * What has to be written so that an API's endpoints become the wanted ones: decided from facts alone. An endpoint is
 * known by its name; one that is no longer wanted is retired and keeps its id, and one that comes back is revived.
 */
export interface PriceVersion {
  readonly effectiveFrom: Date;
  readonly priceMicros: Micros;
}

export interface EndpointFacts {
  readonly id: string;
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly freePerMonth: number;
  readonly unit: string;
  readonly unitsMax: number;
  readonly meter: "call" | "message";
  readonly isChargedOn4xx: boolean;
  readonly timeoutMs: number;
  readonly bodyBytesMax: number;
  readonly retiredAt: Date | null;
  /** Ascending: the version in force and those to come. */
  readonly prices: readonly PriceVersion[];
}

export type EndpointColumns = Omit<EndpointFacts, "id" | "retiredAt" | "prices">;

export interface EndpointPlan {
  readonly add: readonly { readonly columns: EndpointColumns; readonly priceMicros: Micros }[];
  readonly change: readonly { readonly id: string; readonly columns: EndpointColumns }[];
  readonly reprice: readonly { readonly id: string; readonly priceMicros: Micros; readonly effectiveFrom: Date }[];
  readonly retire: readonly string[];
}

export function planEndpoints(
  existing: readonly EndpointFacts[],
  wanted: readonly EndpointInput[],
  options: { readonly effectiveFrom: Date },
): EndpointPlan {
  const byName = new Map(existing.map((endpoint) => [endpoint.name, endpoint]));
  const wantedNames = new Set(wanted.map((endpoint) => endpoint.name));
  const plan = {
    add: [] as { columns: EndpointColumns; priceMicros: Micros }[],
    change: [] as { id: string; columns: EndpointColumns }[],
    reprice: [] as { id: string; priceMicros: Micros; effectiveFrom: Date }[],
    retire: existing
      .filter((endpoint) => endpoint.retiredAt === null && !wantedNames.has(endpoint.name))
      .map((endpoint) => endpoint.id),
  };
  for (const endpoint of wanted) {
    const columns = toColumns(endpoint);
    const found = byName.get(endpoint.name);
    if (found === undefined) {
      plan.add.push({ columns, priceMicros: endpoint.priceMicros });
      continue;
    }
    if (found.retiredAt !== null || !isSame(columns, found)) plan.change.push({ id: found.id, columns });
    if (priceAt(found.prices, options.effectiveFrom) !== endpoint.priceMicros) {
      plan.reprice.push({ id: found.id, priceMicros: endpoint.priceMicros, effectiveFrom: options.effectiveFrom });
    }
  }
  return plan;
}

export const isEmptyPlan = (plan: EndpointPlan): boolean =>
  plan.add.length + plan.change.length + plan.reprice.length + plan.retire.length === 0;

/** The price in force at an instant: that of the latest version that has begun, or of the first one before it has. */
export function priceAt(versions: readonly PriceVersion[], at: Date): Micros | undefined {
  return (versions.findLast((version) => version.effectiveFrom.getTime() <= at.getTime()) ?? versions[0])?.priceMicros;
}

function toColumns(endpoint: EndpointInput): EndpointColumns {
  return {
    name: endpoint.name,
    method: endpoint.method,
    path: endpoint.path,
    freePerMonth: endpoint.freePerMonth,
    unit: endpoint.unit,
    unitsMax: endpoint.maxUnits ?? 1,
    meter: endpoint.meter,
    isChargedOn4xx: endpoint.chargeOn4xx,
    timeoutMs: endpoint.timeoutMs,
    bodyBytesMax: endpoint.bodyBytesMax,
  };
}

function isSame(columns: EndpointColumns, found: EndpointFacts): boolean {
  return (Object.keys(columns) as (keyof EndpointColumns)[]).every((key) => columns[key] === found[key]);
}
