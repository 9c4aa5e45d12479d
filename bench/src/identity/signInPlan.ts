/** What the process that signs in is told. */
export interface SignInPlan {
  readonly databaseUrl: string;
  readonly email: string;
  readonly password: string;
  readonly warmupRounds: number;
  readonly rounds: number;
}

export interface SignInResult {
  /** Milliseconds of each verification of the hash alone. */
  readonly argonMs: readonly number[];
  /** Milliseconds of each sign-in, from the request to the tokens. */
  readonly signInMs: readonly number[];
  /** What others had of the core meanwhile. */
  readonly others?: number;
}
