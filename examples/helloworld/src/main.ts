import { runUpstream, stopOnSignals } from "@tollgate/client/upstream";
import { readEnv } from "./env.ts";
import { definition } from "./openapi.ts";
import { createHelloServer } from "./server.ts";

stopOnSignals(await runUpstream({ server: createHelloServer(), definition, ...readEnv() }));
