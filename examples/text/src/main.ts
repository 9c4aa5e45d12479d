import {
  createDataDeletionHandler,
  createGatewayVerifier,
  runUpstream,
  stopOnSignals,
} from "@tollgate/client/upstream";
import { isVerifying, readEnv } from "./env.ts";
import { definition } from "./openapi.ts";
import { createTextServer } from "./server.ts";

const env = readEnv();
const jwksUrl = new URL("/.well-known/jwks.json", env.apiUrl).href;
const deleteData = createDataDeletionHandler({
  jwksUrl,
  api: definition.name,
  // This service keeps nothing of what it is sent: whatever is to be deleted is gone already.
  deleteData: ({ projectId }) => console.info(`nothing is kept of ${projectId}`),
});
const server = createTextServer({
  deleteData,
  ...(isVerifying() ? { verify: createGatewayVerifier({ jwksUrl }) } : {}),
});

stopOnSignals(await runUpstream({ server, definition, deleteDataPath: "/delete-data", ...env }));
