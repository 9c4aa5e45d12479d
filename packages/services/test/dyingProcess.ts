import { createDatabase } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { delay } from "@tollgate/kernel";
import { FaultProxy } from "@tollgate/testing";
import type { TokenContext } from "../src/customers/tokenIssuer.ts";
import { TokenIssuer } from "../src/customers/tokenIssuer.ts";
import type { ServiceFixture } from "./serviceFixture.ts";

/** Where a process dies: before or after its nth COMMIT (1 is the first) has reached the database. */
export interface Death {
  readonly moment: "before" | "after";
  readonly commit: number;
}

/**
 * Runs work in a process that dies at a COMMIT: from then on nothing of it reaches the database. What the work would have
 * answered is lost with it. A dead process goes on trying to reach the database for a while, in vain: `buried` resolves when
 * it has given up.
 */
export async function dieWhile(
  fixture: ServiceFixture,
  actor: Actor,
  death: Death,
  work: (ctx: TokenContext) => Promise<unknown>,
): Promise<{ readonly hasDied: boolean; readonly buried: Promise<void> }> {
  const proxy = await FaultProxy.start(fixture.databaseUrl);
  const database = createDatabase({ url: proxy.url, connectionsMax: 2, applicationName: "dying" });
  const { clock, settings } = fixture;
  const ctx: TokenContext = {
    ...fixture.as(actor),
    database,
    db: database.db,
    tokenIssuer: new TokenIssuer({ database: fixture.as().database, settings, clock }),
  };
  proxy.cutAtCommit(death.moment, 1, death.commit - 1);
  let isOver = false;
  const working = work(ctx).then(
    () => {
      isOver = true;
    },
    () => {
      isOver = true;
    },
  );
  while (!isOver && proxy.ordersLeft > 0) await delay(1);
  const hasDied = proxy.ordersLeft === 0;
  await proxy.stop();
  await database.close();
  return { hasDied, buried: working };
}
