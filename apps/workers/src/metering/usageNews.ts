import { PUSH_SUBJECTS } from "@tollgate/contracts";
import type { PushBus } from "@tollgate/messaging";

/** Pushes are gathered for this long: a busy project is folded hundreds of times a second, and nobody watches so closely. */
const GATHER_MS = 100;

/** Tells whoever shows usage or balances whose have changed. */
export class UsageNews {
  readonly #bus: Pick<PushBus, "publish">;
  readonly #projectIds = new Set<string>();
  readonly #billingAccountIds = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(bus: Pick<PushBus, "publish">) {
    this.#bus = bus;
  }

  add(folded: { readonly projectIds: readonly string[]; readonly billingAccountIds: readonly string[] }): void {
    for (const id of folded.projectIds) this.#projectIds.add(id);
    for (const id of folded.billingAccountIds) this.#billingAccountIds.add(id);
    if (this.#projectIds.size === 0) return;
    this.#timer ??= setTimeout(() => this.#push(), GATHER_MS).unref();
  }

  #push(): void {
    this.#timer = undefined;
    this.#bus.publish(PUSH_SUBJECTS.usage, {
      projectIds: [...this.#projectIds],
      billingAccountIds: [...this.#billingAccountIds],
    });
    this.#projectIds.clear();
    this.#billingAccountIds.clear();
  }
}
