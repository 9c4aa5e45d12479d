import type { RateAnswer, RateAsk, RateBeat, RateClaim, RateStore } from "@tollgate/messaging";
import { RATE_SEEDING_MS } from "@tollgate/messaging";

/** Windows of rate limits in memory, as Redis keeps them, on a clock that tests move; with what goes wrong with Redis. */
export class MemoryRateStore implements RateStore {
  isDown = false;
  /** Milliseconds to an answer, for each question. */
  latencyMs: () => number = () => 1;
  readonly #nowMs: () => number;
  readonly #delay: (ms: number) => Promise<void>;
  readonly #windows = new Map<string, Map<number, number>>();
  readonly #beats = new Map<string, number>();
  #epoch: { readonly name: string; readonly sinceMs: number } | undefined;
  #epochs = 0;

  constructor(nowMs: () => number, delay: (ms: number) => Promise<void>) {
    this.#nowMs = nowMs;
    this.#delay = delay;
  }

  /** Everything is forgotten. */
  flush(): void {
    this.#windows.clear();
    this.#beats.clear();
    this.#epoch = undefined;
  }

  /** Calls that count in the window of a limit. */
  used(id: string): number {
    return [...(this.#windows.get(id)?.values() ?? [])].reduce((sum, calls) => sum + calls, 0);
  }

  beat(name: string): Promise<RateBeat> {
    return this.#answer(() => {
      this.#beats.set(name, this.#nowMs());
      for (const [other, atMs] of this.#beats) if (atMs <= this.#nowMs() - 3_000) this.#beats.delete(other);
      return { nowMs: this.#nowMs(), epoch: this.#readEpoch().name, alive: this.#beats.size };
    });
  }

  async leave(name: string): Promise<void> {
    this.#beats.delete(name);
  }

  ask({ epoch, waiting, claims }: RateAsk): Promise<RateAnswer> {
    return this.#answer(() => {
      const nowMs = this.#nowMs();
      const { name, sinceMs } = this.#readEpoch();
      if (name !== epoch) return { kind: "epoch", nowMs, epoch: name };
      const free = claims.map((claim) => claim.quota - this.#correct(claim));
      if (waiting > 0 && nowMs - sinceMs < RATE_SEEDING_MS) {
        return { kind: "seeding", nowMs, leftMs: RATE_SEEDING_MS - (nowMs - sinceMs) };
      }
      const passing = Math.min(waiting, ...claims.map(({ held }, index) => held + Math.max(0, free[index] ?? 0)));
      const grants = claims.map((claim, index) => {
        const left = Math.max(0, free[index] ?? 0);
        const needed = Math.max(0, passing - claim.held);
        const granted = waiting > 0 && passing === waiting ? Math.min(left, needed + claim.spare) : needed;
        this.#add(claim, Math.floor(nowMs / claim.window.slotMs), granted);
        return { granted, left: left - granted, retryMs: this.#retryMs(claim) };
      });
      return { kind: "granted", nowMs, grants };
    });
  }

  async #answer<Answer>(decide: () => Answer): Promise<Answer> {
    const latencyMs = this.latencyMs();
    await this.#delay(latencyMs / 2);
    if (this.isDown) throw new Error("Nobody answers");
    const answer = decide();
    await this.#delay(latencyMs / 2);
    return answer;
  }

  #readEpoch(): { readonly name: string; readonly sinceMs: number } {
    if (this.#epoch === undefined) {
      this.#epochs += 1;
      this.#epoch = { name: `epoch-${this.#epochs}`, sinceMs: this.#nowMs() };
    }
    return this.#epoch;
  }

  /** Applies the corrections. @returns how many calls count in the window now */
  #correct(claim: RateClaim): number {
    const slot = Math.floor(this.#nowMs() / claim.window.slotMs);
    const window = this.#windows.get(claim.id) ?? new Map<number, number>();
    this.#windows.set(claim.id, window);
    for (const old of window.keys()) if (old <= slot - claim.window.slots) window.delete(old);
    for (const [at, calls] of claim.corrections) {
      if (at > slot - claim.window.slots) this.#add(claim, Math.min(at, slot), calls);
    }
    return this.used(claim.id);
  }

  #add(claim: RateClaim, slot: number, calls: number): void {
    const window = this.#windows.get(claim.id);
    window?.set(slot, Math.max(0, (window.get(slot) ?? 0) + calls));
  }

  #retryMs({ id, window }: RateClaim): number {
    const used = [...(this.#windows.get(id) ?? [])].filter(([, calls]) => calls > 0).map(([slot]) => slot);
    return used.length === 0 ? 1 : (Math.min(...used) + window.slots) * window.slotMs - this.#nowMs();
  }
}
