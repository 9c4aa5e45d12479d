import type { Server } from "node:net";

/** Tells the parent process where a server listens. @throws Error for a server that does not listen on a port */
export function reportPort(server: Pick<Server, "address">): void {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  process.stdout.write(`${JSON.stringify({ port: address.port })}\n`);
}
