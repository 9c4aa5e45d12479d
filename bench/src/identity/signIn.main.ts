import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { verify } from "@node-rs/argon2";
import { createDatabase } from "@tollgate/db";
import { appRouter } from "@tollgate/routers";
import { createRestHandler } from "@tollgate/routers/http";
import { CoreWatch } from "../processes/cpuTime.ts";
import { createRequestContexts } from "./identityContext.ts";
import type { SignInPlan, SignInResult } from "./signInPlan.ts";

/**
 * Signs in, one after the other, and between the sign-ins verifies the same password against the same hash: what Argon2id
 * costs by itself, on the same core in the same minute.
 */
const plan = JSON.parse(process.argv[2] ?? "") as SignInPlan;
const { email, password, rounds } = plan;
const database = createDatabase({ url: plan.databaseUrl, applicationName: "bench" });
const createContext = createRequestContexts(database);
const server = createServer(createRestHandler({ router: appRouter, prefix: "/rest/", createContext }));
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rest/customers/login`;
const [row] = await database.sql<{ hash: string }[]>`
  select p.hash from passwords p join customers c on c.id = p.customer_id where c.email = ${email}`;
const hash = row?.hash ?? "";

const signIn = async (): Promise<void> => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, password }),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`Signing in answered ${response.status}: ${text}`);
};
const hashAlone = async (): Promise<void> => {
  if (!(await verify(hash, password))) throw new Error("The password is not the one that was hashed");
};

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return performance.now() - startedAtMs;
}

for (let round = 0; round < plan.warmupRounds; round += 1) {
  await hashAlone();
  await signIn();
}
const watch = new CoreWatch(process.pid);
const argonMs: number[] = [];
const signInMs: number[] = [];
for (let round = 0; round < rounds; round += 1) {
  argonMs.push(await timed(hashAlone));
  signInMs.push(await timed(signIn));
}
const { othersMs, elapsedMs } = watch.stop();
const result: SignInResult = {
  argonMs,
  signInMs,
  ...(othersMs === undefined ? {} : { others: othersMs / elapsedMs }),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
