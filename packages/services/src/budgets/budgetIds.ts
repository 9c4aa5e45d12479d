/**
 * The id of a budget says what it bounds and for which period. Periods are months (`2026-11`) or days (`2026-11-22`) in
 * the billing account's time zone; a new period is a new budget, so nothing is ever reset.
 */
export const walletBudgetId = (billingAccountId: string): string => `wallet:${billingAccountId}`;

/** Free calls of the tier: one allowance for the whole billing account. */
export const tierFreeBudgetId = (billingAccountId: string, month: string): string =>
  `tier_free:${billingAccountId}:${month}`;

/** Free calls of one paid endpoint: per billing account, so that more projects do not mean more free calls. */
export const endpointFreeBudgetId = (billingAccountId: string, endpointId: string, month: string): string =>
  `endpoint_free:${billingAccountId}:${endpointId}:${month}`;

export const projectCapBudgetId = (projectId: string, month: string): string => `project_cap:${projectId}:${month}`;

/** Under the first key of a rotation chain, so a rotated pair shares one cap. */
export const keyCapBudgetId = (rootKeyId: string, month: string): string => `key_cap:${rootKeyId}:${month}`;

export const testCallsBudgetId = (projectId: string, day: string): string => `test_calls:${projectId}:${day}`;
