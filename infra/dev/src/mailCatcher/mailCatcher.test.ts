import { createTransport } from "nodemailer";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CaughtMail } from "./mailbox.ts";
import { Mailbox } from "./mailbox.ts";
import type { MailCatcher } from "./startMailCatcher.ts";
import { startMailCatcher } from "./startMailCatcher.ts";

let catcher: MailCatcher;
beforeAll(async () => {
  catcher = await startMailCatcher({ smtpPort: 0, httpPort: 0 });
});
afterAll(() => catcher.stop());
beforeEach(async () => {
  await fetch(`${catcher.httpUrl}/messages`, { method: "DELETE" });
});

async function send(to: string | string[], subject: string, html?: string): Promise<void> {
  const transport = createTransport(catcher.smtpUrl);
  await transport.sendMail({
    from: "Tollgate <a@example.com>",
    to,
    subject,
    text: `text of ${subject}`,
    ...(html ? { html } : {}),
  });
  transport.close();
}

async function list(to?: string): Promise<CaughtMail[]> {
  const query = to === undefined ? "" : `?to=${encodeURIComponent(to)}`;
  return (await fetch(`${catcher.httpUrl}/messages${query}`)).json() as Promise<CaughtMail[]>;
}

test("a sent mail is listed for its address, in any case and for no other, newest last", async () => {
  await send("Ann@Example.com", "first");
  await send("ann@example.com", "second", "<p>hello</p>");
  await send("joann@example.com", "other");
  const mails = await list("ANN@example.COM");
  expect(mails.map((mail) => mail.subject)).toEqual(["first", "second"]);
  expect(mails[1]).toMatchObject({ to: "ann@example.com", text: "text of second", html: "<p>hello</p>" });
  expect(Date.parse(mails[1]?.at ?? "")).not.toBeNaN();
  expect(await list()).toHaveLength(3);
});

test("a mail to several people is listed for each of them", async () => {
  await send(["one@example.com", "two@example.com"], "both");
  expect(await list("one@example.com")).toHaveLength(1);
  expect(await list("two@example.com")).toHaveLength(1);
});

test("the page shows a message without letting it run anything or break out", async () => {
  await send("x@example.com", "<script>alert(1)</script>", '<img src=x onerror="alert(2)">');
  const [mail] = await list("x@example.com");
  const page = await (await fetch(`${catcher.httpUrl}/?id=${mail?.id}`)).text();
  expect(page).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
  expect(page).toContain(
    '<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" title="Message" srcdoc="&lt;base',
  );
  expect(page).toContain("&lt;img src=x onerror=&quot;alert(2)&quot;&gt;");
  expect(page).not.toContain("<script>");
});

test("the page finds messages by what they say, and shows them as text as well", async () => {
  await send("y@example.com", "Searched for", "<p>as HTML</p>");
  await send("z@example.com", "Another");
  const [mail] = await list("y@example.com");
  const page = await (await fetch(`${catcher.httpUrl}/?q=searched&view=text&id=${mail?.id}`)).text();
  expect(page).toContain("<pre>text of Searched for");
  expect(page).not.toContain("Another");
  expect(page).not.toContain("<iframe");
});

test("only the last thousand mails are kept", async () => {
  const mailbox = new Mailbox();
  for (let index = 1; index <= 1_001; index++) {
    mailbox.add({ to: "a@example.com", from: "", subject: `${index}`, text: "", html: "", at: "" });
  }
  expect(mailbox.list()).toHaveLength(1_000);
  expect(mailbox.list()[0]?.subject).toBe("2");
});

describe("what is posted to a stand-in", () => {
  const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(url, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    });

  test("is shown as Slack and Discord show it, in the list and on the page", async () => {
    const { slack, discord } = catcher.channelUrls;
    const ofSlack = await post(slack, { text: "Alert: Weather &lt;!channel&gt;\nmore" });
    expect([ofSlack.status, await ofSlack.text()]).toEqual([200, "ok"]);
    expect((await post(discord, { content: "Over: Weather\nmore", allowed_mentions: { parse: [] } })).status).toBe(204);
    expect(await list("slack/alerts")).toMatchObject([{ subject: "Alert: Weather <!channel>" }]);
    expect(await list("discord/alerts")).toMatchObject([{ subject: "Over: Weather", text: "Over: Weather\nmore" }]);
    const page = await (await fetch(`${catcher.httpUrl}/?q=slack`)).text();
    expect(page).toContain("<b>Alert: Weather &lt;!channel&gt;</b>");
  });

  test("is shown with what signs it when it is a webhook", async () => {
    const signature = { "webhook-id": "evt_1", "webhook-signature": "v1,abc" };
    expect((await post(catcher.channelUrls.webhook, { type: "keys.revoked" }, signature)).status).toBe(204);
    const [message] = await list("webhooks/test");
    expect(message).toMatchObject({ subject: "keys.revoked" });
    expect(message?.text).toBe('webhook-id: evt_1\nwebhook-signature: v1,abc\n\n{\n  "type": "keys.revoked"\n}');
  });

  test.each([
    ["slack", { content: "of Discord" }, 400],
    ["discord", { text: "of Slack" }, 400],
    ["discord", { content: "x".repeat(2_001) }, 400],
    ["webhook", "no object", 400],
  ] as const)("is refused by %s when it is nothing for it: %j", async (channel, body, status) => {
    expect((await post(catcher.channelUrls[channel], body)).status).toBe(status);
    expect(await list()).toEqual([]);
  });

  test("is refused when it is large, or posted to nobody", async () => {
    const large = await post(catcher.channelUrls.slack, { text: "x".repeat(1_100_000) }).catch(() => ({ status: 413 }));
    expect(large.status).toBe(413);
    expect((await fetch(`${catcher.httpUrl}/elsewhere`, { method: "POST" })).status).toBe(404);
  });
});
