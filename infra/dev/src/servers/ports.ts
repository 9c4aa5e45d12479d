import { createServer } from "node:net";

/**
 * Ports below the range from which the system takes local ports of outgoing connections (32768 and up on Linux). Inside it
 * a client that retries against a server that is down may be given the server's own port, connect to itself, and keep the
 * server from coming back; so even "any port" is chosen below it.
 */
const ANY_PORT_FIRST = 18_000;
const ANY_PORT_COUNT = 14_000;
const ATTEMPTS_MAX = 500;

const taken = new Set<number>();

/** Whether nothing listens on a port of the loopback interface. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

/**
 * A free port: the preferred one or the next free one after it, or any when there is no preference. A port is given once
 * in the life of a process. @throws Error if none is free.
 */
export async function choosePort(preferred?: number): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const port =
      preferred === undefined ? ANY_PORT_FIRST + Math.floor(Math.random() * ANY_PORT_COUNT) : preferred + attempt;
    if (taken.has(port)) continue;
    taken.add(port);
    if (await isPortFree(port)) return port;
    taken.delete(port);
  }
  throw new Error(`No free port found${preferred === undefined ? "" : ` from ${preferred} on`}`);
}
