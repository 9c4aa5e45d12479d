/**
 * How much a property test tries: a number from the environment for a long run by hand, or what fits into every run.
 * @throws RangeError when the variable is there and is no whole number above zero
 */
export function testSize(variable: string, usual: number): number {
  const text = process.env[variable];
  if (text === undefined || text === "") return usual;
  const size = Number(text);
  if (!Number.isSafeInteger(size) || size <= 0) throw new RangeError(`${variable} must be a whole number above zero`);
  return size;
}
