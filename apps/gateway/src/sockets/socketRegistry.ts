import type { Socket } from "node:net";
import type { Gateway } from "../gateway.ts";
import type { OpenedSocket } from "./openedSocket.ts";
import { CLOSE_CODES } from "./openedSocket.ts";
import { SocketGroup } from "./socketGroup.ts";
import { SocketRelay } from "./socketRelay.ts";

const CHECK_MS = 250;
/** When draining, a socket whose upstream has said nothing for so long has no answer under way. */
const QUIET_MS = 250;
const DRAIN_MAX_MS = 3_000;
const DRAIN_POLL_MS = 25;

/** Every open WebSocket of this gateway. One timer looks after all of them: an idle socket costs its two connections. */
export class SocketRegistry {
  readonly #groups = new Map<string, SocketGroup>();
  /** Clients whose handshake is not answered. The HTTP server has let go of their connections already. */
  readonly #handshakes = new Set<Socket>();
  #timer: NodeJS.Timeout | undefined;
  #size = 0;
  #isDraining = false;

  get size(): number {
    return this.#size;
  }

  beginHandshake(client: Socket): void {
    this.#handshakes.add(client);
  }

  /** It was answered, or given up. */
  endHandshake(client: Socket): void {
    this.#handshakes.delete(client);
  }

  /** Begins to relay. @param opened both ends, after the handshake */
  open(gateway: Gateway, opened: OpenedSocket): void {
    const { key, caller, api, endpoint } = opened;
    const name = `${endpoint.id} ${key}`;
    const group = this.#groups.get(name) ?? new SocketGroup(gateway, key, caller, api, endpoint);
    this.#groups.set(name, group);
    this.#size += 1;
    const relay = new SocketRelay(gateway, group, opened, () => {
      group.relays.delete(relay);
      this.#size -= 1;
      if (group.relays.size === 0) this.#groups.delete(name);
    });
    group.relays.add(relay);
    relay.start();
    // Its handshake was under way when the drain began.
    if (this.#isDraining) relay.close(CLOSE_CODES.goingAway, "draining");
    this.#timer ??= setInterval(() => this.#check(gateway.clock.nowMs()), CHECK_MS).unref();
  }

  /** Money of an account has moved: its sockets are asked about at the next look. */
  askForMoney(billingAccountId: string): void {
    for (const group of this.#groups.values()) {
      if (group.caller.record.billingAccount.id === billingAccountId) group.askForMoneySoon();
    }
  }

  /**
   * Takes no more messages, lets the answers that are under way arrive, and closes with 1001, which tells clients to come
   * again: to another gateway.
   */
  async drain(nowMs: () => number): Promise<void> {
    this.#isDraining = true;
    const startedAtMs = nowMs();
    for (const relay of this.#relays()) relay.stopTaking();
    while (this.#size > 0 && nowMs() - startedAtMs < DRAIN_MAX_MS) {
      for (const relay of this.#relays())
        if (relay.isQuietFor(QUIET_MS, nowMs())) relay.close(CLOSE_CODES.goingAway, "draining");
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
    for (const relay of this.#relays()) relay.close(CLOSE_CODES.goingAway, "draining");
    for (const relay of this.#relays()) relay.destroy();
    clearInterval(this.#timer);
  }

  /** Ends at once what is still there when a drain may take no longer: handshakes, and what they opened meanwhile. */
  destroy(): void {
    for (const client of this.#handshakes) client.destroy();
    for (const relay of this.#relays()) relay.destroy();
    clearInterval(this.#timer);
  }

  #check(nowMs: number): void {
    for (const group of this.#groups.values()) {
      group.check(nowMs);
      for (const relay of group.relays) relay.tick(nowMs);
    }
  }

  *#relays(): Iterable<SocketRelay> {
    for (const group of [...this.#groups.values()]) yield* [...group.relays];
  }
}
