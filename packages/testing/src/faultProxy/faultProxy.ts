import { once } from "node:events";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { choosePort } from "@tollgate/dev/servers";
import { Gate } from "./gate.ts";
import type { Verdict } from "./proxiedConnection.ts";
import { ProxiedConnection } from "./proxiedConnection.ts";
import { isCommit } from "./statementTracker.ts";

const HOST = "127.0.0.1";
const POSTGRES_PORT = 5432;

interface Order {
  readonly matches: (text: string) => boolean;
  readonly verdict: Exclude<Verdict, "pass">;
  left: number;
  /** How many that match pass before it begins. */
  skip: number;
}

/**
 * A proxy in front of PostgreSQL that breaks things on demand: exactly at a COMMIT, at a statement, or for the whole
 * connection. It reads the wire protocol, so a fault happens at a known point of a known transaction, and what the client
 * is told fits what the server did.
 */
export class FaultProxy {
  /** The database's URL through the proxy. */
  readonly url: string;
  readonly #target: { host: string; port: number };
  readonly #port: number;
  readonly #gate = new Gate();
  readonly #connections = new Map<Socket, ProxiedConnection>();
  #server: Server | undefined;
  #orders: Order[] = [];
  #commits = 0;

  private constructor(databaseUrl: string, port: number) {
    const url = new URL(databaseUrl);
    this.#target = { host: url.hostname, port: Number(url.port || POSTGRES_PORT) };
    this.#port = port;
    url.hostname = HOST;
    url.port = `${port}`;
    this.url = url.toString();
  }

  /** Starts a proxy that as yet changes nothing. */
  static async start(databaseUrl: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(databaseUrl, await choosePort());
    await proxy.#listen();
    return proxy;
  }

  /** How many COMMITs clients have sent, whatever became of them. */
  get commits(): number {
    return this.#commits;
  }

  /** How many faults that were ordered have not happened yet. */
  get ordersLeft(): number {
    return this.#orders.reduce((sum, order) => sum + order.left, 0);
  }

  /** Breaks every connection that is open now. New ones are accepted. */
  dropConnections(): void {
    for (const connection of this.#connections.values()) connection.cut();
  }

  /** Breaks every connection and refuses new ones, as a server that is down does. */
  async refuse(): Promise<void> {
    this.dropConnections();
    const server = this.#server;
    this.#server = undefined;
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  /** From now on nothing gets through in either direction and nothing is closed, as when a network drops packets. */
  blackHole(): void {
    this.#gate.shut();
  }

  /** From now on everything arrives later by so many milliseconds, in each direction. */
  slowDown(delayMs: number): void {
    this.#gate.slow(delayMs);
  }

  /**
   * Breaks the connections of the next clients that COMMIT: `before` the server hears of it, so that nothing is committed,
   * or `after` it has committed, so that everything is; the client cannot tell which. `skip` of them pass first.
   */
  cutAtCommit(moment: "before" | "after", count = 1, skip = 0): void {
    const verdict = moment === "before" ? "cutBefore" : "cutAfter";
    this.#orders.push({ matches: isCommit, verdict, left: count, skip });
  }

  /** The next COMMITs are answered with SQLSTATE 40001, and their transactions are rolled back. */
  failCommits(count: number): void {
    this.#orders.push({ matches: isCommit, verdict: "fail", left: count, skip: 0 });
  }

  /** The next statements that match are answered with SQLSTATE 40001, and their transactions have failed. */
  failStatements(pattern: RegExp, count: number): void {
    const matches = (text: string): boolean => text.search(pattern) >= 0;
    this.#orders.push({ matches, verdict: "fail", left: count, skip: 0 });
  }

  /** Ends every fault: what was held back flows again, orders are forgotten, connections are accepted. */
  async restore(): Promise<void> {
    this.#orders = [];
    this.#gate.open();
    if (!this.#server) await this.#listen();
  }

  async stop(): Promise<void> {
    this.#gate.open();
    await this.refuse();
  }

  async #listen(): Promise<void> {
    const server = createServer((client) => this.#accept(client));
    server.listen(this.#port, HOST);
    await once(server, "listening");
    this.#server = server;
  }

  #accept(client: Socket): void {
    const server = connect(this.#target);
    this.#connections.set(client, new ProxiedConnection(client, server, this.#gate, (text) => this.#judge(text)));
    client.once("close", () => this.#connections.delete(client));
  }

  #judge(text: string): Verdict {
    if (isCommit(text)) this.#commits += 1;
    const order = this.#orders.find((candidate) => candidate.left > 0 && candidate.matches(text));
    if (!order) return "pass";
    if (order.skip > 0) {
      order.skip -= 1;
      return "pass";
    }
    order.left -= 1;
    return order.verdict;
  }
}
