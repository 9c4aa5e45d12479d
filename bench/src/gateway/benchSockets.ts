import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { delay } from "@tollgate/kernel";
import { readResidentBytes } from "../processes/cpuTime.ts";
import { fixed } from "../report/numbers.ts";
import type { Section } from "../report/section.ts";
import type { Field } from "./candidates.ts";
import { CALL_PATH } from "./seedProduct.ts";

const SOCKETS = 1_000;
const OPENED_AT_ONCE = 50;
/** Until what the handshakes needed is collected; longer than the gateway takes to look after its sockets. */
const SETTLE_MS = 5_000;
const MIB = 2 ** 20;
const MIB_MAX = 20;

/** What open WebSockets that nobody uses cost the gateway: each is two connections and what relays between them. */
export async function benchSockets(field: Field): Promise<Section> {
  const { port, pid } = field.candidate("d");
  const sockets: Socket[] = [];
  const residentMib = async (): Promise<number> => {
    await delay(SETTLE_MS);
    return (readResidentBytes(pid) ?? Number.NaN) / MIB;
  };
  const before = await residentMib();
  await openSockets(field, port, sockets, SOCKETS);
  const withSome = await residentMib();
  await openSockets(field, port, sockets, SOCKETS);
  const withMore = await residentMib();
  for (const socket of sockets) socket.destroy();
  await delay(SETTLE_MS);
  const grownMib = withSome - before;
  return {
    title: "Gateway: idle WebSockets",
    about: `Resident memory of the gateway, warm from the load before, with so many open WebSockets that carry nothing, ${SETTLE_MS / 1_000} seconds after the last was opened.`,
    columns: ["sockets", "MiB"],
    rows: [
      ["0", fixed(before, 1)],
      [`${SOCKETS}`, fixed(withSome, 1)],
      [`${2 * SOCKETS}`, fixed(withMore, 1)],
    ],
    goals: [
      {
        what: `the first ${SOCKETS}`,
        goal: `≤ ${MIB_MAX} MiB`,
        seen: `${fixed(grownMib, 1)} MiB, and ${fixed(withMore - withSome, 1)} MiB for the next`,
        isReached: grownMib <= MIB_MAX,
      },
    ],
    notes: [],
  };
}

async function openSockets(field: Field, port: number, sockets: Socket[], count: number): Promise<void> {
  const head = [
    `GET ${CALL_PATH} HTTP/1.1`,
    "Host: 127.0.0.1",
    `Authorization: Bearer ${field.product.key}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  for (let opened = 0; opened < count; opened += OPENED_AT_ONCE) {
    const batch = Array.from({ length: OPENED_AT_ONCE }, async () => {
      const socket = connect(port, "127.0.0.1");
      sockets.push(socket);
      socket.write(`${head.join("\r\n")}\r\n\r\n`);
      const [answer] = await once(socket, "data");
      if (!String(answer).startsWith("HTTP/1.1 101")) throw new Error(`No WebSocket was opened: ${String(answer)}`);
    });
    await Promise.all(batch);
  }
}
