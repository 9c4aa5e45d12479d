import { CallGraph } from "../callGraph.ts";
import type { Finding, Rule } from "../rule.ts";
import type { SourceTree } from "../sourceTree.ts";
import type { SyntaxNode } from "../syntax.ts";
import { childOf, childrenOf, moduleLinks, nameOf, walk } from "../syntax.ts";

/** What every mutation has, and how it is recognised among the functions that its verb reaches. */
const DUTIES = {
  permission: /^packages\/services\/src\/permissions\.ts#require/,
  audit: /^@tollgate\/db#writeAudits?$/,
  event: /^@tollgate\/db#appendEvents?$/,
} as const;
type Duty = keyof typeof DUTIES;

/** Mutations that lack something, and why that is right. An entry that is no longer needed is a finding too. */
type Exceptions = Readonly<Record<string, Partial<Record<Duty, string>>>>;

const CHANGES_NOTHING = "changes nothing; it is a mutation so that its input is not part of a URL";
const OPENS_A_STATE =
  "only remembers for minutes what `complete` will ask for, which audits and announces what comes of it";
const COMES_LATER = "nothing has changed for anyone yet: the procedure that finishes this announces it";
const PAID_LATER = "nothing has changed yet: what comes of the page is announced when Stripe says so";
const VISITOR =
  "the page of a stranger says so, over and over; it is kept for statistics and touches no record of the product";

const REPORT =
  "a report of what has happened elsewhere, thousands a second: its row is its record, and changes nothing else";

const OWN_MARK =
  "what somebody has read or wants to hear of is their own business, and changes nothing for anyone else";

export const EXCEPTIONS: Exceptions = {
  "customers.exportData": { event: "a copy for the person alone: nothing changes, and nobody else is to act on it" },
  "customers.login": { permission: "anyone may try to sign in: the password is the permission" },
  "customers.refresh": { permission: "the refresh token is the permission" },
  "keys.reportLeaked": { permission: "anyone who holds a leaked key may say so: the key is the permission" },
  "keys.verify": { audit: CHANGES_NOTHING, event: CHANGES_NOTHING },
  "notifications.markAsRead": { audit: OWN_MARK, event: OWN_MARK },
  "notifications.subscribe": { audit: OWN_MARK, event: OWN_MARK },
  "notifications.unsubscribe": { audit: OWN_MARK, event: OWN_MARK },
  "oauth.complete": { permission: "the provider's code, bound to the browser that asked, is the permission" },
  "oauth.link": { audit: OPENS_A_STATE, event: OPENS_A_STATE },
  "oauth.start": { permission: "anyone may begin to sign in", audit: OPENS_A_STATE, event: OPENS_A_STATE },
  "onboarding.completeSignup": { permission: "the mailed code is the permission" },
  "onboarding.joinWaitlist": { permission: VISITOR, audit: VISITOR, event: VISITOR },
  "onboarding.recover": {
    permission: "anyone may have forgotten a password",
    event: "an event would tell whether there is an account",
  },
  "onboarding.requestEmailChange": { event: COMES_LATER },
  "onboarding.resetPassword": { permission: "the mailed token is the permission" },
  "onboarding.sendVerificationEmail": { permission: "anyone may begin to sign up" },
  "usage.ingest": { audit: REPORT, event: REPORT },
  "usage.saveEvent": { audit: REPORT, event: REPORT },
  "onboarding.track": { permission: VISITOR, audit: VISITOR, event: VISITOR },
  "payments.createCheckoutSession": { event: PAID_LATER },
  "payments.portalUrl": { event: CHANGES_NOTHING },
  "payments.setupCard": { event: PAID_LATER },
};

const SERVICES = "@tollgate/services/";

/**
 * Every mutation calls a verb that asks for permission, writes an audit row and appends an event. The verb is looked up in
 * the services and followed through the functions that it reaches.
 */
