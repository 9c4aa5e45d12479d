import type { StandInKind } from "./startStandIn.ts";

/** GitHub as an Enterprise server has it: plain OAuth 2, with the API under `/api/v3`. */
export function createGithub(): StandInKind {
  return {
    name: "GitHub",
    clientId: "github-stand-in",
    authorizePath: "/login/oauth/authorize",
    tokenPath: "/login/oauth/access_token",
    routes: {
      "/api/v3/user": ({ person }) =>
        person === undefined ? undefined : { id: Number(person.subject), login: person.name, name: person.name },
      "/api/v3/user/emails": ({ person }) =>
        person === undefined
          ? undefined
          : [{ email: person.email, primary: true, verified: person.isEmailVerified, visibility: "private" }],
    },
    answerToken: ({ accessToken }) => ({
      access_token: accessToken,
      token_type: "bearer",
      scope: "read:user,user:email",
    }),
    // GitHub says no with a 200.
    refuseToken: () => ({
      status: 200,
      body: { error: "bad_verification_code", error_description: "The code passed is incorrect or expired." },
    }),
  };
}
