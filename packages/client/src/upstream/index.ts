export {
  createDataDeletionHandler,
  createDataDeletionVerifier,
  type DataDeletionHandler,
  type DataDeletionOptions,
  type DataDeletionOrder,
  type DataDeletionVerifier,
} from "./dataDeletion.ts";
export {
  createGatewayVerifier,
  type GatewayCaller,
  type GatewayVerifier,
  type GatewayVerifierOptions,
} from "./gatewayVerifier.ts";
export {
  type ApiDefinition,
  type EndpointDefinition,
  type PublishApiOptions,
  PublishRefusedError,
  publishApi,
} from "./publishApi.ts";
export { type RegisterUpstreamOptions, registerUpstream, type UpstreamRegistration } from "./registerUpstream.ts";
export { type RunningUpstream, type RunUpstreamOptions, runUpstream, stopOnSignals } from "./runUpstream.ts";