export const guardedMutations = (exceptions: Exceptions = EXCEPTIONS): Rule => ({
  name: "guarded-mutations",
  check(tree) {
    const graph = new CallGraph(tree);
    const seen = new Set<string>();
    const findings: Finding[] = [];
    for (const mutation of findMutations(tree)) {
      seen.add(mutation.procedure);
      const message = judge(graph, mutation, exceptions[mutation.procedure] ?? {});
      if (message !== undefined) findings.push({ path: mutation.file, line: mutation.line, message });
    }
    for (const procedure of Object.keys(exceptions)) {
      if (seen.has(procedure)) continue;
      findings.push({
        path: "infra/tidy/rules/guardedMutations.ts",
        message: `${procedure} has an exception and is no mutation`,
      });
    }
    return findings;
  },
});

interface Mutation {
  /** `keys.revoke`. */
  readonly procedure: string;
  readonly file: string;
  readonly line: number;
  /** Verbs of the services that its resolver mentions: the domain's index file and the name. */
  readonly verbs: readonly { readonly file: string; readonly name: string }[];
}

function findMutations(tree: SourceTree): Mutation[] {
  return tree.matching(/^packages\/routers\/src\/[^/.]+\.ts$/).flatMap((file) => {
    const program = tree.program(file);
    const domain = file.slice("packages/routers/src/".length, -".ts".length);
    const verbs = new Map<string, { file: string; name: string }>();
    for (const link of moduleLinks(program)) {
      if (!link.specifier.startsWith(SERVICES) || link.isTypeOnly) continue;
      const index = `packages/services/src/${link.specifier.slice(SERVICES.length)}/index.ts`;
      for (const [local, name] of link.names) verbs.set(local, { file: index, name });
    }
    return findProcedures(program, domain).flatMap(({ procedure, node }) => {
      const resolver = mutationResolver(childOf(node, "value"));
      if (resolver === undefined) return [];
      const mentioned = new Set(walk(resolver).flatMap((part) => nameOf(part) ?? []));
      const called = [...mentioned].flatMap((local) => verbs.get(local) ?? []);
      return [{ procedure, file, line: tree.lineAt(file, node.start), verbs: called }];
    });
  });
}

/** The entries of every `router({ … })`, named as clients name them: `admin.config.set` stands in a router in a router. */
function findProcedures(node: SyntaxNode, prefix: string): { procedure: string; node: SyntaxNode }[] {
  const routers = walk(node).filter(isRouterCall);
  const inner = new Set(routers.flatMap((call) => walk(call).filter((each) => each !== call && isRouterCall(each))));
  return routers
    .filter((call) => !inner.has(call))
    .flatMap((call) => childrenOf(childrenOf(call, "arguments")[0] ?? call, "properties"))
    .flatMap((property) => {
      const procedure = `${prefix}.${nameOf(childOf(property, "key")) ?? ""}`;
      const value = childOf(property, "value");
      return value !== undefined && isRouterCall(value)
        ? findProcedures(value, procedure)
        : [{ procedure, node: property }];
    });
}

const isRouterCall = (node: SyntaxNode): boolean =>
  node.type === "CallExpression" && nameOf(childOf(node, "callee")) === "router";

/** The function in `….mutation(function)`. */
function mutationResolver(value: SyntaxNode | undefined): SyntaxNode | undefined {
  const callee = value?.type === "CallExpression" ? childOf(value, "callee") : undefined;
  if (value === undefined || callee?.type !== "MemberExpression") return undefined;
  return nameOf(childOf(callee, "property")) === "mutation" ? childrenOf(value, "arguments")[0] : undefined;
}

function judge(graph: CallGraph, mutation: Mutation, excused: Partial<Record<Duty, string>>): string | undefined {
  const { procedure, verbs } = mutation;
  const [verb] = verbs;
  if (verb === undefined || verbs.length > 1) return `${procedure} must call one verb of the services`;
  const reached = graph.reach(verb.file, verb.name);
  if (reached === undefined) return `${procedure} calls ${verb.name}, which ${verb.file} does not export`;
  const duties = Object.keys(DUTIES) as Duty[];
  const has = (duty: Duty): boolean => [...reached].some((id) => DUTIES[duty].test(id));
  const missing = duties.filter((duty) => !has(duty) && excused[duty] === undefined);
  if (missing.length > 0) return `${procedure} (${verb.name}) has no ${missing.join(" and no ")}`;
  const stale = duties.filter((duty) => has(duty) && excused[duty] !== undefined);
  return stale.length > 0 ? `${procedure} needs no exception for ${stale.join(", ")}` : undefined;
}
