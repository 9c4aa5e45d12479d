import { missingResource } from "../http/apiError.ts";

/** All objects of one kind, in the order in which they were made. */
export class Table<Row extends { id: string }> {
  readonly #kind: string;
  readonly #rows = new Map<string, Row>();

  constructor(kind: string) {
    this.#kind = kind;
  }

  insert(row: Row): Row {
    this.#rows.set(row.id, row);
    return row;
  }

  find(id: string | null | undefined): Row | undefined {
    return id === null || id === undefined ? undefined : this.#rows.get(id);
  }

  /** @throws ApiError `resource_missing`, as Stripe says it of an id in a path or in a parameter */
  get(id: string, param?: string): Row {
    const row = this.#rows.get(id);
    if (row === undefined) throw missingResource(this.#kind, id, param);
    return row;
  }

  delete(id: string): void {
    this.#rows.delete(id);
  }

  filter(test: (row: Row) => boolean): Row[] {
    return [...this.#rows.values()].filter(test);
  }

  all(): Row[] {
    return [...this.#rows.values()];
  }

  /** Replaces everything, when a stand-in goes on from what an earlier one kept. */
  load(rows: readonly Row[]): void {
    this.#rows.clear();
    for (const row of rows) this.#rows.set(row.id, row);
  }
}
