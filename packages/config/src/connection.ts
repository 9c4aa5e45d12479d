import { unavailable } from "@tollgate/kernel";
import type { IOptions } from "etcd3";
import { Etcd3, GRPCDeadlineExceededError, isRecoverableError } from "etcd3";
import { deadlineAfterMs } from "./clock.ts";

/**
 * The library's raw clients (KV, Watch, Lease), without its fault handling: its circuit breaker keeps refusing for five
 * seconds after the server is back, its leases are never granted again once lost, and its watch manager throws out of
 * stream callbacks. What replaces those is in prefixWatch.ts and leaseKeeper.ts.
 */
export type EtcdConnection = Pick<Etcd3, "kv" | "leaseClient" | "watchClient" | "close">;

const CALL_DEADLINE_MS = 3_000;

type FaultPolicy = NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>;

const noFaultHandling: FaultPolicy = {
  _altReturn: undefined as never,
  onSuccess: () => ({ dispose: () => {} }),
  onFailure: () => ({ dispose: () => {} }),
  execute: async (call, signal = new AbortController().signal) => call({ signal }),
};

/** @param url one or several comma-separated http(s) addresses of the same cluster */
export function connectEtcd(url: string): EtcdConnection {
  const [first = url, ...others] = url
    .split(",")
    .map((host) => host.trim().replace(/\/+$/, ""))
    .filter((host) => host !== "");
  return new Etcd3({
    hosts: others.length === 0 ? first : [first, ...others],
    defaultCallOptions: (call) => (call.isStream ? {} : { deadline: deadlineAfterMs(CALL_DEADLINE_MS) }),
    faultHandling: { global: noFaultHandling, host: () => noFaultHandling },
    grpcOptions: {
      // Finds a peer that vanished without a word. etcd refuses pings more often than every five seconds.
      "grpc.keepalive_time_ms": 6_000,
      "grpc.keepalive_timeout_ms": 3_000,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.min_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 1_000,
      "grpc.max_receive_message_length": -1,
    },
  });
}

/** Whether an error means "the store cannot be reached now", as opposed to "it said no". */
export function isOutage(error: unknown): boolean {
  return error instanceof Error && (error instanceof GRPCDeadlineExceededError || isRecoverableError(error));
}

export function etcdUnavailable(cause: unknown): Error {
  return unavailable("The configuration store does not answer", { reason: "etcd_unavailable", cause });
}
