import type { ApiDefinition } from "@tollgate/client/upstream";

const openapi = {
  openapi: "3.1.0",
  info: { title: "Hello world", version: "1.0.0", description: "Greets whoever calls. Free, to try a key with." },
  paths: {
    "/call": {
      post: {
        operationId: "call",
        summary: "Greet somebody",
        requestBody: {
          required: true,
          content: {
            "application/json": {
              schema: {
                type: "object",
                required: ["name"],
                properties: { name: { type: "string", minLength: 1, maxLength: 200 } },
              },
              example: { name: "Ada" },
            },
          },
        },
        responses: {
          "200": {
            description: "The greeting",
            content: {
              "application/json": {
                schema: { type: "object", required: ["message"], properties: { message: { type: "string" } } },
                example: { message: "Hello Ada" },
              },
            },
          },
          "400": {
            description: "The body is not JSON or has no name",
            content: {
              "application/problem+json": {
                schema: {
                  type: "object",
                  required: ["title", "status", "detail"],
                  properties: { title: { type: "string" }, status: { type: "integer" }, detail: { type: "string" } },
                },
              },
            },
          },
        },
      },
    },
  },
};

export const definition: ApiDefinition = {
  name: "helloworld",
  displayName: "Hello world",
  description: "Greets whoever calls. Free, to try a key with.",
  category: "demo",
  openapi,
  endpoints: [{ name: "call", method: "POST", path: "/call", priceMicros: "0", freePerMonth: 0 }],
  examples: [
    { title: "Greet Ada", endpoint: "call", request: { body: { name: "Ada" } }, response: { message: "Hello Ada" } },
  ],
};
