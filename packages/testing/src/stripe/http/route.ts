import type { z } from "zod";
import type { World } from "../world/world.ts";

/** One request, with its parameters as its schema made them. */
export interface Call<Input> {
  readonly world: World;
  readonly input: Input;
  /** The ids in the path. */
  readonly params: Readonly<Record<string, string>>;
  /** The path itself, which lists repeat. */
  readonly path: string;
}

export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly schema: z.ZodType;
  handle(call: Call<unknown>): object;
}

export const route = <Schema extends z.ZodType>(
  method: Route["method"],
  path: string,
  schema: Schema,
  handle: (call: Call<z.output<Schema>>) => object,
): Route => ({ method, path, schema, handle: handle as Route["handle"] });

/** An id of the path. */
export function idOf(call: Call<unknown>, name = "id"): string {
  return call.params[name] ?? "";
}
