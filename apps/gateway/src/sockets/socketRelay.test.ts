import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { silentLogger, TestClock } from "@tollgate/kernel";
import { expect, onTestFinished, test } from "vitest";
import type { Gateway } from "../gateway.ts";
import { controlFrame, controlPayload, OPCODES } from "./frames.ts";
import type { SocketGroup } from "./socketGroup.ts";
import { SocketRelay } from "./socketRelay.ts";

/** Both ends of a TCP connection. */
async function connection(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const far = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [near] = (await once(server, "connection")) as [Socket];
  server.close();
  onTestFinished(() => {
    far.destroy();
    near.destroy();
  });
  for (const socket of [far, near]) socket.on("error", () => undefined);
  return [near, far];
}

/** A relay between a client and an upstream that the test plays both of, under a clock of its own. */
async function relaying() {
  const clock = new TestClock();
  const [client, farClient] = await connection();
  const [upstream, farUpstream] = await connection();
  const target = { inFlight: 1 };
  let closed = 0;
  const gateway = { clock, logger: silentLogger } as unknown as Gateway;
  const group = { endpoint: { isMeteredByMessage: false, bodyBytesMax: 100 } } as unknown as SocketGroup;
  const opened = { client, upstream, target, isCompressed: false } as unknown as ConstructorParameters<
    typeof SocketRelay
  >[2];
  const relay = new SocketRelay(gateway, group, opened, () => {
    closed += 1;
  });
  relay.start();
  const tick = (ms: number): void => {
    clock.advanceMs(ms);
    relay.tick(clock.nowMs());
  };
  return { relay, farClient, farUpstream, target, tick, closed: () => closed };
}

const arrived = async (socket: Socket): Promise<Buffer> => (await once(socket, "data"))[0] as Buffer;

test("a side that is silent is asked whether it is there, and its answer goes no further", async () => {
  const { farClient, farUpstream, tick } = await relaying();
  tick(29_000);
  tick(1_000);
  const [toClient, toUpstream] = await Promise.all([arrived(farClient), arrived(farUpstream)]);
  expect([toClient[0], toUpstream[0]]).toEqual([0x89, 0x89]);
  // Towards a server frames are masked.
  expect([(toClient[1] ?? 0) & 0x80, (toUpstream[1] ?? 0) & 0x80]).toEqual([0, 0x80]);
  farClient.write(controlFrame(OPCODES.pong, controlPayload(toClient), true));
  farClient.write(controlFrame(OPCODES.ping, Buffer.from("mine"), true));
  const next = await arrived(farUpstream);
  expect([next[0], controlPayload(next).toString()]).toEqual([0x89, "mine"]);
});

test("a side that does not answer for a minute is given up, and so is the other", async () => {
  const { farClient, farUpstream, tick, target, closed } = await relaying();
  const ended = Promise.all([once(farClient, "close"), once(farUpstream, "end")]);
  farClient.resume();
  const heard: Buffer[] = [];
  farUpstream.on("data", (chunk: Buffer) => heard.push(chunk));
  tick(31_000);
  farUpstream.write(controlFrame(OPCODES.pong, Buffer.from("tollgate"), false));
  await expect.poll(() => heard.length).toBe(1);
  tick(31_000);
  await ended;
  const goodbye = Buffer.concat(heard).subarray(-(2 + 4 + 2 + "client_gone".length));
  expect(controlPayload(goodbye).readUInt16BE(0)).toBe(1001);
  farUpstream.end();
  await expect.poll(closed).toBe(1);
  expect(target.inFlight).toBe(0);
});

test("a close that is not answered ends all the same", async () => {
  const { relay, farClient, tick, closed, target } = await relaying();
  relay.close(4402, "insufficient_credit");
  expect(controlPayload(await arrived(farClient)).readUInt16BE(0)).toBe(4402);
  tick(1_900);
  expect(closed()).toBe(0);
  tick(200);
  expect([closed(), target.inFlight]).toEqual([1, 0]);
  relay.destroy();
  expect(closed()).toBe(1);
});

test("a close waits for the end of the frame that is on its way to the client", async () => {
  const { relay, farClient, farUpstream } = await relaying();
  let received = Buffer.alloc(0);
  farClient.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  farUpstream.write(Buffer.from([0x81, 4, 65, 66]));
  await expect.poll(() => received.length).toBe(4);
  relay.close(1001, "draining");
  farUpstream.write(Buffer.from([67, 68, 0x81, 1, 69]));
  await expect.poll(() => received.length).toBe(6 + 2 + 2 + "draining".length);
  expect(received.subarray(2, 6).toString()).toBe("ABCD");
  expect(controlPayload(received.subarray(6)).subarray(2).toString()).toBe("draining");
});
