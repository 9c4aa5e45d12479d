import type { DbContext } from "@tollgate/db";
import type { MasterKey } from "@tollgate/kernel";

/** What verbs need beyond the database: settings that were read once at start and are passed in. */
export interface ServiceSettings {
  /** Seals secrets at rest. At least 32 characters. */
  readonly masterSecret: string;
  /** Wrap the keys of stored credentials, the newest first; without any, a key derived from the master secret does. */
  readonly masterKeys?: readonly MasterKey[];
  /** Where people and programs reach the control plane, without a trailing slash. */
  readonly publicApiUrl: string;
  /** Where programs reach the gateway, without a trailing slash. */
  readonly publicGatewayUrl: string;
  /** Where people reach the dashboard, without a trailing slash; links in mails lead there. */
  readonly publicWebUrl: string;
  /** Micros of promotional credit for each newly verified address; 0 for none. */
  readonly signupPromoMicros: bigint;
  /** Micros that a free endpoint's call costs when the month's free calls are used up. */
  readonly freeCallOverCapPriceMicros: bigint;
}

/** The context of every verb. */
export interface ServiceContext extends DbContext {
  readonly settings: ServiceSettings;
}

/** A verb takes one argument: the context and the parsed input. */
export interface Verb<Input> {
  readonly ctx: ServiceContext;
  readonly input: Input;
}
