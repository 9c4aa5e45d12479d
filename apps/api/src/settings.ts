import type { MasterKey, Micros } from "@tollgate/kernel";
import type { FixedSettings } from "@tollgate/services";

/** The part of the environment that verbs know and that stays, under their names. */
export function fixedSettingsOf(env: {
  readonly TOLLGATE_SECRET: string;
  readonly MASTER_KEYS: readonly MasterKey[];
  readonly PUBLIC_API_URL: string;
  readonly PUBLIC_GATEWAY_URL: string;
  readonly PUBLIC_WEB_URL?: string | undefined;
  readonly OUTBOUND_ALLOWED_NETWORKS: readonly string[];
}): FixedSettings {
  return {
    masterSecret: env.TOLLGATE_SECRET,
    masterKeys: env.MASTER_KEYS,
    publicApiUrl: env.PUBLIC_API_URL,
    publicGatewayUrl: env.PUBLIC_GATEWAY_URL,
    publicWebUrl: env.PUBLIC_WEB_URL ?? env.PUBLIC_API_URL,
    outboundAllowedNetworks: env.OUTBOUND_ALLOWED_NETWORKS,
  };
}

/** The settings that operators may change, as the environment has them until somebody does. */
export const settingDefaultsOf = (env: {
  readonly SIGNUP_PROMO_MICROS: Micros;
  readonly FREE_CALL_OVER_CAP_PRICE_MICROS: Micros;
}) => ({
  signupPromoMicros: env.SIGNUP_PROMO_MICROS,
  freeCallOverCapPriceMicros: env.FREE_CALL_OVER_CAP_PRICE_MICROS,
});
