/**
 * What this process tells the doctor about itself: its own command line, the configuration in force, the state of upstreams
 * and instances, and what clients have asked lately. Read when somebody asks; nothing is kept for it.
 */
import { dnsPort, formatEndpoint } from '../config/addresses.js';
import type { BlockConfig, Config, ForwardConfig } from '../config/config.js';
import { chooseServers, parseResolvConf } from '../config/resolv-conf.js';
import type { ServeOptions } from '../config/serve-options.js';
import { memoryUse } from '../doctor/check-process.js';
import type { ServerFacts, UpstreamFacts } from '../doctor/facts.js';
import type { Top } from '../observe/top.js';
import type { Endpoint } from '../os/network.js';
import type { UpstreamStats } from '../upstream/endpoint.js';
import type { QueryCounts } from './recent-counts.js';

/** The part of the command line that the doctor compares with the node. */
export type DoctorFlags = Pick<ServerFacts, 'flags' | 'hasHandover' | 'hasKernelLane'>;

export function doctorFlags(options: ServeOptions): DoctorFlags {
  const { localAddresses, dnsPort: port, healthPort, setupInterface, interfaceName, setupRules, clusterDns } = options;
  return {
    flags: {
      localAddresses,
      dnsPort: port,
      healthPort,
      setupInterface,
      interfaceName,
      firewall: setupRules ? options.firewall : 'none',
      clusterDns: clusterDns.endpoint,
      clusterDnsMissing: clusterDns.missing ?? '',
    },
    hasHandover: options.handoverPath !== null,
    hasKernelLane: options.kernelLane === 'on' || options.kernelLane === 'beside',
  };
}

/** What is read at the moment of asking. */
export interface FactsSource extends DoctorFlags {
  readonly version: string;
  readonly pid: number;
  readonly networkNamespace: string;
  readonly upSeconds: number;
  readonly role: 'starting' | 'serving' | 'standing by';
  readonly standBys: number;
  readonly isLastReloadRefused: boolean;
  readonly config: Config;
  /** In the order of the blocks. */
  readonly upstreams: readonly (readonly UpstreamStats[])[];
  readonly retries: number;
  readonly recent: QueryCounts & { readonly seconds: number };
  readonly talkers: Pick<ReturnType<Top['talkers']>, 'names' | 'clients'>;
  /** Whether the cache has an answer with data for the name. */
  readonly exists: (name: string) => boolean;
  readonly notReady: readonly string[];
  /** Inodes of the UDP sockets at an endpoint; undefined when unknown. */
  readonly socketsAt: (at: Endpoint) => readonly number[] | undefined;
  readonly ownSockets: () => ReadonlySet<number>;
  readonly readFile: (path: string) => string | undefined;
}

export function serverFacts(source: FactsSource): ServerFacts {
  const { config, flags, recent } = source;
  const clusterDomain = clusterDomainOf(config, flags.clusterDns);
  const { used, skipped } = resolversOf(config, source.readFile);
  return {
    version: source.version,
    pid: source.pid,
    upSeconds: Math.floor(source.upSeconds),
    role: source.role === 'serving' ? 'serving' : 'stand-by',
    standBys: source.standBys,
    isLastReloadRefused: source.isLastReloadRefused,
    hasHandover: source.hasHandover === true,
    hasKernelLane: source.hasKernelLane === true,
    ...foreignSocketsOf(source),
    memory: memoryUse(source.readFile),
    networkNamespace: source.networkNamespace,
    flags,
    clusterDomain,
    aaaaPolicies: aaaaPoliciesOf(config, clusterDomain),
    nodeResolvers: used,
    skippedResolvers: skipped,
    upstreams: config.blocks.flatMap((block, index) => upstreamFacts(block, source.upstreams[index] ?? [])),
    retries: source.retries,
    recent: {
      seconds: Math.floor(recent.seconds),
      queries: recent.queries,
      byLocalAddress: recent.byLocalAddress,
      aaaa: recent.aaaa,
      nxdomainBelowClusterDomain: recent.nxdomainBelow,
      servfail: recent.servfail,
    },
    topNames: source.talkers.names.map(({ name, count }) => ({ name, count, exists: source.exists(name) })),
    topClients: source.talkers.clients.map(({ client }) => client),
    hasAutopath: config.blocks.some(({ directives }) => directives.includes('autopath')),
    notReady: source.notReady,
  };
}

