export { httpAnswers } from "./answers.ts";
export { canFetchAptPackages, fetchAptPackages } from "./aptPackages.ts";
export { choosePort } from "./ports.ts";
export { removePostgresData } from "./postgres.ts";
export {
  type PreparedServers,
  prepareServers,
  type RunningServers,
  removeServerData,
  type ServerHandle,
  type ServersOptions,
  startServers,
} from "./startServers.ts";
export { type Log, SERVER_NAMES, type ServerName } from "./tool.ts";
