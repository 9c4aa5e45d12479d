/** What the launcher or the operator tells this service. */
export interface ServiceEnv {
  readonly host: string;
  readonly port: number;
  readonly etcdUrl: string;
  readonly apiUrl: string;
  readonly serviceToken: string;
}

/** @throws Error that names the variable that is missing or wrong */
export function readEnv(source: NodeJS.ProcessEnv = process.env): ServiceEnv {
  const required = (name: string): string => {
    const value = source[name];
    if (value === undefined || value === "") throw new Error(`${name} is not set`);
    return value;
  };
  const port = Number(required("PORT"));
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error("PORT is not a port");
  return {
    host: source["HOST"] ?? "127.0.0.1",
    port,
    etcdUrl: required("ETCD_URL"),
    apiUrl: required("PUBLIC_API_URL"),
    serviceToken: required("TOLLGATE_SERVICE_TOKEN"),
  };
}
