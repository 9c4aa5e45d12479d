import { expect, test } from "vitest";
import { csvLine } from "./csv.ts";

test("cells are quoted where they must be, and lines end as RFC 4180 says", () => {
  expect(csvLine(["a", 1, 'say "b"', "c,d", "e\nf", ""])).toBe('a,1,"say ""b""","c,d","e\nf",\r\n');
});

test("no text is a formula to a spreadsheet, and negative numbers stay numbers", () => {
  for (const start of ["=", "+", "-", "@", "\t", "\r"]) expect(csvLine([`${start}1+1`])).toMatch(/^"?'/);
  expect(csvLine(['=HYPERLINK("http://x")'])).toBe('"\'=HYPERLINK(""http://x"")"\r\n');
  expect(csvLine([-5])).toBe("-5\r\n");
});
