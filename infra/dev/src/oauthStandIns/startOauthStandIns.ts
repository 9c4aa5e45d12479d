import { createGithub } from "./github.ts";
import { createGoogle } from "./google.ts";
import type { StandIn } from "./startStandIn.ts";
import { startStandIn } from "./startStandIn.ts";

export type { StandInPerson } from "./grants.ts";
export type { StandIn, StandInFault } from "./startStandIn.ts";

/** Google and GitHub on this machine, so that signing in with them works offline and without a registration. */
export interface OauthStandIns {
  readonly google: StandIn;
  readonly github: StandIn;
  stop(): Promise<void>;
}

/** Starts both. Port 0 means any. */
export async function startOauthStandIns(ports: { google: number; github: number }): Promise<OauthStandIns> {
  const google = await startStandIn(createGoogle(), ports.google);
  try {
    const github = await startStandIn(createGithub(), ports.github);
    return {
      google,
      github,
      stop: async () => {
        await Promise.all([google.stop(), github.stop()]);
      },
    };
  } catch (error) {
    await google.stop();
    throw error;
  }
}
