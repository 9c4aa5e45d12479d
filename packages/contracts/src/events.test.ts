import { describe, expect, it } from "vitest";
import type { z } from "zod";
import type { EventSubject } from "./index.ts";
import * as contracts from "./index.ts";
import { EVENT_PARTITIONS, EVENTS, laneOf, partitionOf, WEBHOOK_EVENTS } from "./index.ts";

const isEvent = (value: unknown): value is { subject: string; schema: unknown } =>
  typeof value === "object" && value !== null && "subject" in value && "schema" in value;

type Exported = typeof contracts;
type SubjectOf<Value> = Value extends { readonly subject: infer Subject; readonly schema: z.ZodObject }
  ? Subject
  : never;
type MissingSubject = Exclude<{ [Name in keyof Exported]: SubjectOf<Exported[Name]> }[keyof Exported], EventSubject>;
/** An event that a contract defines and the catalogue lacks is an error of this line already when types are checked. */
const missing: [MissingSubject] extends [never] ? readonly [] : MissingSubject = [];

describe("the catalogue of events", () => {
  it("holds every event that a contract defines, once", () => {
    const defined = Object.values<unknown>(contracts).filter(isEvent);
    expect(EVENTS.map(({ subject }) => subject).sort()).toEqual(defined.map(({ subject }) => subject).sort());
    expect(new Set(EVENTS.map(({ subject }) => subject)).size).toBe(EVENTS.length);
    expect(missing).toEqual([]);
  });

  it("has every event that webhooks promise, with every field that they promise", () => {
    for (const { type, data } of WEBHOOK_EVENTS) {
      const known = EVENTS.find(({ subject }) => subject === type);
      expect(Object.keys(known?.schema.shape ?? {}), type).toEqual(expect.arrayContaining(Object.keys(data.shape)));
    }
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
