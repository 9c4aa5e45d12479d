import { expect, test } from "vitest";
import { isTraceparent, nextTraceparent } from "./traceparent.ts";

const GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

test("what follows is in the trace that was given, under a span of its own and with the same flags", () => {
  const [version, trace, span, flags] = nextTraceparent(GIVEN).split("-");
  expect([version, trace, flags]).toEqual(["00", "4bf92f3577b34da6a3ce929d0e0e4736", "01"]);
  expect(span).toMatch(/^(?!00f067aa0ba902b7)[0-9a-f]{16}$/);
});

test("where none was given, or what was given is no traceparent, a new trace begins, each time another", () => {
  const zeros = [
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    GIVEN.replace("00f067aa0ba902b7", "0".repeat(16)),
  ];
  const begun = [undefined, "", "nonsense", GIVEN.toUpperCase(), `01${GIVEN.slice(2)}`, ...zeros].map((given) =>
    nextTraceparent(given),
  );
  for (const traceparent of begun) {
    expect(isTraceparent(traceparent)).toBe(true);
    expect(traceparent.endsWith("-00")).toBe(true);
  }
  expect(new Set(begun.map((traceparent) => traceparent.slice(3, 35))).size).toBe(begun.length);
});

test("a thousand in a row are all different", () => {
  const many = Array.from({ length: 1_000 }, () => nextTraceparent(GIVEN));
  expect(new Set(many).size).toBe(1_000);
});
