import type { MasterKey } from "@tollgate/kernel";
import type { ServiceSettings } from "@tollgate/services";

/** The part of the environment that verbs know, under their names. */
export function settingsOf(env: {
  readonly TOLLGATE_SECRET: string;
  readonly MASTER_KEYS: readonly MasterKey[];
  readonly PUBLIC_API_URL: string;
  readonly PUBLIC_GATEWAY_URL: string;
  readonly PUBLIC_WEB_URL?: string | undefined;
  readonly SIGNUP_PROMO_MICROS: bigint;
  readonly FREE_CALL_OVER_CAP_PRICE_MICROS: bigint;
}): ServiceSettings {
  return {
    masterSecret: env.TOLLGATE_SECRET,
    masterKeys: env.MASTER_KEYS,
    publicApiUrl: env.PUBLIC_API_URL,
    publicGatewayUrl: env.PUBLIC_GATEWAY_URL,
    publicWebUrl: env.PUBLIC_WEB_URL ?? env.PUBLIC_API_URL,
    signupPromoMicros: env.SIGNUP_PROMO_MICROS,
    freeCallOverCapPriceMicros: env.FREE_CALL_OVER_CAP_PRICE_MICROS,
  };
}
