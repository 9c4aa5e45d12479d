import { once } from "node:events";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** What the upstream does with one call; it may write to the socket itself to answer as no well-behaved server would. */
export type Script = (request: IncomingMessage, response: ServerResponse) => void;

/** An upstream that does what each test tells it to, under a path of its own for every script. */
export class ScriptedUpstream {
  readonly #server: Server;
  readonly #scripts = new Map<string, Script>();
  readonly #requests = new Map<string, IncomingMessage[]>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ScriptedUpstream> {
    const handle: RequestListener = (request, response) => upstream.#run(request, response);
    const server = createServer({ keepAliveTimeout: 60_000 }, handle);
    const upstream = new ScriptedUpstream(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** @returns the name of the script, which is the last segment of the path that runs it */
  script(run: Script): string {
    const name = `s${this.#scripts.size}`;
    this.#scripts.set(name, run);
    return name;
  }

  /** The requests that a script was given. */
  requestsOf(name: string): readonly IncomingMessage[] {
    return this.#requests.get(name) ?? [];
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #run(request: IncomingMessage, response: ServerResponse): void {
    const name = /\/([^/?]*)(?:\?.*)?$/.exec(request.url ?? "")?.[1] ?? "";
    const script = this.#scripts.get(name);
    if (script === undefined) {
      response.writeHead(599).end(`no script ${name}`);
      return;
    }
    this.#requests.set(name, [...this.requestsOf(name), request]);
    script(request, response);
  }
}
