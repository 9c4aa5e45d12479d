/** Wakes whoever waits. Nothing is kept of a ring that nobody waited for, nor of a waiter who has gone. */
export class Bell {
  readonly #waiting = new Set<() => void>();

  /** Resolves at the next ring, after `ms`, or when the signal aborts, whichever is first. */
  wait(signal: AbortSignal, ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", finish);
        this.#waiting.delete(finish);
        resolve();
      };
      const timer = ms === undefined ? undefined : setTimeout(finish, ms);
      if (signal.aborted) return finish();
      signal.addEventListener("abort", finish, { once: true });
      this.#waiting.add(finish);
    });
  }

  ring(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
