import { expect, it } from "vitest";
import { z } from "zod";
import { commonEnv, parseEnv } from "./env.ts";

const schema = z.object({ NATS_URL: commonEnv.NATS_URL, ETCD_URL: commonEnv.ETCD_URL });

it("a cluster is named by its addresses, separated by commas", () => {
  const env = { NATS_URL: "nats://n1:4222,nats://n2:4222", ETCD_URL: "http://e1:2379, http://e2:2379" };
  expect(parseEnv(schema, env)).toEqual(env);
});

it.each(["", ",", "http://a:port", "http://a,http://"])(
  "%j is no address, and the error names the variable",
  (text) => {
    expect(() => parseEnv(schema, { NATS_URL: "n1", ETCD_URL: text })).toThrow(/ETCD_URL/);
  },
);
