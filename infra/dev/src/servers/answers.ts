import { connect } from "node:net";

const TIMEOUT_MS = 2_000;

/** Whether a GET is answered with 200 and, if asked for, a body that contains a text. */
export async function httpAnswers(url: string, contains = ""): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return (await response.text()).includes(contains) && response.status === 200;
  } catch {
    return false;
  }
}

/** Whether a Redis answers PING (it refuses while it loads its data). */
export function redisAnswers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", timeout: TIMEOUT_MS });
    const finish = (isAnswering: boolean): void => {
      socket.destroy();
      resolve(isAnswering);
    };
    socket.once("connect", () => socket.write("PING\r\n"));
    socket.once("data", (data) => finish(data.toString().startsWith("+PONG")));
    socket.once("error", () => finish(false));
    socket.once("timeout", () => finish(false));
    socket.once("close", () => finish(false));
  });
}
