import type { StatusHistory } from "@tollgate/contracts";
import { isConnectionFailure } from "@tollgate/db";
import type { ServiceContext } from "@tollgate/services";
import { readCurrent, readHistory } from "@tollgate/services/status";
import type { FastifyInstance } from "fastify";
import { renderStatus } from "./renderStatus.ts";
import type { ApiResources } from "./requestContext.ts";
import { anonymousContext } from "./requestContext.ts";

const SHOWN_DAYS = 90;
/** Everybody looks at once when something is wrong, so one answer serves them all for a moment. */
const KEPT_MS = 5_000;

interface Kept {
  readonly page: Promise<string>;
  readonly untilMs: number;
}

/** The page that says how everything is. It answers without a database too: then that is what it has to say. */
export async function addStatusPage(app: FastifyInstance, resources: ApiResources): Promise<void> {
  const { clock } = resources;
  let kept: Kept | undefined;
  const compose = async (requestId: string): Promise<string> => {
    const ctx = anonymousContext(resources, requestId);
    const [current, history] = await Promise.all([readCurrent({ ctx }), readHistoryIfThere(ctx)]);
    return renderStatus(current, history);
  };
  await app.register(async (page) => {
    page.get("/status", async (request, reply) => {
      if (kept === undefined || kept.untilMs <= clock.nowMs()) {
        kept = { page: compose(request.id), untilMs: clock.nowMs() + KEPT_MS };
        kept.page.catch(() => {
          kept = undefined;
        });
      }
      const html = await kept.page;
      return reply
        .header("cache-control", "public, max-age=15")
        .header(
          "content-security-policy",
          "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        )
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "no-referrer")
        .type("text/html; charset=utf-8")
        .send(html);
    });
  });
}

/** Undefined while there is no database to ask. */
async function readHistoryIfThere(ctx: ServiceContext): Promise<StatusHistory | undefined> {
  try {
    return await readHistory({ ctx, input: { days: SHOWN_DAYS } });
  } catch (error) {
    if (!isConnectionFailure(error)) throw error;
    return undefined;
  }
}
