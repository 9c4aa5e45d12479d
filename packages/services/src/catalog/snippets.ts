import type { Endpoint } from "@tollgate/contracts";

/** Code to begin from: a call of an endpoint as a person would type it. */
export interface Snippets {
  /** Where the gateway answers for the endpoint. */
  readonly url: string;
  readonly curl: string;
  readonly typescript: string;
}

const BODY_METHODS = new Set(["POST", "PUT", "PATCH"]);

export function makeSnippets(gatewayUrl: string, apiName: string, endpoint: Endpoint): Snippets {
  const url = `${gatewayUrl}/v1/${apiName}/${endpoint.name}`;
  const hasBody = BODY_METHODS.has(endpoint.method);
  const curl = [
    `curl${endpoint.method === "GET" ? "" : ` -X ${endpoint.method}`} ${url}`,
    `-H "Authorization: Bearer $TOLLGATE_KEY"`,
    ...(hasBody ? [`-H "Content-Type: application/json"`, `-d '{}'`] : []),
  ].join(" \\\n  ");
  const headers = [
    '    Authorization: "Bearer " + process.env.TOLLGATE_KEY,',
    ...(hasBody ? ['    "Content-Type": "application/json",'] : []),
  ];
  const typescript = [
    `const response = await fetch("${url}", {`,
    `  method: "${endpoint.method}",`,
    "  headers: {",
    ...headers,
    "  },",
    ...(hasBody ? ["  body: JSON.stringify({}),"] : []),
    "});",
    'if (!response.ok) throw new Error("The call failed: " + response.status);',
    "console.log(await response.text());",
  ].join("\n");
  return { url, curl, typescript };
}
