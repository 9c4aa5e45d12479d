import { renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Where everything of a system is and who may sign in. */
export interface SystemInfo {
  readonly apiUrl: string;
  /** The first of the gateways. */
  readonly gatewayUrl: string;
  readonly gatewayUrls: readonly string[];
  /** Where caught mail can be read, and what was sent to the next ones. */
  readonly mailUrl: string;
  /** Stand-ins for Slack, Discord and a server that receives webhooks, for alert rules and endpoints. */
  readonly channelUrls: { readonly slack: string; readonly discord: string; readonly webhook: string };
  /** The stand-ins that people sign in with, where no real registration is given. */
  readonly oauthUrls: { readonly google?: string; readonly github?: string };
  /** The stand-ins for analytics and what they have heard, as JSON, where no real account is given. */
  readonly analyticsUrls: { readonly mixpanel?: string; readonly mailchimp?: string };
  /** The stand-in for Stripe with its pages, where no real account is given. */
  readonly stripeUrl?: string;
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly natsUrl: string;
  readonly etcdUrl: string;
  readonly admin: SignIn;
  readonly demo: SignIn & { readonly projectId: string; readonly billingAccountId: string; readonly key: string };
  readonly exampleUrls: Readonly<Record<string, string>>;
}

/** What `ready.json` says, for people and programs that use a running system. */
export interface ReadyInfo extends SystemInfo {
  /** Of the serving processes themselves; servers that are not ours have none. */
  readonly pids: {
    readonly api: number;
    readonly gateways: readonly number[];
    readonly workers: number;
    readonly examples: Readonly<Record<string, number>>;
    readonly postgres?: number;
    readonly redis?: number;
    readonly nats?: number;
    readonly etcd?: number;
  };
}

export interface SignIn {
  readonly email: string;
  readonly password: string;
}

const fileIn = (dir: string): string => path.join(dir, "ready.json");

/**
 * Puts the whole file in place at once; a reader sees the old one or the new one, never half of one. Synchronous, so that
 * a new pid is on disk before its process can answer.
 */
export function writeReadyFile(dir: string, info: unknown): void {
  const file = fileIn(dir);
  const draft = `${file}.draft`;
  // It holds the demo key and passwords.
  writeFileSync(draft, `${JSON.stringify(info, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}

export function removeReadyFile(dir: string): void {
  rmSync(fileIn(dir), { force: true });
}
