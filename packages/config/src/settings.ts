import type { Micros } from "@tollgate/kernel";
import { parseMicros } from "@tollgate/kernel";
import { z } from "zod";

/**
 * One setting that can be changed while everything runs. Its schema reads and writes the JSON that is stored, so a schema
 * that transforms must be a codec.
 */
export interface Setting<Schema extends z.ZodType = z.ZodType> {
  readonly schema: Schema;
  /** In force until somebody sets another value. */
  readonly default: z.output<Schema>;
  /** For operators: what it does, and in which unit. */
  readonly description: string;
}

export type SettingsTable = Readonly<Record<string, Setting>>;
export type SettingValue<Table extends SettingsTable, Key extends keyof Table> = z.output<Table[Key]["schema"]>;

export function setting<Schema extends z.ZodType>(definition: Setting<Schema>): Setting<Schema> {
  return definition;
}

/**
 * Declares a table of settings.
 * @throws Error if a name cannot be part of a key, or a default is not valid by its own schema
 */
export function defineConfig<Table extends SettingsTable>(table: Table): Table {
  for (const [name, { schema, default: value }] of Object.entries(table)) {
    if (!/^[a-zA-Z][a-zA-Z0-9]{0,63}$/.test(name)) throw new Error(`Not a name for a setting: ${name}`);
    const encoded = z.safeEncode(schema, value);
    if (!encoded.success) throw new Error(`The default of ${name} is not valid: ${z.prettifyError(encoded.error)}`);
  }
  return Object.freeze(table);
}

/**
 * The table with other defaults, as a process's environment gives them. What is undefined stays.
 * @throws Error if one of them is not valid by its schema
 */
export function withDefaults<Table extends SettingsTable>(
  table: Table,
  defaults: { readonly [Name in keyof Table]?: SettingValue<Table, Name> | undefined },
): Table {
  const given = Object.entries(defaults).filter(([, value]) => value !== undefined);
  const changed = given.map(([name, value]) => [name, { ...table[name], default: value }] as const);
  return defineConfig({ ...table, ...Object.fromEntries(changed) });
}

/** Integer micros of zero or more; JSON holds them as a decimal string. */
export const microsSetting = z.codec(
  z.string().regex(/^\d{1,18}$/, { error: "Must be an integer number of micros, zero or more, as a decimal string" }),
  z.custom<Micros>((value) => typeof value === "bigint" && value >= 0n, { error: "Must be micros of zero or more" }),
  { decode: (text) => parseMicros(text), encode: (micros) => micros.toString() },
);

const ratePerSecond = z.int().min(1).max(1_000_000);
const seconds = (max: number) => z.int().min(1).max(max);

/** Every setting of the product, in one table: stored under `/tollgate/config/<name>`. */
export const SETTINGS = defineConfig({
  keyRateLimitPerSecond: setting({
    schema: ratePerSecond.nullable(),
    default: null,
    description: "Calls a second of a key that names no limit of its own; null leaves it to its project and tier.",
  }),
  projectRateLimitPerSecond: setting({
    schema: ratePerSecond.nullable(),
    default: null,
    description: "Calls a second of one project over all its keys; null leaves it to the tier.",
  }),
  rateLimitBurstSeconds: setting({
    schema: seconds(60),
    default: 1,
    description:
      "How many seconds' worth of calls may come at once before the limit of a key or project refuses: the window in which they are counted.",
  }),
  tierRateLimitBurstSeconds: setting({
    schema: seconds(3_600),
    default: 300,
    description:
      "How many seconds' worth of calls may come at once before the limit of a tier refuses: the window in which they are counted.",
  }),
  freeCallOverCapPriceMicros: setting({
    schema: microsSetting,
    default: parseMicros("1"),
    description: "Micros that a call of a free endpoint costs once the tier's monthly free calls are used up.",
  }),
  margin: setting({
    schema: z.number().min(0).max(1).multipleOf(0.0001),
    default: 0.5,
    description: "Share of a subscription payment that is kept; the rest is granted as credit. At most four decimals.",
  }),
  signupPromoMicros: setting({
    schema: microsSetting,
    default: parseMicros("0"),
    description: "Credit granted once to each verified address when it signs up; 0 grants none.",
  }),
  maintenance: setting({
    schema: z.boolean(),
    default: false,
    description: "Refuses calls and changes with 503 while true; health, status and the operator's procedures go on.",
  }),
  logLevel: setting({
    schema: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]),
    default: "info",
    description: "The least severe log line that every process writes.",
  }),
  leaseSliceSeconds: setting({
    schema: z.number().min(0.1).max(60),
    default: 3,
    description: "How many seconds' worth of recent spending a gateway leases from a budget at once.",
  }),
  meteringBatchCalls: setting({
    schema: z.int().min(1).max(2_000),
    default: 2_000,
    description: "Most calls that a gateway ships in one metering batch.",
  }),
  meteringShipIntervalMs: setting({
    schema: z.int().min(1).max(10_000),
    default: 50,
    description:
      "How long a gateway gathers finished calls before it ships them: longer makes a call cheaper and its usage later.",
  }),
  selfTest: setting({
    schema: z.boolean(),
    default: true,
    description: "Whether a worker signs up, calls and leaves again every five minutes, as a stranger would.",
  }),
  lowBalanceMicros: setting({
    schema: microsSetting,
    default: parseMicros("1000000"),
    description: "Balance below which an account that has set no threshold of its own is told that it runs low.",
  }),
});

/** The fraction of a payment that becomes credit at a margin, exactly: for arithmetic on micros. */
export function creditShare(margin: number): { readonly numerator: bigint; readonly denominator: bigint } {
  return { numerator: 10_000n - BigInt(Math.round(margin * 10_000)), denominator: 10_000n };
}
