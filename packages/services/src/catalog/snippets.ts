import type { Endpoint } from "@tollgate/contracts";
import type { ExampleRequest } from "./exampleRequest.ts";

/** Code to begin from: a call of an endpoint as a person would type it, that runs as it is with a key in `TOLLGATE_KEY`. */
export interface Snippets {
  /** Where the gateway answers for the endpoint. */
  readonly url: string;
  readonly curl: string;
  readonly typescript: string;
}

/** What is no text is better kept in a file. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  "application/octet-stream": "bin",
  "application/pdf": "pdf",
  "application/zip": "zip",
  "audio/mpeg": "mp3",
  "audio/wav": "wav",
  "image/gif": "gif",
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/webp": "webp",
  "video/mp4": "mp4",
};

export function makeSnippets(
  gatewayUrl: string,
  apiName: string,
  endpoint: Pick<Endpoint, "name" | "method">,
  example: ExampleRequest,
): Snippets {
  const url = `${gatewayUrl}/v1/${apiName}/${endpoint.name}`;
  const path = example.pathValues.map((value) => `/${encodeURIComponent(value)}`).join("");
  const query = new URLSearchParams(example.query.map(([name, value]): [string, string] => [name, value])).toString();
  const target = `${url}${path}${query === "" ? "" : `?${query}`}`;
  const body = example.body === undefined ? undefined : JSON.stringify(example.body);
  const headers = [...example.headers, ...(body === undefined ? [] : [["Content-Type", "application/json"] as const])];
  const extension = EXTENSIONS[example.answerType?.split(";", 1)[0] ?? ""];
  const file = extension === undefined ? undefined : `${endpoint.name}.${extension}`;
  return {
    url,
    curl: curlOf(endpoint.method, target, headers, body, file),
    typescript: typescriptOf(endpoint.method, target, headers, body, file),
  };
}

type Headers = readonly (readonly [name: string, value: string])[];

function curlOf(method: string, target: string, headers: Headers, body: string | undefined, file: string | undefined) {
  // With -X HEAD, curl would wait for a body that never comes.
  const how = method === "GET" ? "" : method === "HEAD" ? " --head" : ` -X ${method}`;
  return [
    `curl --fail-with-body${how} ${quote(target)}`,
    `-H "Authorization: Bearer $TOLLGATE_KEY"`,
    ...headers.map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : [`-d ${quote(body)}`]),
    ...(file === undefined ? [] : [`-o ${quote(file)}`]),
  ].join(" \\\n  ");
}

/** One word for a shell, whatever is in it. */
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function typescriptOf(
  method: string,
  target: string,
  headers: Headers,
  body: string | undefined,
  file: string | undefined,
): string {
  return [
    ...(file === undefined ? [] : ['import { writeFile } from "node:fs/promises";', ""]),
    `const response = await fetch(${JSON.stringify(target)}, {`,
    ...(method === "GET" ? [] : [`  method: "${method}",`]),
    "  headers: {",
    '    Authorization: "Bearer " + process.env.TOLLGATE_KEY,',
    ...headers.map(([name, value]) => `    ${JSON.stringify(name)}: ${JSON.stringify(value)},`),
    "  },",
    ...(body === undefined ? [] : [`  body: JSON.stringify(${body}),`]),
    "});",
    'if (!response.ok) throw new Error(response.status + ": " + (await response.text()));',
    file === undefined
      ? "console.log(await response.text());"
      : `await writeFile(${JSON.stringify(file)}, Buffer.from(await response.arrayBuffer()));`,
  ].join("\n");
}
