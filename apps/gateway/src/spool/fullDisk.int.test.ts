import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { call, problemCode } from "../testing/client.ts";
import { Lab, PRICE } from "../testing/lab.ts";

vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return { ...fs, writeSync: vi.fn(fs.writeSync) };
});
const fs = await import("node:fs");
const { writeSync } = await vi.importActual<typeof import("node:fs")>("node:fs");

/** A disk that takes so many more bytes: what does not fit is written half, as a real one does, and then refused. */
function fillDisk(bytesLeft: number): void {
  let left = bytesLeft;
  vi.mocked(fs.writeSync).mockImplementation(((descriptor: number, text: string, ...rest: [null, "latin1"]) => {
    if (left === 0) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    const fits = text.slice(0, left);
    left -= fits.length;
    return writeSync(descriptor, fits, ...rest);
  }) as typeof fs.writeSync);
}

let lab: Lab;
let script: string;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("disk", [{ name: "get" }]);
  script = lab.upstream.script((_, response) => response.end("served"));
});
afterEach(() => {
  vi.mocked(fs.writeSync).mockImplementation(writeSync as typeof fs.writeSync);
});
afterAll(() => lab.close());

it("with a full disk a gateway breaks off what it cannot record, refuses the rest and is not ready; a new run has what was recorded", async () => {
  const caller = await lab.createAccount();
  const directory = lab.newDirectory();
  const gateway = await lab.startGateway({ GATEWAY_SPOOL_DIR: directory });
  const ask = (url: string) => call(`${url}/v1/disk/get/${script}`, { key: caller.key });
  for (let made = 0; made < 3; made += 1) expect((await ask(gateway.url)).status).toBe(200);
  await expect.poll(() => lab.callsOf(caller)).toHaveLength(3);

  fillDisk(30);
  const lost = await ask(gateway.url).catch(() => undefined);
  expect(lost === undefined || lost.isBroken).toBe(true);
  expect(gateway.failures).toMatchObject([{ code: "ENOSPC" }]);
  const refused = await ask(gateway.url);
  expect([refused.status, problemCode(refused)]).toEqual([503, "cannot_record"]);
  expect(refused.headers["retry-after"]).toBe("5");
  const ready = await call(`${gateway.url}/readyz`);
  expect([ready.status, JSON.parse(ready.body.toString())]).toMatchObject([503, { ready: false }]);
  expect((await call(`${gateway.url}/healthz`)).status).toBe(200);
  const [run = ""] = readdirSync(directory).filter((name) => name.startsWith("gw_"));
  await gateway.stop();

  // There is room again, and half a line at the end of what the run before has left.
  vi.mocked(fs.writeSync).mockImplementation(writeSync as typeof fs.writeSync);
  const next = await lab.startGateway({ GATEWAY_SPOOL_DIR: directory });
  expect((await ask(next.url)).status).toBe(200);
  await expect.poll(() => existsSync(join(directory, run)), { timeout: 10_000 }).toBe(false);
  await expect.poll(() => lab.callsOf(caller), { timeout: 10_000 }).toHaveLength(4);
  await next.stop();
  expect(await lab.walletOf(caller)).toEqual({ used: 4 * PRICE, held: 0 });
  expect(lab.foldFailures).toEqual([]);
});
