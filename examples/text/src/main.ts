import { createGatewayVerifier, runUpstream, stopOnSignals } from "@tollgate/client/upstream";
import { isVerifying, readEnv } from "./env.ts";
import { definition } from "./openapi.ts";
import { createTextServer } from "./server.ts";

const env = readEnv();
const jwksUrl = new URL("/.well-known/jwks.json", env.apiUrl).href;
const server = createTextServer(isVerifying() ? { verify: createGatewayVerifier({ jwksUrl }) } : {});

stopOnSignals(await runUpstream({ server, definition, ...env }));
