import { createHash } from "node:crypto";
import { randomBase62 } from "@tollgate/kernel";
import type { SinkReply, SinkRequestSeen, SinkStandIn } from "./startSinkStandIn.ts";
import { startSinkStandIn } from "./startSinkStandIn.ts";

export interface MailchimpMember {
  readonly email_address: string;
  readonly status: "subscribed" | "unsubscribed" | "archived";
}

/** An audience of Mailchimp on this machine. */
export interface MailchimpStandIn extends SinkStandIn {
  readonly apiKey: string;
  readonly listId: string;
  /** By the MD5 of the address in small letters. */
  readonly members: Map<string, MailchimpMember>;
  /** Somebody follows the link in a mail from there. */
  unsubscribe(email: string): void;
}

const MEMBER = /^\/3\.0\/lists\/(?<list>[^/]+)\/members\/(?<hash>[0-9a-f]{32})(?<action>\/actions\/delete-permanent)?$/;
const hashOf = (email: string): string => createHash("md5").update(email.toLowerCase()).digest("hex");

export async function startMailchimpStandIn(options: { readonly port?: number } = {}): Promise<MailchimpStandIn> {
  const apiKey = `${randomBase62(32).toLowerCase()}-us21`;
  const listId = randomBase62(10).toLowerCase();
  const members = new Map<string, MailchimpMember>();

  const put = (hash: string, body: unknown): SinkReply => {
    const { email_address: email, status_if_new: statusIfNew } = body as {
      email_address?: string;
      status_if_new?: MailchimpMember["status"];
    };
    if (email === undefined || !email.includes("@")) return [400, { title: "Invalid Resource" }];
    const present = members.get(hash);
    if (present === undefined && hash !== hashOf(email)) return [404, { title: "Resource Not Found" }];
    const member = { email_address: email, status: present?.status ?? statusIfNew ?? "subscribed" } as const;
    members.delete(hash);
    members.set(hashOf(email), member);
    return [200, member];
  };

  const answer = ({ method, url, authorization, body }: SinkRequestSeen): SinkReply => {
    if (method === "GET" && url.pathname === "/") return [200, { members: [...members.values()] }];
    const [, password] = Buffer.from(authorization.replace(/^Basic /, ""), "base64")
      .toString("utf8")
      .split(":");
    if (password !== apiKey) return [401, { title: "API Key Invalid" }];
    const { list, hash = "", action } = MEMBER.exec(url.pathname)?.groups ?? {};
    if (list !== listId) return [404, { title: "Resource Not Found" }];
    if (method === "PUT") return put(hash, body);
    const member = members.get(hash);
    if (member === undefined) return [404, { title: "Resource Not Found" }];
    if (method === "POST" && action !== undefined) {
      members.delete(hash);
      return [204];
    }
    if (method !== "DELETE" || member.status === "archived") return [405, { title: "Method Not Allowed" }];
    members.set(hash, { ...member, status: "archived" });
    return [204];
  };

  const standIn = await startSinkStandIn(options.port ?? 0, answer);
  return {
    ...standIn,
    apiKey,
    listId,
    members,
    unsubscribe: (email) => void members.set(hashOf(email), { email_address: email, status: "unsubscribed" }),
  };
}
