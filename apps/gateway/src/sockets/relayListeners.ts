import type { Socket } from "node:net";

/** What a relay hears from its two sockets. */
export interface RelayEvents {
  onClientData(chunk: Buffer): void;
  onUpstreamData(chunk: Buffer): void;
  onDrain(): void;
  /** It has ended, or is closed. */
  onClientEnd(): void;
  onUpstreamEnd(): void;
}

/** Where a socket's listeners find their relay: functions that all share, rather than ten closures a socket. */
const RELAY = Symbol("relay");
type RelayedSocket = Socket & { [RELAY]?: RelayEvents };

export function listen(client: RelayedSocket, upstream: RelayedSocket, relay: RelayEvents): void {
  client[RELAY] = relay;
  upstream[RELAY] = relay;
  client.on("data", onClientData).on("drain", onDrain).on("end", onClientEnd).on("close", onClientEnd);
  upstream.on("data", onUpstreamData).on("drain", onDrain).on("end", onUpstreamEnd).on("close", onUpstreamEnd);
  for (const socket of [client, upstream]) socket.on("error", onError);
}

/** What the client still sends is read and forgotten. */
export function stopHearing(client: Socket): void {
  client.removeListener("data", onClientData).resume();
}

function onClientData(this: RelayedSocket, chunk: Buffer): void {
  this[RELAY]?.onClientData(chunk);
}
function onUpstreamData(this: RelayedSocket, chunk: Buffer): void {
  this[RELAY]?.onUpstreamData(chunk);
}
function onDrain(this: RelayedSocket): void {
  this[RELAY]?.onDrain();
}
function onClientEnd(this: RelayedSocket): void {
  this[RELAY]?.onClientEnd();
}
function onUpstreamEnd(this: RelayedSocket): void {
  this[RELAY]?.onUpstreamEnd();
}
/** What went wrong is in what follows: an errored socket is closed, and its close is what the relay acts upon. */
function onError(this: RelayedSocket): void {
  this.destroy();
}
