/** What goes wrong with a request. */
export type FaultKind =
  /** It does not arrive: the connection is cut, and nothing has happened. */
  | "cutBefore"
  /** It happens, and its answer is lost. */
  | "cutAfter"
  /** Nothing happens, and the answer is a 500. */
  | "error"
  /** Nothing happens: too many requests. */
  | "rateLimited"
  /** No answer until the caller gives up; nothing happens. */
  | "hang";

export interface Fault {
  readonly kind: FaultKind;
  /** Of which requests, as `POST /v1/payment_intents`; all of them when not said. */
  readonly on?: RegExp;
  /** How many of them; one when not said. */
  readonly times?: number;
  /** Before it is answered. */
  readonly delayMs?: number;
}

/** What is to go wrong, in the order in which it was asked for. */
export class Faults {
  #planned: { readonly fault: Fault; left: number }[] = [];
  /** Everything takes so long to be answered. */
  delayMs = 0;

  add(fault: Fault): void {
    this.#planned.push({ fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#planned = [];
    this.delayMs = 0;
  }

  /** The fault of a request, if there is one. */
  take(request: string): Fault | undefined {
    const planned = this.#planned.find(({ fault }) => fault.on === undefined || fault.on.test(request));
    if (planned === undefined) return undefined;
    planned.left -= 1;
    if (planned.left <= 0) this.#planned = this.#planned.filter((one) => one !== planned);
    return planned.fault;
  }
}
