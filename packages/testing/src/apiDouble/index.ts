export { type ApiDouble, type ApiDoubleCall, type ProcedurePath, startApiDouble } from "./startApiDouble.ts";
