import { createDatabase, schema, withTransaction } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { newId, randomBase62, silentLogger, TestClock } from "@tollgate/kernel";
import { createTestDatabase } from "@tollgate/testing";
import { seedTiers } from "../src/billing/index.ts";
import type { ServiceSettings } from "../src/context.ts";
import type { TokenContext } from "../src/customers/tokenIssuer.ts";
import { TokenIssuer } from "../src/customers/tokenIssuer.ts";
import { LIVE_SETTING_DEFAULTS } from "../src/liveSettings.ts";

/** A migrated database with its tiers, a clock that tests move, and contexts of whoever should act. */
export interface ServiceFixture {
  readonly clock: TestClock;
  readonly settings: ServiceSettings;
  readonly databaseUrl: string;
  /** The context of an actor; nobody in particular without one. */
  as(actor?: Actor, settings?: Partial<ServiceSettings>): TokenContext;
  /** A context of another process: its own connections and its own keys in memory. */
  otherProcess(actor?: Actor): TokenContext;
  /** An address that no other test uses. */
  newEmail(): string;
  close(): Promise<void>;
}

export const SYSTEM: Actor = { kind: "system", task: "test" };
export const OPERATOR: Actor = {
  kind: "customer",
  customerId: "cus_operator00",
  sessionId: "ses_operator00",
  isOperator: true,
};

/** The actor of a customer's session. */
export function customerActor(customerId: string, sessionId = newId("session")): Actor {
  return { kind: "customer", customerId, sessionId, isOperator: false };
}

export async function createServiceFixture(): Promise<ServiceFixture> {
  const testDatabase = await createTestDatabase();
  const clock = new TestClock();
  const settings: ServiceSettings = {
    masterSecret: "a secret that only this test suite knows",
    publicApiUrl: "https://api.example.test",
    publicGatewayUrl: "https://gateway.example.test",
    publicWebUrl: "https://app.example.test",
    ...LIVE_SETTING_DEFAULTS,
  };
  const processes = [openProcess(), openProcess()] as const;
  function openProcess() {
    const database = createDatabase({ url: testDatabase.url, connectionsMax: 8, applicationName: "services-test" });
    return { database, tokenIssuer: new TokenIssuer({ database, settings, clock }) };
  }
  const contextIn = (
    { database, tokenIssuer }: ReturnType<typeof openProcess>,
    actor: Actor = { kind: "anonymous" },
    overrides: Partial<ServiceSettings> = {},
  ): TokenContext => ({
    clock,
    logger: silentLogger,
    actor,
    requestId: newId("request"),
    ip: "192.0.2.7",
    userAgent: "tests",
    database,
    db: database.db,
    isInTransaction: false,
    settings: { ...settings, ...overrides },
    tokenIssuer,
  });
  await seedTiers({ ctx: contextIn(processes[0], SYSTEM) });
  return {
    clock,
    settings,
    databaseUrl: testDatabase.url,
    as: (actor, overrides) => contextIn(processes[0], actor, overrides),
    otherProcess: (actor) => contextIn(processes[1], actor),
    newEmail: () => `person-${randomBase62(10).toLowerCase()}@example.test`,
    close: async () => {
      await Promise.all(processes.map((process) => process.database.close()));
      await testDatabase.drop();
    },
  };
}

/** A billing account with a project and nobody in it, for tests that are not about people. */
export async function insertProject(
  fixture: ServiceFixture,
  overrides: Partial<typeof schema.projects.$inferInsert> = {},
): Promise<typeof schema.projects.$inferSelect> {
  const now = fixture.clock.now();
  const billingAccountId = newId("billingAccount");
  // What tests prepare meets what other tests do at the same time: it is tried again like everything else.
  return withTransaction(fixture.as(), async ({ db }) => {
    await db
      .insert(schema.billingAccounts)
      .values({ id: billingAccountId, name: "Test", tierId: "free", createdAt: now, updatedAt: now });
    const [project] = await db
      .insert(schema.projects)
      .values({ id: newId("project"), name: "Test", billingAccountId, createdAt: now, updatedAt: now, ...overrides })
      .returning();
    if (project === undefined) throw new Error("The project was not inserted");
    return project;
  });
}

/** A verified customer who is a member of a project. */
export async function insertMember(
  fixture: ServiceFixture,
  projectId: string,
  role: (typeof schema.PROJECT_ROLES)[number],
): Promise<Actor> {
  const now = fixture.clock.now();
  const customerId = newId("customer");
  const email = fixture.newEmail();
  await withTransaction(fixture.as(), async ({ db }) => {
    await db
      .insert(schema.customers)
      .values({ id: customerId, email, status: "verified", createdAt: now, updatedAt: now });
    await db.insert(schema.projectMembers).values({ projectId, customerId, role, createdAt: now });
  });
  return customerActor(customerId);
}
