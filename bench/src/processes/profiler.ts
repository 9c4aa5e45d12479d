import { delay } from "@tollgate/kernel";
import { WebSocket } from "undici";
import { z } from "zod";

const CONNECT_MS = 10_000;
const RETRY_MS = 50;
const SAMPLING_MICROS = 200;

const targets = z.array(z.object({ webSocketDebuggerUrl: z.url() }));
const profileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string(), lineNumber: z.number() }),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});
export type CpuProfile = z.infer<typeof profileSchema>;

const answerSchema = z.object({
  id: z.number(),
  result: z.unknown(),
  error: z.object({ message: z.string() }).optional(),
});

/**
 * V8's sampling profiler in another process that runs with `--inspect`, over the Chrome DevTools Protocol: it can be
 * started when the process is warm, so that what it did to start does not stand in the profile.
 */
export class Profiler {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const answer = answerSchema.safeParse(JSON.parse(String(data)));
      // Events have no id; none was asked for.
      if (!answer.success) return;
      const waiting = this.#waiting.get(answer.data.id);
      this.#waiting.delete(answer.data.id);
      if (answer.data.error === undefined) waiting?.resolve(answer.data.result);
      else waiting?.reject(new Error(answer.data.error.message));
    });
  }

  /** @throws Error when the process does not listen to inspectors */
  static async connect(port: number): Promise<Profiler> {
    const url = await findTarget(port);
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      socket.addEventListener("error", () => reject(new Error(`${url} does not answer`)));
    });
    return new Profiler(socket);
  }

  async start(): Promise<void> {
    await this.#ask("Profiler.enable");
    await this.#ask("Profiler.setSamplingInterval", { interval: SAMPLING_MICROS });
    await this.#ask("Profiler.start");
  }

  /** What was sampled since the start. */
  async stop(): Promise<CpuProfile> {
    const { profile } = z.object({ profile: profileSchema }).parse(await this.#ask("Profiler.stop"));
    this.#socket.close();
    return profile;
  }

  #ask(method: string, params: object = {}): Promise<unknown> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }
}

async function findTarget(port: number): Promise<string> {
  const deadline = Date.now() + CONNECT_MS;
  for (;;) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/json`);
      const [target] = targets.parse(await response.json());
      if (target !== undefined) return target.webSocketDebuggerUrl;
    } catch (error) {
      // The port opens a moment after the process starts.
      if (Date.now() > deadline) throw error;
    }
    await delay(RETRY_MS);
  }
}
