import type { OauthProvider } from "@tollgate/contracts";
import { github } from "./github.ts";
import { google } from "./google.ts";
import type { ProviderDefinition } from "./provider.ts";

/** Every provider that people can sign in with. */
export const PROVIDERS: Readonly<Record<OauthProvider, ProviderDefinition>> = { google, github };
