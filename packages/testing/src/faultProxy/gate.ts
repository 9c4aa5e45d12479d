import { delay } from "@tollgate/kernel";

/** Through which every chunk of every connection passes: open, slow, or shut. */
export class Gate {
  #delayMs = 0;
  #opened: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;

  async pass(): Promise<void> {
    await this.#opened;
    if (this.#delayMs > 0) await delay(this.#delayMs);
  }

  open(): void {
    this.#delayMs = 0;
    this.#open();
  }

  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  shut(): void {
    this.#open();
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }
}
