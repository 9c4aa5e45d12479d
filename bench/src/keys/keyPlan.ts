/** What the process that holds keys is told. */
export interface KeyPlan {
  readonly keys: number;
  /** How many of them calls are made with, at random. */
  readonly inUse: number;
  readonly admissions: number;
  readonly rounds: number;
}

export interface KeyResult {
  readonly keys: number;
  readonly inUse: number;
  /** Nanoseconds an admission, by round. */
  readonly admissionNs: readonly number[];
  /** The share of its time that the gateway spends on looking through what it holds, when nobody calls. */
  readonly housekeepingShare: number;
  /** What others had of the core meanwhile. */
  readonly others?: number;
  readonly bytesPerKey: number;
}
