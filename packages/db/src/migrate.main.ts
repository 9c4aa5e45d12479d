import { databaseEnv } from "./env.ts";
import { migrateDatabase } from "./migrate.ts";

await migrateDatabase(databaseEnv().DATABASE_URL);
