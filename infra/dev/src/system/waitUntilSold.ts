import { delay } from "@tollgate/kernel";

/** An endpoint of each example. */
const ENDPOINTS = ["helloworld/call", "qr/generate", "text/count"];
const TIMEOUT_MS = 60_000;
const POLL_MS = 50;

/**
 * Resolves when every gateway knows every example's API. The examples publish themselves once the API answers, and the
 * gateways hear of it by themselves. They are asked with a method that no endpoint has: of a published one a gateway says
 * 405, and nothing is counted or charged.
 * @throws Error that names what is not sold in time.
 */
export async function waitUntilSold(gatewayUrls: readonly string[], key: string, signal?: AbortSignal): Promise<void> {
  const deadline = Date.now() + TIMEOUT_MS;
  const probes = gatewayUrls.flatMap((url) => ENDPOINTS.map((endpoint) => `${url}/v1/${endpoint}`));
  await Promise.all(
    probes.map(async (url) => {
      for (let status = await probe(url, key); status !== 405; status = await probe(url, key)) {
        signal?.throwIfAborted();
        if (Date.now() > deadline)
          throw new Error(`${url} is not sold: a probe with DELETE is answered with ${status}, not 405`);
        await delay(POLL_MS, signal);
      }
    }),
  );
}

/** The status; 0 if there is no answer. */
async function probe(url: string, key: string): Promise<number> {
  try {
    const response = await fetch(url, { method: "DELETE", headers: { authorization: `Bearer ${key}` } });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}
