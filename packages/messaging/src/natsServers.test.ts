import { expect, it } from "vitest";
import { natsServers } from "./natsServers.ts";

it.each([
  ["nats://127.0.0.1:4222", { servers: ["127.0.0.1:4222"] }],
  ["nats", { servers: ["nats:4222"] }],
  ["nats://n1:4222, nats://n2,n3:4223", { servers: ["n1:4222", "n2:4222", "n3:4223"] }],
  ["nats://me:s%40fe@n1,nats://n2", { servers: ["n1:4222", "n2:4222"], user: "me", pass: "s@fe" }],
  ["nats://token@n1", { servers: ["n1:4222"], token: "token" }],
  ["tls://n1:4443", { servers: ["n1:4443"], tls: {} }],
  ["nats://[::1]:4222", { servers: ["[::1]:4222"] }],
])("%s names the servers of a cluster and who we are there", (text, servers) => {
  expect(natsServers(text)).toEqual(servers);
});

it("refuses what is no address", () => {
  expect(() => natsServers("nats://n1:port")).toThrow(TypeError);
});
