import type { ApiDefinition } from "@tollgate/client/upstream";
import { DELAY_MS_MAX, STREAM_BYTES_MAX, WORDS_MAX } from "./limits.ts";

const problem = (description: string) => ({
  description,
  content: {
    "application/problem+json": {
      schema: {
        type: "object",
        required: ["title", "status", "detail"],
        properties: { title: { type: "string" }, status: { type: "integer" }, detail: { type: "string" } },
      },
    },
  },
});

const jsonBody = (properties: Record<string, unknown>, example: Record<string, unknown>) => ({
  required: true,
  content: { "application/json": { schema: { type: "object", required: ["text"], properties }, example } },
});

const countProperties = { words: { type: "integer" }, characters: { type: "integer" }, sentences: { type: "integer" } };

const openapi = {
  openapi: "3.1.0",
  info: { title: "Text", version: "1.0.0", description: "Counts texts and reads them back as a stream." },
  paths: {
    "/count": {
      post: {
        operationId: "count",
        summary: "Count the words, characters and sentences of a text",
        description: "Priced by the word.",
        requestBody: jsonBody({ text: { type: "string", minLength: 1 } }, { text: "To be. Or not to be?" }),
        responses: {
          "200": {
            description: "The counts",
            headers: { "Tollgate-Units": { description: "Words", schema: { type: "integer" } } },
            content: {
              "application/json": {
                schema: { type: "object", required: Object.keys(countProperties), properties: countProperties },
              },
            },
          },
          "400": problem("The body is not JSON or has no text"),
          "413": problem(`The text has more than ${WORDS_MAX} words`),
        },
      },
    },
    "/stream": {
      post: {
        operationId: "stream",
        summary: "Stream a text back word by word",
        description: "Priced by the byte.",
        requestBody: jsonBody(
          {
            text: { type: "string", minLength: 1 },
            delayMs: {
              type: "integer",
              minimum: 0,
              maximum: DELAY_MS_MAX,
              default: 0,
              description: "Pause after each word",
            },
          },
          { text: "One two three", delayMs: 100 },
        ),
        responses: {
          "200": { description: "The text", content: { "text/plain": { schema: { type: "string" } } } },
          "400": problem("The body is not JSON, has no text or a delay out of range"),
          "413": problem(`The text has more than ${STREAM_BYTES_MAX} bytes`),
        },
      },
    },
  },
};

export const definition: ApiDefinition = {
  name: "text",
  displayName: "Text",
  description: "Counts texts and reads them back as a stream.",
  category: "text",
  openapi,
  endpoints: [
    {
      name: "count",
      method: "POST",
      path: "/count",
      priceMicros: "10",
      freePerMonth: 10,
      unit: "word",
      maxUnits: WORDS_MAX,
    },
    {
      name: "stream",
      method: "POST",
      path: "/stream",
      priceMicros: "1",
      freePerMonth: 0,
      unit: "byte",
      maxUnits: STREAM_BYTES_MAX,
    },
  ],
  examples: [
    {
      title: "Count a line",
      endpoint: "count",
      request: { body: { text: "To be. Or not to be?" } },
      response: { words: 6, characters: 20, sentences: 2 },
    },
    { title: "Stream three words", endpoint: "stream", request: { body: { text: "One two three", delayMs: 100 } } },
  ],
};