/** Nothing where the kernel does not tell. */
function foreignSocketsOf({ flags, socketsAt, ownSockets }: FactsSource): { readonly foreignSockets?: number } {
  const found = flags.localAddresses.map((address) => socketsAt({ address, port: flags.dnsPort }));
  if (found.some((inodes) => inodes === undefined)) return {};
  const own = ownSockets();
  return { foreignSockets: found.flatMap((inodes) => inodes ?? []).filter((inode) => !own.has(inode)).length };
}

/** The zone that goes to the cluster DNS, if one does that is neither all names nor a reverse zone; without its last dot. */
export function clusterDomainOf({ blocks }: Pick<Config, 'blocks'>, clusterDns: Endpoint | null): string | null {
  if (clusterDns === null) return null;
  const goes = ({ forwards }: BlockConfig): boolean =>
    forwards.some((forward) => targetsOf(forward).includes(formatEndpoint(clusterDns)));
  const zones = blocks.filter(goes).flatMap((block) => block.zones.map(({ zone }) => zone));
  const zone = zones.find((each) => each !== '.' && !each.endsWith('.arpa.'));
  return zone === undefined ? null : zone.slice(0, -1);
}

function targetsOf({ to }: ForwardConfig): string[] {
  return to.flatMap((target) => (target.kind === 'endpoint' ? [formatEndpoint(target.endpoint)] : []));
}

/** Without repetitions; `forward` where a block says nothing. */
export function aaaaPoliciesOf({ blocks }: Pick<Config, 'blocks'>, clusterDomain: string | null): readonly string[] {
  const wanted = ['.', ...(clusterDomain === null ? [] : [`${clusterDomain}.`])];
  const about = blocks.filter(({ zones }) => zones.some(({ zone }) => wanted.includes(zone)));
  return [...new Set(about.map(({ aaaa }) => aaaa ?? 'forward'))];
}

/** The servers of the resolv.conf files that `forward` names, and those that are not asked, with the reason. */
export function resolversOf(
  { blocks }: Pick<Config, 'blocks'>,
  read: (path: string) => string | undefined,
): { readonly used: readonly string[]; readonly skipped: readonly string[] } {
  const targets = blocks.flatMap(({ forwards }) => forwards.flatMap(({ to }) => to));
  const paths = new Set(targets.flatMap((target) => (target.kind === 'file' ? [target.path] : [])));
  const ownAddresses = blocks
    .filter(({ zones }) => zones.some(({ port }) => port === dnsPort))
    .flatMap(({ addresses }) => addresses);
  const used = new Set<string>();
  const skipped = new Set<string>();
  for (const path of paths) {
    const choice = chooseServers({ path, read, ownAddresses });
    const chosen = choice.ok ? choice.servers.map(({ address }) => address) : [];
    for (const address of chosen) used.add(address);
    for (const { address } of parseResolvConf(read(path) ?? '')) {
      if (!chosen.includes(address)) skipped.add(`${address}: an address of this node in ${path}`);
    }
    if (!choice.ok && skipped.size === 0) skipped.add(choice.why);
  }
  return { used: [...used], skipped: [...skipped] };
}

/** The same address may be in several blocks, and in each with another transport. */
function upstreamFacts({ forwards }: BlockConfig, stats: readonly UpstreamStats[]): UpstreamFacts[] {
  return stats.map(({ to, healthy, healthcheckFailures }) => {
    const forward = forwards.find((each) => targetsOf(each).includes(to)) ?? forwards[0];
    const isTls = forward?.to.some((target) => target.kind === 'endpoint' && target.endpoint.overTls === true) === true;
    const protocol = isTls ? 'tls' : forward?.transport === 'tcp' ? 'tcp' : 'udp';
    return { address: to, protocol, healthy, failures: healthcheckFailures };
  });
}
