/**
 * What a cluster DNS knows of a cluster: namespaces, services and their endpoints. Services come and go; what was
 * true at a time stays known, so that a test can say whether an answer was true, and how long ago.
 */
export interface ServicePort {
  readonly name: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

export interface ServiceEndpoint {
  readonly address: string;
  /** Of a pod with `hostname` and `subdomain`, as those of a StatefulSet; null: the dashed address is its name. */
  readonly hostname: string | null;
}

interface ServiceIdentity {
  readonly name: string;
  readonly namespace: string;
}

export interface AddressService extends ServiceIdentity {
  readonly kind: 'cluster-ip' | 'headless';
  /** ClusterIPs of both families; a headless service has none. */
  readonly addresses: readonly string[];
  readonly ports: readonly ServicePort[];
  readonly endpoints: readonly ServiceEndpoint[];
}

export interface ExternalService extends ServiceIdentity {
  readonly kind: 'external-name';
  /** Without the closing dot. */
  readonly target: string;
}

export type Service = AddressService | ExternalService;

export interface ClusterOptions {
  /** Without the closing dot. */
  readonly domain?: string;
  /** `insecure` is what kubeadm writes. */
  readonly podMode?: 'insecure' | 'disabled';
  /** Of all answers and denials: 5 unless the Corefile says `ttl`. */
  readonly ttlSeconds?: number;
}

/** One state; another one is another object. */
export interface ClusterState {
  readonly domain: string;
  readonly podMode: 'insecure' | 'disabled';
  readonly ttlSeconds: number;
  readonly namespaces: ReadonlySet<string>;
  /** By `name.namespace`. */
  readonly services: ReadonlyMap<string, Service>;
  /** Of the SOA: CoreDNS puts there when it saw the last change. */
  readonly serial: number;
}

/** A state, and when it ended. */
export interface PastState {
  readonly state: ClusterState;
  /** Infinite for the present one. */
  readonly untilMs: number;
}

export interface Cluster {
  readonly now: ClusterState;
  /** The states that were true at some time since then, the newest first. */
  since(atMs: number): readonly PastState[];
  create(service: Service): void;
  /** Does nothing where there is none. */
  remove(name: string, namespace: string): void;
}

/** States older than this are forgotten: longer than any TTL of a cluster. */
const rememberedMs = 120_000;

/** A cluster without services; `nowMs` dates its changes. */
export function newCluster(
  namespaces: readonly string[],
  services: readonly Service[],
  nowMs: () => number,
  options: ClusterOptions = {},
): Cluster {
  const { domain = 'cluster.local', podMode = 'insecure', ttlSeconds = 5 } = options;
  const first: ClusterState = {
    domain,
    podMode,
    ttlSeconds,
    namespaces: new Set(namespaces),
    services: new Map(services.map((service) => [keyOf(service), service])),
    serial: 1,
  };
  /** Oldest first, each with the time from which it is true. */
  let states = [{ state: first, fromMs: Number.NEGATIVE_INFINITY }];
  const change = (alter: (services: Map<string, Service>) => void): void => {
    const before = states[states.length - 1].state;
    const next = new Map(before.services);
    alter(next);
    const fromMs = nowMs();
    states.push({ state: { ...before, services: next, serial: before.serial + 1 }, fromMs });
    // The last state before the horizon was still true at it.
    const keptFrom = states.findLastIndex((each) => each.fromMs <= fromMs - rememberedMs);
    if (keptFrom > 0) states = states.slice(keptFrom);
  };
  return {
    get now() {
      return states[states.length - 1].state;
    },
    since(atMs) {
      const oldest = Math.max(
        0,
        states.findLastIndex((each) => each.fromMs <= atMs),
      );
      return states
        .slice(oldest)
        .map(({ state }, index) => ({ state, untilMs: states[oldest + index + 1]?.fromMs ?? Number.POSITIVE_INFINITY }))
        .toReversed();
    },
    create: (service) => change((all) => void all.set(keyOf(service), service)),
    remove: (name, namespace) => change((all) => void all.delete(`${name}.${namespace}`)),
  };
}

function keyOf({ name, namespace }: ServiceIdentity): string {
  return `${name}.${namespace}`;
}

/** The cluster DNS's own service, as every cluster has it. */
export const clusterDnsService: AddressService = {
  kind: 'cluster-ip',
  name: 'kube-dns',
  namespace: 'kube-system',
  addresses: ['10.96.0.10'],
  ports: [
    { name: 'dns', protocol: 'udp', port: 53 },
    { name: 'dns-tcp', protocol: 'tcp', port: 53 },
    { name: 'metrics', protocol: 'tcp', port: 9153 },
  ],
  endpoints: [
    { address: '10.244.0.2', hostname: null },
    { address: '10.244.0.3', hostname: null },
  ],
};

/**
 * Twenty namespaces with ten services each. Some are named as top-level domains are (the namespace `dev`, the services
 * `io` and `com`), because then a name of the outside world, with a search domain behind it, looks like one of theirs.
 */
export const sampleNamespaces: readonly string[] = [
  'default',
  'kube-system',
  'dev',
  ...Array.from({ length: 17 }, (_, index) => `team-${index}`),
];

export function sampleServices(): Service[] {
  return sampleNamespaces.flatMap((namespace, number) => {
    const named = (name: string): ServiceIdentity => ({ name, namespace });
    const services: Service[] = [
      namespace === 'kube-system' ? clusterDnsService : plain(named('web'), number, 1),
      plain(named('api'), number, 2),
      { ...plain(named('dual'), number, 3), addresses: [`10.96.${number}.3`, `fd00:96::${number}:3`] },
      plain(named(number % 4 === 0 ? 'com' : 'shop'), number, 4),
      plain(named(number % 5 === 0 ? 'io' : 'mail'), number, 5),
      headless(named('db'), number, ['db-0', 'db-1', 'db-2']),
      headless(named('peers'), number, [null, null]),
      headless(named('empty'), number, []),
      { ...named('outside'), kind: 'external-name', target: `www.example-${number}.com` },
      { ...named('alias'), kind: 'external-name', target: `web.${namespace}.svc.cluster.local` },
    ];
    return services;
  });
}

/** A service with one ClusterIP, two ports and two pods. */
export function plain(identity: ServiceIdentity, number: number, index: number): AddressService {
  return {
    ...identity,
    kind: 'cluster-ip',
    addresses: [`10.96.${number}.${index}`],
    ports: [
      { name: 'http', protocol: 'tcp', port: 80 },
      { name: 'metrics', protocol: 'udp', port: 9090 },
    ],
    endpoints: [1, 2].map((pod) => ({ address: `10.244.${number}.${10 * index + pod}`, hostname: null })),
  };
}

function headless(identity: ServiceIdentity, number: number, hostnames: readonly (string | null)[]): AddressService {
  return {
    ...identity,
    kind: 'headless',
    addresses: [],
    ports: [{ name: 'pg', protocol: 'tcp', port: 5432 }],
    endpoints: hostnames.map((hostname, pod) => ({
      address: `10.244.${number}.${(hostname === null ? 150 : 100) + pod}`,
      hostname,
    })),
  };
}
