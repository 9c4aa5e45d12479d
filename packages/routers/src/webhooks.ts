import {
  createWebhookEndpointInput,
  doneDto,
  listWebhookDeliveriesInput,
  listWebhookEndpointsInput,
  rotateWebhookSecretInput,
  updateWebhookEndpointInput,
  webhookDeliveryDto,
  webhookDeliveryIdInput,
  webhookDeliveryPage,
  webhookEndpointDto,
  webhookEndpointIdInput,
  webhookEndpointPage,
  webhookEventTypeList,
  webhookSecretDto,
} from "@tollgate/contracts";
import {
  createEndpoint,
  deleteEndpoint,
  listDeliveries,
  listEndpoints,
  listEventTypes,
  redeliver,
  rotateSecret,
  sendTest,
  updateEndpoint,
} from "@tollgate/services/webhooks";
import { customerProcedure, publicProcedure, router } from "./trpc.ts";

const EXAMPLE_PROJECT_ID = "prj_4fDq8ZkT2mXw9bNcR7LpVa";

/** Outgoing webhooks: where customers are told of events, signed after the Standard Webhooks specification. */
export const webhooksRouter = router({
  createEndpoint: customerProcedure
    .meta({
      description: "Makes an endpoint of a project or a billing account. Its signing secret is in this answer alone.",
      example: { projectId: EXAMPLE_PROJECT_ID, url: "https://example.com/webhooks", events: ["keys.*"] },
    })
    .input(createWebhookEndpointInput)
    .output(webhookSecretDto)
    .mutation(({ ctx, input }) => createEndpoint({ ctx, input })),

  list: customerProcedure
    .meta({
      description: "The endpoints of a project or a billing account, newest first.",
      example: { projectId: EXAMPLE_PROJECT_ID },
    })
    .input(listWebhookEndpointsInput)
    .output(webhookEndpointPage)
    .query(({ ctx, input }) => listEndpoints({ ctx, input })),

  update: customerProcedure
    .meta({ description: "Changes an endpoint, or switches it off and on. What is left out stays." })
    .input(updateWebhookEndpointInput)
    .output(webhookEndpointDto)
    .mutation(({ ctx, input }) => updateEndpoint({ ctx, input })),

  delete: customerProcedure
    .meta({ description: "Deletes an endpoint: nothing more is sent to it." })
    .input(webhookEndpointIdInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => deleteEndpoint({ ctx, input })),

  rotateSecret: customerProcedure
    .meta({ description: "A new signing secret. For the overlap each delivery carries the signatures of both." })
    .input(rotateWebhookSecretInput)
    .output(webhookSecretDto)
    .mutation(({ ctx, input }) => rotateSecret({ ctx, input })),

  listDeliveries: customerProcedure
    .meta({ description: "What was and will be sent to an endpoint, newest first, with every attempt and its answer." })
    .input(listWebhookDeliveriesInput)
    .output(webhookDeliveryPage)
    .query(({ ctx, input }) => listDeliveries({ ctx, input })),

  redeliver: customerProcedure
    .meta({ description: "Sends a delivery again, now, with the same body and the same id." })
    .input(webhookDeliveryIdInput)
    .output(webhookDeliveryDto)
    .mutation(({ ctx, input }) => redeliver({ ctx, input })),

  sendTest: customerProcedure
    .meta({ description: "Sends an event of the type `webhooks.test` to an endpoint." })
    .input(webhookEndpointIdInput)
    .output(webhookDeliveryDto)
    .mutation(({ ctx, input }) => sendTest({ ctx, input })),

  listEventTypes: publicProcedure
    .meta({ description: "The events that endpoints may subscribe to, with the JSON Schema of each payload." })
    .output(webhookEventTypeList)
    .query(() => listEventTypes()),
});
