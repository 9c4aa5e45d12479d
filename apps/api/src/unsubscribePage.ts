import { readUnsubscribe, unsubscribe } from "@tollgate/services/emails";
import type { FastifyInstance } from "fastify";
import type { ApiResources } from "./requestContext.ts";
import { anonymousContext } from "./requestContext.ts";

/**
 * Where the links in mails lead. Opening one only asks, because programs that look through mails open every link; the
 * button, and the one-click POST of a mail program (RFC 8058), unsubscribe.
 */
export async function addUnsubscribePage(app: FastifyInstance, resources: ApiResources): Promise<void> {
  const contextOf = (requestId: string) => anonymousContext(resources, requestId);
  await app.register(async (page) => {
    page.addContentTypeParser("*", { parseAs: "string", bodyLimit: 4_096 }, (_, body, done) => done(null, body));
    page.addHook("onSend", async (_, reply) => {
      reply
        .header("cache-control", "no-store")
        .header("referrer-policy", "no-referrer")
        .header("x-content-type-options", "nosniff")
        .header(
          "content-security-policy",
          "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        );
    });
    page.get<{ Params: { token: string } }>("/unsubscribe/:token", async (request, reply) => {
      readUnsubscribe({ ctx: contextOf(request.id), input: request.params });
      const form = '<form method="post"><button>Unsubscribe</button></form>';
      return reply
        .type("text/html; charset=utf-8")
        .send(
          render(
            "Unsubscribe?",
            `You will get no more mails but those that your account needs, such as codes and receipts.`,
            form,
          ),
        );
    });
    page.post<{ Params: { token: string } }>("/unsubscribe/:token", async (request, reply) => {
      await unsubscribe({ ctx: contextOf(request.id), input: request.params });
      return reply
        .type("text/html; charset=utf-8")
        .send(render("You are unsubscribed", "You will get no more of these mails.", ""));
    });
  });
}

const STYLE = `
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 26rem; padding: 2rem; }
h1 { font-size: 1.4rem; margin: 0 0 .5rem; }
button { margin-top: 1rem; padding: .7rem 1.2rem; font: inherit; font-weight: 600; color: #fff; background: #2f5fde; border: 0; border-radius: 8px; cursor: pointer; }
`;

const render = (title: string, text: string, form: string): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>${title}</title><style>${STYLE}</style></head>
<body><main><h1>${title}</h1><p>${text}</p>${form}</main></body>
</html>
`;
