/** What a shipper asks of the queue and the database. */
export interface ShipperPorts {
  /**
   * Puts a batch on the queue; may fail or hang up to its own time limit.
   * @param round sent again in the same round, it is the same job, of which the queue keeps one
   */
  send(batch: { source: string; sequence: number; records: string }, round: number): Promise<void>;
  /** How far each source is folded, from the database. */
  readFolded(sources: readonly string[]): Promise<Map<string, number>>;
}

/** How calls are bundled; read anew for each bundle. */
export interface ShippingPace {
  /** Most calls of one batch. */
  readonly batchCallsMax: number;
  /**
   * Calls gather this long before a batch leaves, unless it is full: what a batch costs the gateway, the queue and the
   * worker hardly depends on how many calls are in it.
   */
  readonly gatherMs: number;
}
