import { newCallId } from "@tollgate/kernel";
import { describe, expect, it } from "vitest";
import type { CallRecord } from "./callRecord.ts";
import { fillCallBatch, formatCallRecord, parseCallRecords } from "./callRecord.ts";

const AT_MS = Date.parse("2026-03-10T12:00:00.123Z");

function makeRecord(sequence: number, differs: Partial<CallRecord> = {}): CallRecord {
  return {
    sequence,
    id: newCallId(AT_MS + sequence),
    startedAtMs: AT_MS + sequence,
    holderId: "gw_1.1",
    billingAccountId: "ba_1",
    projectId: "prj_1",
    keyId: "key_1",
    endpointId: "ep_1",
    mode: "live",
    outcome: "charged",
    status: 200,
    latencyMs: 12,
    units: 3,
    unitPriceMicros: 1_000,
    chargedMicros: 3_000,
    requestBytes: 10,
    responseBytes: 20_000,
    draws: "wallet:ba_1=3000,cap:key:key_1:2026-03=3000",
    ...differs,
  };
}

describe("a batch of call records", () => {
  it("is read as it was written, whoever called what in which order", () => {
    const records = [
      makeRecord(7),
      makeRecord(8),
      makeRecord(9, { endpointId: "ep_2" }),
      makeRecord(10, { mode: "test", outcome: "test", chargedMicros: 0, draws: "" }),
      makeRecord(11, { endpointId: "ep_2" }),
      makeRecord(12),
    ];
    expect(parseCallRecords(fillCallBatch(records.map(formatCallRecord)).text)).toEqual(records);
  });

  it("names a subject once, and needs no escapes in JSON", () => {
    const { text } = fillCallBatch([makeRecord(1), makeRecord(2), makeRecord(3)].map(formatCallRecord));
    expect(text.split("gw_1.1 ba_1 prj_1 key_1 ep_1 live")).toHaveLength(2);
    expect(JSON.stringify(text)).toHaveLength(text.length + 2);
  });

  it("leaves out numbers and draws that its reader knows, and nothing that it does not", () => {
    const records = [
      makeRecord(7),
      makeRecord(8),
      makeRecord(9, { draws: "" }),
      makeRecord(10),
      makeRecord(11, { endpointId: "ep_2", draws: "wallet:ba_1=1" }),
      makeRecord(12, { endpointId: "ep_2", draws: "wallet:ba_1=2" }),
      makeRecord(13, { endpointId: "ep_2", draws: "wallet:ba_1=2" }),
      makeRecord(14),
    ];
    const { text } = fillCallBatch(records.map(formatCallRecord));
    expect(parseCallRecords(text)).toEqual(records);
    expect(text.split(";").map((each) => [/^\d/.test(each), each.endsWith(" =")])).toEqual([
      [true, false],
      [false, true],
      [false, false],
      [false, false],
      [false, false],
      [false, false],
      [false, true],
      [false, true],
    ]);
  });

  it("is as many records as fit, and one in any case", () => {
    const records = Array.from({ length: 50 }, (_, index) => formatCallRecord(makeRecord(index + 1)));
    const { text, calls } = fillCallBatch(records, 1_000);
    expect(text.length).toBeLessThanOrEqual(1_000);
    expect(fillCallBatch(records.slice(0, calls + 1)).text.length).toBeGreaterThan(1_000);
    expect(parseCallRecords(text)).toHaveLength(calls);
    expect(fillCallBatch(records, 1).calls).toBe(1);
  });

  it("is read without having been joined, as it stands in a spool", () => {
    const records = [makeRecord(1), makeRecord(2)];
    expect(parseCallRecords(records.map(formatCallRecord).join(";"))).toEqual(records);
  });

  it("is refused when a record is not whole, and when it refers to a subject that is not there", () => {
    const { text: both } = fillCallBatch([makeRecord(1), makeRecord(2)].map(formatCallRecord));
    const [first, second] = both.split(";") as [string, string];
    const broken = [
      "",
      "1",
      second,
      second.replace("=0|", "=-1|"),
      `${first};${second.replace("=0|", "=1|")}`,
      `${first};${second.replace("=0|", "=|")}`,
      `${first};${second.replace("=0|", "=x|")}`,
      first.slice(0, first.lastIndexOf(" ")),
      `${first} more`,
      first.replace(/^1 /, ""),
      first.replace(/ [^ ]*$/, " ="),
      first.replace(" live|", "|"),
      first.replace("|", " "),
      first.replace(/^1 /, "one "),
      first.replace(" 3000 ", " -3000 "),
      first.replace("call_", "call_é"),
    ];
    for (const text of broken) expect(() => parseCallRecords(text), text).toThrow(RangeError);
  });
});
