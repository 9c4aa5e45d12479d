import { runUpstream, stopOnSignals } from "@tollgate/client/upstream";
import { readEnv } from "./env.ts";
import { definition } from "./openapi.ts";
import { createQrServer } from "./server.ts";

stopOnSignals(await runUpstream({ server: createQrServer(), definition, ...readEnv() }));
