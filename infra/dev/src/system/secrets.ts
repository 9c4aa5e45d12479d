import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { randomBase62 } from "@tollgate/kernel";
import { z } from "zod";

const secretsSchema = z.object({
  tollgateSecret: z.string().min(32),
  examplesToken: z.string().min(1),
  adminPassword: z.string().min(1),
  demoPassword: z.string().min(1),
  /** Made by the first seed; given to the later ones, so that the demo key stays the same. */
  demoKey: z.string().optional(),
});

/** Secrets of one development system. They are random, made once, and kept in its directory for its owner alone. */
export type Secrets = z.infer<typeof secretsSchema>;

const fileIn = (dir: string): string => path.join(dir, "secrets.json");

/** @throws Error if the file is there but damaged: replacing it would make sealed data unreadable. */
export async function loadSecrets(dir: string): Promise<Secrets> {
  let text: string;
  try {
    text = await readFile(fileIn(dir), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    const secrets: Secrets = {
      tollgateSecret: randomBase62(48),
      examplesToken: randomBase62(32),
      adminPassword: randomBase62(16),
      demoPassword: randomBase62(16),
    };
    await saveSecrets(dir, secrets);
    return secrets;
  }
  const parsed = secretsSchema.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error(`${fileIn(dir)} is damaged; start with --reset to begin anew`);
  return parsed.data;
}

export async function saveSecrets(dir: string, secrets: Secrets): Promise<void> {
  await writeFile(fileIn(dir), `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
}
