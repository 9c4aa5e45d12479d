import type { ApiDefinition } from "@tollgate/client/upstream";
import { BYTES_MAX, MARGIN_RANGE, SIZE_RANGE } from "./options.ts";

const integerParameter = (name: string, description: string, range: { min: number; max: number }) => ({
  name,
  in: "query",
  description,
  schema: { type: "integer", minimum: range.min, maximum: range.max },
});

const openapi = {
  openapi: "3.1.0",
  info: { title: "QR codes", version: "1.0.0", description: "Makes QR codes (ISO/IEC 18004) as PNG images." },
  paths: {
    "/generate": {
      get: {
        operationId: "generate",
        summary: "Make a QR code",
        parameters: [
          {
            name: "text",
            in: "query",
            required: true,
            description: "What the code says",
            schema: { type: "string", minLength: 1, maxLength: BYTES_MAX.L },
            example: "https://tollgate.dev",
          },
          integerParameter("size", "Width and height in pixels; 4 pixels a module unless given", { ...SIZE_RANGE }),
          integerParameter("margin", "Quiet zone in modules; 4 unless given", { ...MARGIN_RANGE }),
          {
            name: "level",
            in: "query",
            description: "Error correction: about 7, 15, 25 or 30 percent may be unreadable",
            schema: { type: "string", enum: ["L", "M", "Q", "H"], default: "M" },
          },
        ],
        responses: {
          "200": {
            description: "The code",
            content: { "image/png": { schema: { type: "string", format: "binary" } } },
          },
          "400": {
            description: "A parameter is missing or out of range",
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
  name: "qr",
  displayName: "QR codes",
  description: "Makes QR codes (ISO/IEC 18004) as PNG images.",
  category: "images",
  openapi,
  endpoints: [{ name: "generate", method: "GET", path: "/generate", priceMicros: "1000", freePerMonth: 0 }],
  examples: [
    { title: "A link", endpoint: "generate", request: { query: { text: "https://tollgate.dev", level: "M" } } },
  ],
};
