import { createDataDeletionHandler, runUpstream, stopOnSignals } from "@tollgate/client/upstream";
import { readEnv } from "./env.ts";
import { definition } from "./openapi.ts";
import { createQrServer } from "./server.ts";

const env = readEnv();
const deleteData = createDataDeletionHandler({
  jwksUrl: new URL("/.well-known/jwks.json", env.apiUrl).href,
  api: definition.name,
  // This service keeps nothing of what it is sent: whatever is to be deleted is gone already.
  deleteData: ({ projectId }) => console.info(`nothing is kept of ${projectId}`),
});
const server = createQrServer({ deleteData });

stopOnSignals(await runUpstream({ server, definition, deleteDataPath: "/delete-data", ...env }));
