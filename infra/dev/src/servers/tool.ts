export const SERVER_NAMES = ["postgres", "redis", "nats", "etcd"] as const;
export type ServerName = (typeof SERVER_NAMES)[number];

/** A program that is not in npm: what it is called in each place where it may be found. */
export interface Tool {
  readonly name: Exclude<ServerName, "postgres">;
  readonly executables: readonly string[];
  readonly versionMin: readonly [major: number, minor: number];
  readonly aptPackage: string;
  readonly brewPackage: string;
  readonly image: string;
  readonly urlVariable: string;
}

/** How a tool can be run here. */
export type Launch =
  | { readonly kind: "binary"; readonly file: string; readonly env: NodeJS.ProcessEnv }
  | { readonly kind: "docker"; readonly file: string; readonly image: string };

/** Takes a line about progress, for people. */
export type Log = (line: string) => void;
