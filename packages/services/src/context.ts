import type { PostalAddress } from "@tollgate/contracts";
import type { DbContext } from "@tollgate/db";
import type { MasterKey } from "@tollgate/kernel";
import type { LiveSettings } from "./liveSettings.ts";

/** What verbs need beyond the database and stays as it was at the start. */
export interface FixedSettings {
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
  /** Networks in CIDR notation that requests to URLs of customers may reach although they are not public; none by default. */
  readonly outboundAllowedNetworks?: readonly string[];
  /** Who invoices are from; the name of the dashboard's host without it. */
  readonly seller?: SellerSettings;
  /** The one currency of the deployment, three small letters; `usd` when not said. */
  readonly currency?: string;
}

/** Who the deployment's invoices are from. */
export interface SellerSettings {
  readonly name: string;
  readonly address: PostalAddress | null;
  readonly taxId: string | null;
  readonly email: string | null;
}

/** All that verbs are told. A setting that may change is read when it is needed, and not kept. */
export type ServiceSettings = FixedSettings & LiveSettings;

/** The context of every verb. */
export interface ServiceContext extends DbContext {
  readonly settings: ServiceSettings;
}

/** A verb takes one argument: the context and the parsed input. */
export interface Verb<Input> {
  readonly ctx: ServiceContext;
  readonly input: Input;
}
