import type { DomainNames } from "../domainNames.ts";

export const contracts = ({ domain, Domain, record, Record, words }: DomainNames): string => `import { z } from "zod";
import { defineEvent } from "./definitions.ts";
import { idSchema, nameInput, pageInput, pageOf } from "./primitives.ts";

/** A ${words} as members of its project see it. */
export const ${record}Dto = z.object({
  id: z.string(),
  projectId: z.string(),
  name: z.string(),
  createdAt: z.date(),
});
export type ${Record} = z.infer<typeof ${record}Dto>;

export const create${Record}Input = z.object({ projectId: idSchema("project"), name: nameInput });
export const list${Domain}Input = pageInput.extend({ projectId: idSchema("project") });
export const ${record}Page = pageOf(${record}Dto);

export const ${domain}Created = defineEvent(
  "${domain}.created",
  z.object({ ${record}Id: z.string(), projectId: z.string() }),
);
`;
