import type { DomainNames } from "../domainNames.ts";

export const router = ({
  domain,
  Domain,
  record,
  Record,
  words,
}: DomainNames): string => `import { ${record}Dto, ${record}Page, create${Record}Input, list${Domain}Input } from "@tollgate/contracts";
import { create${Record}, list${Domain} } from "@tollgate/services/${domain}";
import { customerProcedure, router } from "./trpc.ts";

/** What the API has to offer around each ${words} of a project. */
export const ${domain}Router = router({
  create: customerProcedure
    .meta({ description: "Makes a ${words} of a project." })
    .input(create${Record}Input)
    .output(${record}Dto)
    .mutation(({ ctx, input }) => create${Record}({ ctx, input })),

  list: customerProcedure
    .meta({ description: "Every ${words} of a project, newest first." })
    .input(list${Domain}Input)
    .output(${record}Page)
    .query(({ ctx, input }) => list${Domain}({ ctx, input })),
});
`;
