/**
 * Stand-ins for where alerts and webhooks go: incoming webhooks of Slack (`/slack/…`) and Discord (`/discord/…`), and any
 * server of a customer (`/webhooks/…`). They take what the real ones take, refuse what those refuse, and what they were
 * told is shown beside the mails.
 */
export interface ChannelAnswer {
  readonly status: number;
  readonly body: string;
  /** What somebody would see; undefined when it was refused. */
  readonly message?: { readonly subject: string; readonly text: string };
}

type Channel = (body: Readonly<Record<string, unknown>>, headers: Readonly<Record<string, unknown>>) => ChannelAnswer;

const DISCORD_CHARACTERS_MAX = 2_000;
const STANDARD_HEADERS = ["webhook-id", "webhook-timestamp", "webhook-signature"];

const CHANNELS: Readonly<Record<string, Channel>> = {
  // https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
  slack: ({ text }) =>
    typeof text === "string" && text !== ""
      ? { status: 200, body: "ok", message: toMessage(unescapeSlack(text)) }
      : { status: 400, body: "no_text" },
  // https://discord.com/developers/docs/resources/webhook#execute-webhook
  discord: ({ content }) =>
    typeof content === "string" && content !== "" && content.length <= DISCORD_CHARACTERS_MAX
      ? { status: 204, body: "", message: toMessage(content) }
      : { status: 400, body: JSON.stringify({ code: 50_006, message: "Cannot send an empty message" }) },
  webhooks: (body, headers) => {
    const signed = STANDARD_HEADERS.flatMap((name) => (headers[name] === undefined ? [] : `${name}: ${headers[name]}`));
    const text = [...signed, "", JSON.stringify(body, undefined, 2)].join("\n").trim();
    return { status: 204, body: "", message: { subject: String(body["type"] ?? "A webhook"), text } };
  },
};

/** Whether something is posted to a stand-in. */
export const isChannel = (pathname: string): boolean => Object.hasOwn(CHANNELS, nameOf(pathname));

/** Takes what was posted. */
export function receive(pathname: string, text: string, headers: Readonly<Record<string, unknown>>): ChannelAnswer {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (typeof body !== "object" || body === null) return { status: 400, body: "invalid_payload" };
  const answer = CHANNELS[nameOf(pathname)]?.(body as Record<string, unknown>, headers);
  return answer ?? { status: 404, body: "no_service" };
}

const nameOf = (pathname: string): string => pathname.split("/", 2)[1] ?? "";

const toMessage = (text: string): { subject: string; text: string } => ({
  subject: text.split("\n", 1)[0] ?? "",
  text,
});

/** As Slack shows the three characters that it wants escaped. */
const unescapeSlack = (text: string): string =>
  text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
