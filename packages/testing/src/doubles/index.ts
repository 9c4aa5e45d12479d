export { createDouble, type Double } from "./createDouble.ts";
export { DoubleError } from "./expectations.ts";
