import { describe, expect, it } from "vitest";
import * as contracts from "./index.ts";
import { EVENT_PARTITIONS, EVENTS, laneOf, partitionOf } from "./index.ts";

const isEvent = (value: unknown): value is { subject: string; schema: unknown } =>
  typeof value === "object" && value !== null && "subject" in value && "schema" in value;

describe("the catalogue of events", () => {
  it("holds every event that a contract defines, once", () => {
    const defined = Object.values(contracts).filter(isEvent);
    expect(EVENTS.map(({ subject }) => subject).sort()).toEqual(defined.map(({ subject }) => subject).sort());
    expect(new Set(EVENTS.map(({ subject }) => subject)).size).toBe(EVENTS.length);
  });

  it("keeps everything about a project in its lane, whoever else is named", () => {
    expect(laneOf("projects.created", { customerId: "cus_1", billingAccountId: "ba_1", projectId: "prj_1" })).toBe(
      laneOf("projects.renamed", { projectId: "prj_1", name: "x" }),
    );
    expect(laneOf("emails.suppressed", { reason: "bounce" })).toBe("emails.suppressed");
  });

  it("spreads lanes over all partitions, and each lane always to the same", () => {
    const partitions = Array.from({ length: 400 }, (_, index) => partitionOf(`prj_${index}`));
    for (let partition = 0; partition < EVENT_PARTITIONS; partition += 1) {
      expect(partitions.filter((one) => one === partition).length).toBeGreaterThan(50);
    }
    // Fixed by the algorithm's own test vectors: a change would break the order of what is under way.
    expect(["", "a", "foobar"].map(partitionOf)).toEqual([0x811c9dc5, 0xe40c292c, 0xbf9cf968].map((n) => n % 4));
  });
});
