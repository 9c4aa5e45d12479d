import type { OauthStandIns, StandIn } from "../oauthStandIns/index.ts";

/** What the API is told of a provider, and where the stand-in is, if it is told of that. */
interface OauthPlan {
  readonly env: Readonly<Record<string, string>>;
  readonly urls: { readonly google?: string; readonly github?: string };
}

/** Registers the API at the stand-ins, but for a provider that the launcher's environment has a real registration for. */
export function planOauth(standIns: OauthStandIns): OauthPlan {
  const { GOOGLE_CLIENT_ID, GITHUB_CLIENT_ID } = process.env;
  const google = GOOGLE_CLIENT_ID === undefined ? standIns.google : undefined;
  const github = GITHUB_CLIENT_ID === undefined ? standIns.github : undefined;
  return {
    env: { ...registration("GOOGLE", "GOOGLE_ISSUER", google), ...registration("GITHUB", "GITHUB_BASE_URL", github) },
    urls: {
      ...(google === undefined ? {} : { google: google.url }),
      ...(github === undefined ? {} : { github: github.url }),
    },
  };
}

function registration(prefix: string, urlName: string, standIn: StandIn | undefined): Record<string, string> {
  if (standIn === undefined) return {};
  return {
    [`${prefix}_CLIENT_ID`]: standIn.clientId,
    [`${prefix}_CLIENT_SECRET`]: standIn.clientSecret,
    [urlName]: standIn.url,
  };
}
