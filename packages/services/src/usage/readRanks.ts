import type { Ranks } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, asc, desc, gt, isNotNull, isNull } from "drizzle-orm";
import { isVisible } from "../catalog/internal.ts";
import type { ServiceContext } from "../context.ts";

const USERS_MAX = 10;
/** Of an API that nobody is known to call; one that was published since the last ranking has none yet. */
const POPULARITY_MIN = 1;

/**
 * The popularity of every published API, the most popular first, and the users who want to be named, as the last daily
 * ranking counted them. For anyone.
 */
export async function readRanks({ ctx }: { readonly ctx: ServiceContext }): Promise<Ranks> {
  const { apis, projects } = schema;
  const [ranked, users] = await Promise.all([
    ctx.db
      .select({ api: apis.name, displayName: apis.displayName, popularity: apis.popularity, rankedAt: apis.rankedAt })
      .from(apis)
      .where(isVisible)
      .orderBy(desc(apis.popularity), asc(apis.name)),
    ctx.db
      .select({ displayName: projects.rankingName, calls: projects.rankedCalls })
      .from(projects)
      .where(and(isNotNull(projects.rankingName), isNull(projects.deletedAt), gt(projects.rankedCalls, 0)))
      .orderBy(desc(projects.rankedCalls), asc(projects.id))
      .limit(USERS_MAX),
  ]);
  const newest = ranked.reduce((latest, { rankedAt }) => Math.max(latest, rankedAt?.getTime() ?? 0), 0);
  return {
    apis: ranked.map(({ api, displayName, popularity }) => ({
      api,
      displayName,
      popularity: Math.max(popularity, POPULARITY_MIN),
    })),
    users: users.map(({ displayName, calls }) => ({ displayName: displayName ?? "", calls })),
    rankedAt: newest === 0 ? null : new Date(newest),
  };
}
