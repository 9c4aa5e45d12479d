/**
 * The domain of the product's own people: those whom the self-test makes. No mail can reach it (RFC 2606), so whoever else
 * gives such an address never gets a code and never becomes anybody.
 */
export const INTERNAL_DOMAIN = "self-test.invalid";

export const isInternalAddress = (email: string): boolean => email.endsWith(`@${INTERNAL_DOMAIN}`);
