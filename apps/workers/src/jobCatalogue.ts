import type { AnyJobDefinition } from "@tollgate/contracts";
import { JOBS } from "@tollgate/contracts";

const BY_NAME: ReadonlyMap<string, AnyJobDefinition> = new Map(
  JOBS.map((definition) => [definition.name, definition as unknown as AnyJobDefinition]),
);

/** The definition of a job, by the name that a row or a queue carries. */
export const jobNamed = (name: string): AnyJobDefinition | undefined => BY_NAME.get(name);
