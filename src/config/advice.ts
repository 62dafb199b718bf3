/**
 * Advice of `zerohop check`: rules about valid settings that cause trouble, each with a code; findings have a line and a
 * remedy. Errors, and warnings of probable mistakes, come from the readers and are not repeated here. Rules see the read
 * configuration beside the Corefile as written, since only the latter has lines, and the flags.
 */
import { isInZone } from '../dns/names.js';
import { cacheBytesLeast } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import { addressCovers, addressesOverlap, formatEndpoint } from './addresses.js';
import { cacheBytesOf, cacheEntriesOf } from './capacity.js';
import { type BlockConfig, type Config, type ForwardConfig, lineOf, type Position } from './config.js';
import type { Corefile, Directive, ServerBlock } from './corefile.js';
import { clusterZones, whyNoCut } from './nxdomain-cut.js';
import { isOurs, listenersOf, returning, waysOf } from './returning.js';

/** One server block. */
export interface Advised {
  readonly config: BlockConfig;
  readonly written: ServerBlock;
}

/** The flags that a Corefile is used with. */
export interface AdviceDeps {
  /** Addresses of the node's link, at least one. */
  readonly localAddresses: readonly string[];
  readonly clusterDns: { readonly endpoint: Endpoint | null };
  readonly metricsAddress: Endpoint | null;
  /** Whether changed files are loaded without `reload`. */
  readonly reloadWithSignal: boolean;
}

interface Whole {
  readonly config: Config;
  readonly blocks: readonly Advised[];
  readonly deps: AdviceDeps;
}

/** Neither part begins with a capital or ends in a dot, since they become one sentence. */
export interface Saying {
  readonly at: Position;
  readonly message: string;
  readonly remedy: string;
}

export interface Advice extends Saying {
  readonly code: string;
}

export type BlockRule = (block: Advised, whole: Whole) => readonly Saying[];
type WholeRule = (whole: Whole) => readonly Saying[];
type BlockRules = Readonly<Record<string, BlockRule>>;

/** The domain of almost every cluster. */
const clusterDomain = 'cluster.local.';
/** Where systemd-resolved listens, and where it does without its own rules. */
const stubResolvers = ['127.0.0.53', '127.0.0.54'];
/** As in node-cache's own Corefile. */
const denialTtlSecondsLeast = 5;
/** A store with at least this many entries is meant to be used. */
const entriesMany = 1_000;
/** More queries a second for one name than any node sees. */
const hitsPerSecondMost = 1_000;
const healthPortUsual = 8_080;
/** The memory limit in deploy/, and the cache for which it leaves room beside everything else. */
const manifestBytes = 512 * 1024 * 1024;
const manifestCacheBytes = 2 * cacheBytesLeast;
/** The order of eviction on V8's heap, as measured with a million entries. */
const orderBytesPerEntry = 128;

/** Rules for each server block, by code. */
const ofBlocks: BlockRules = {
  'cache-missing': ({ config }) => {
    if (config.cache !== null || config.forwards.length === 0) return [];
    return adviceOf(config.at, 'no cache: every query of this server block goes upstream', 'add "cache 30"');
  },
  'cluster-dns-over-udp': (block, { deps, config }) => {
    const ways = waysOf(config.blocks);
    const isCluster = block.config.zones.some(({ zone }) => isInZone(zone, clusterDomain));
    const address = deps.clusterDns.endpoint?.address;
    const asksIt = (each: Endpoint) => (isCluster && !isOurs(each, ways)) || each.address === address;
    return block.config.forwards
      .filter((forward) => forward.transport === 'client' && plainEndpoints(forward).some(asksIt))
      .flatMap(({ at }) =>
        adviceOf(
          at,
          'forward: queries to the cluster DNS use UDP, which takes a conntrack entry per query and may lose packets',
          'add force_tcp to its block',
        ),
      );
  },
  'denial-ttl-short': (block) => {
    const { cache, forwards } = block.config;
    if (cache === null || forwards.length === 0 || isEverywhere(block, cache.denialDisabled)) return [];
    const { ttlMaxSeconds, entriesMax } = cache.denial;
    if (ttlMaxSeconds >= denialTtlSecondsLeast || entriesMax < entriesMany) return [];
    return adviceOf(
      placeOf(block, 'cache', 'denial'),
      `denials are cached for ${ttlMaxSeconds} s at most, so nonexistent names of search paths go ` +
        `upstream again and again, and ${entriesMax} places stay mostly empty`,
      `write ${denialTtlSecondsLeast} s or more, for example "denial ${entriesMax} ${denialTtlSecondsLeast}"`,
    );
  },
  'errors-missing': ({ config }) => {
    if (config.errors !== null || config.forwards.length === 0) return [];
    return adviceOf(
      config.at,
      'no errors: the log does not say why a query of this server block failed',
      'add "errors"',
    );
  },
  'forward-to-own-address': (block, whole) =>
    block.config.forwards.flatMap((forward) =>
      plainEndpoints(forward).flatMap((endpoint) => ownAddress(endpoint, forward, block, whole)),
    ),
  'forward-to-stub-resolver': ({ config }) =>
    config.forwards.flatMap((forward) =>
      plainEndpoints(forward)
        .filter(({ address }) => stubResolvers.includes(address))
        .flatMap(({ address }) =>
          adviceOf(
            forward.at,
            `forward: ${address} is systemd-resolved's stub and may loop back to this cache`,
            'write /run/systemd/resolve/resolv.conf, which lists the resolvers behind the stub',
          ),
        ),
    ),
  'forward-unreachable': ({ config: { forwards, traits } }) =>
    forwards.flatMap((forward, index) => {
      const earlier = traits.answersAll ?? forwards.slice(0, index).find((other) => takesAllOf(other, forward));
      if (earlier === undefined) return [];
      const what = 'name' in earlier ? earlier.name : 'forward';
      return adviceOf(
        forward.at,
        `forward: the ${what} on ${lineOf(earlier.at, forward.at)} already takes every name of ${forward.from}`,
        what === 'forward' ? 'move this one above it, or remove it' : 'remove one of the two',
      );
    }),
  'loop-missing': (block) => {
    const { loop, forwards } = block.config;
    if (loop || !forwards.some(({ to }) => to.some(({ kind }) => kind === 'file'))) return [];
    return adviceOf(
      placeOf(block, 'forward'),
      'forward: without "loop", a forwarding loop through that file goes undetected',
      'add "loop" to the server block',
    );
  },
  'outside-over-tcp': ({ config }) => {
    if (!config.zones.some(({ zone }) => zone === '.')) return [];
    return config.forwards
      .filter(({ transport, to }) => transport === 'tcp' && to.some(({ kind }) => kind === 'file'))
      .flatMap(({ at }) =>
        adviceOf(
          at,
          "forward: queries to the node's resolvers use TCP, which some resolvers do not support",
          'remove force_tcp; truncated answers are retried over TCP',
        ),
      );
  },
  'prefetch-never': (block) => {
    const { cache } = block.config;
    if (cache === null || cache.prefetch === null) return [];
    const { successDisabled, success, prefetch } = cache;
    const at = placeOf(block, 'cache', 'prefetch');
    if (isEverywhere(block, successDisabled)) {
      return adviceOf(at, 'prefetch has no effect: positive answers are not cached', 'remove prefetch or "disable"');
    }
    if (prefetch.gapMs === 0) {
      return adviceOf(at, 'prefetch has no effect: the gap between hits is 0', 'write a gap such as 1m');
    }
    if (prefetch.hits <= success.ttlMaxSeconds * hitsPerSecondMost) return [];
    const perSecond = Math.ceil(prefetch.hits / success.ttlMaxSeconds);
    return adviceOf(
      at,
      `prefetch needs ${perSecond} queries a second for a name, because its TTL is ` +
        `${success.ttlMaxSeconds} s at most`,
      'write fewer hits, for example "prefetch 10 1m 25%"',
    );
  },
  'search-path-upstream': (block, whole) => {
    const { config } = block;
    const why = whyStepsUpstream(block, whole);
    if (config.cache === null || why === null) return [];
    return adviceOf(
      config.at,
      `every new outside name costs one query upstream for each step of its search path, because ${why}`,
      'change that, or give pods a lower ndots',
    );
  },
  'stale-without-room': (block) => {
    const { cache } = block.config;
    if (cache === null || cache.stale === null || !hasOption(block, 'cache', 'serve_stale')) return [];
    const at = placeOf(block, 'cache', 'serve_stale');
    if (isEverywhere(block, cache.successDisabled)) {
      return adviceOf(
        at,
        'serve_stale has no effect: positive answers are not cached',
        'remove serve_stale or "disable"',
      );
    }
    if (cache.success.entriesMax >= entriesMany) return [];
    return adviceOf(
      at,
      `the cache has room for only ${cache.success.entriesMax} answers, so few stay past their TTL`,
      'write a capacity of thousands, for example "success 9984"',
    );
  },
};

/** Rules for a whole configuration, by code. */
const ofWholes: Readonly<Record<string, WholeRule>> = {
  /** One finding is enough: blocks without it are alike. */
  'bind-missing': ({ blocks, deps }) => {
    const unbound = blocks.find(({ written }) => directiveOf(written, 'bind') === undefined);
    if (unbound === undefined) return [];
    return adviceOf(
      unbound.config.at,
      'no bind: the server block listens on every node address, so it is open to the network and ' +
        'fails to start if any of them has the port in use',
      `add "bind ${deps.localAddresses.join(' ')}"`,
    );
  },
  'cache-memory': ({ config, blocks }) => {
    const bytes = cacheBytesOf(config.blocks);
    if (bytes <= manifestCacheBytes) return [];
    const entries = cacheEntriesOf(config.blocks);
    const limit = manifestBytes + bytes - manifestCacheBytes + entries * orderBytesPerEntry;
    return adviceOf(
      firstPlace(blocks, 'cache'),
      `cache: the capacities, ${entries} entries in all, give the cache up to ${inMebibytes(bytes)}; ` +
        `the manifests' memory limit of ${inMebibytes(manifestBytes)} has room for ${inMebibytes(manifestCacheBytes)}`,
      `set the container's memory limit to ${inMebibytes(limit)}, or lower the capacities`,
    );
  },
  'health-missing': ({ config, blocks, deps }) => {
    if (config.health !== null || config.ready !== null) return [];
    const address = blocks[0].config.addresses.find((each) => !isWildcardBind(each)) ?? deps.localAddresses[0];
    return adviceOf(
      blocks[0].config.at,
      'no health or ready: probes cannot check the server',
      `add "health ${formatEndpoint({ address, port: healthPortUsual })}" to one server block`,
    );
  },
  /** On the host's network another program often has the port, and then the start fails. */
  'health-on-all-addresses': ({ config, blocks, deps }) => {
    const usual = config.health?.addresses.filter(({ port }) => port === healthPortUsual) ?? [];
    if (!usual.some(({ address }) => isWildcardBind(address))) return [];
    if (blocks.some((block) => block.config.addresses.some(isWildcardBind))) return [];
    const address = blocks[0].config.addresses[0] ?? deps.localAddresses[0];
    return adviceOf(
      firstPlace(blocks, 'health'),
      `health: port ${healthPortUsual} is often in use on some node address, which makes the start fail`,
      `write "health ${formatEndpoint({ address, port: healthPortUsual })}"`,
    );
  },
  'metrics-port-twice': ({ config, blocks, deps: { metricsAddress } }) => {
    if (metricsAddress === null) return [];
    const isShared = ({ address, port }: Endpoint) =>
      port === metricsAddress.port && addressesOverlap(address, metricsAddress.address);
    return (['health', 'ready'] as const)
      .filter((name) => config[name]?.addresses.some(isShared))
      .flatMap((name) =>
        adviceOf(
          firstPlace(blocks, name),
          `${name}: -metrics-listen-address ${formatEndpoint(metricsAddress)} uses the same port`,
          'change one of them',
        ),
      );
  },
  'reload-missing': ({ config, blocks, deps }) => {
    if (config.reload !== null || deps.reloadWithSignal) return [];
    return adviceOf(
      blocks[0].config.at,
      'no reload: configuration changes wait for SIGHUP or SIGUSR1',
      'add "reload" to one server block',
    );
  },
  'root-missing': ({ blocks }) => {
    if (blocks.some(({ config }) => config.zones.some(({ zone }) => zone === '.'))) return [];
    return adviceOf(
      blocks[0].config.at,
      'no server block for ".": all other names get REFUSED',
      'add a server block ". { … }" that forwards to /etc/resolv.conf',
    );
  },
  'zones-hidden': zonesHidden,
};

type Advising = { readonly advice?: BlockRules };

/** Every code that advice can have. */
export function adviceCodes(plugins: readonly Advising[]): readonly string[] {
  return [...blockRules(plugins).map(([code]) => code), ...Object.keys(ofWholes)].sort();
}

function blockRules(plugins: readonly Advising[]): [string, BlockRule][] {
  return [...Object.entries(ofBlocks), ...plugins.flatMap(({ advice }) => Object.entries(advice ?? {}))];
}

/** All advice on a configuration, which is the meaning of this Corefile; each place and code once. */
export function adviceOn(
  config: Config,
  { blocks }: Corefile,
  deps: AdviceDeps,
  plugins: readonly Advising[],
): Advice[] {
  const pairs = config.blocks.map((block, index) => ({ config: block, written: blocks[index] }));
  const whole = { config, blocks: pairs, deps };
  const said = [
    ...blockRules(plugins).flatMap(([code, rule]) =>
      pairs.flatMap((block) => rule(block, whole).map((saying) => ({ code, ...saying }))),
    ),
    ...Object.entries(ofWholes).flatMap(([code, rule]) => rule(whole).map((saying) => ({ code, ...saying }))),
  ];
  const distinct = new Map<string, Advice>();
  for (const advice of said) {
    const { file, line } = advice.at;
    const key = `${file} ${line} ${advice.code}`;
    // Generated blocks, as from the kube-dns ConfigMap, have no line to change.
    if (line > 0 && !distinct.has(key)) distinct.set(key, advice);
  }
  return [...distinct.values()];
}

function inMebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

function adviceOf(at: Position, message: string, remedy: string): Saying[] {
  return [{ at, message, remedy }];
}

/** As at run time: a listener of ours may be an upstream, unless its queries come back to the block. */
function ownAddress(endpoint: Endpoint, forward: ForwardConfig, block: Advised, whole: Whole): Saying[] {
  const { address, port } = endpoint;
  const remedy = 'write the address of a different resolver';
  const ways = waysOf(whole.config.blocks);
  if (!isOurs(endpoint, ways)) {
    const isPort = whole.blocks.some(({ config }) => config.zones.some((zone) => zone.port === port));
    if (!whole.deps.localAddresses.includes(address) || !isPort) return [];
    const message = `forward: ${address} is a -localip address, but no server block listens there on port ${port}`;
    return adviceOf(forward.at, message, remedy);
  }
  const { zones, isAll } = returning(ways, { block: block.config, forward, endpoint });
  if (zones.length === 0) return [];
  const what = isAll
    ? 'its queries come back to this server block, so it is not used'
    : `names in ${zones.join(' ')} come back to this server block, so it is not used for them`;
  return adviceOf(forward.at, `forward: ${formatEndpoint(endpoint)} is this server's own address, and ${what}`, remedy);
}

/** Upstreams that are written as addresses, without those over TLS. */
function plainEndpoints({ to }: ForwardConfig): Endpoint[] {
  return to.flatMap((target) => (target.kind === 'endpoint' && !target.endpoint.overTls ? [target.endpoint] : []));
}

/** Whether no name that `later` is for can come to it. */
function takesAllOf(earlier: ForwardConfig, later: ForwardConfig): boolean {
  if (earlier.next.length > 0 || earlier.nextOnNodata || !isInZone(later.from, earlier.from)) return false;
  return !earlier.except.some((zone) => isInZone(zone, later.from) || isInZone(later.from, zone));
}

/** Whether `disable` means every zone of the block. */
/** Why the steps of a walk through the cluster's search domains go upstream from this block; null: they do not, or not from here. */
function whyStepsUpstream(block: Advised, { config, deps }: Whole): string | null {
  const { cache, forwards, zones, nxdomainCut } = block.config;
  const domains = clusterZones(config);
  if (zones.some(({ zone }) => domains.has(zone))) {
    if (nxdomainCut === false) return 'nxdomain_cut is off';
    return isEverywhere(block, cache?.denialDisabled ?? null) ? 'denials are not cached' : whyNoCut(block.config);
  }
  const address = deps.clusterDns.endpoint?.address;
  const isForAll = domains.size === 0 && zones.some(({ zone }) => zone === '.');
  const asksCluster = forwards.some((forward) => plainEndpoints(forward).some((each) => each.address === address));
  return isForAll && asksCluster ? 'no server block is for the cluster domain alone' : null;
}

function isEverywhere({ config }: Advised, disabled: readonly string[] | null): boolean {
  return disabled !== null && coversAll(disabled, config.zones);
}

/** A socket on one address takes its packets from one on all addresses, so their zones do not add up. */
function zonesHidden({ blocks }: Whole): readonly Saying[] {
  const said = new Set<string>();
  return blocks.flatMap((block) =>
    listenersOf(block.config).flatMap((place): Saying[] => {
      const at = formatEndpoint(place);
      if (isWildcardBind(place.address) || said.has(at)) return [];
      const here = new Set(blocks.flatMap((each) => zonesAt(each, place)));
      const wide = blocks.find(
        ({ config }) =>
          config.addresses.some((all) => addressCovers(all, place.address)) &&
          config.zones.some(({ zone, port }) => port === place.port && !here.has(zone)),
      );
      if (wide === undefined) return [];
      said.add(at);
      const hidden = wide.config.zones.map(({ zone }) => zone).filter((zone) => !here.has(zone));
      return adviceOf(
        block.config.at,
        `queries to ${at} use only the zones bound to that address, so ` +
          `${hidden.join(' ')} of ${lineOf(wide.config.at, block.config.at)} is not served there`,
        'write the same bind in both server blocks',
      );
    }),
  );
}

function zonesAt({ config }: Advised, { address, port }: Endpoint): string[] {
  if (!config.addresses.includes(address)) return [];
  return config.zones.filter((zone) => zone.port === port).map(({ zone }) => zone);
}

function isWildcardBind(address: string): boolean {
  return address === '::' || address === '0.0.0.0';
}

function firstPlace(blocks: readonly Advised[], name: string): Position {
  return placeOf(blocks.find(({ written }) => directiveOf(written, name)) ?? blocks[0], name);
}

/** Where a directive of the block was written, or its option; without the option the directive, without both the block. */
export function placeOf({ written }: Advised, name: string, option?: string): Position {
  const directive = directiveOf(written, name);
  const inside = directive?.block?.find((line) => line.name === option);
  return inside?.at ?? directive?.at ?? written.at;
}

/** Whether the block's directive has this option. */
export function hasOption({ written }: Advised, name: string, option: string): boolean {
  return directiveOf(written, name)?.block?.some((line) => line.name === option) ?? false;
}

function directiveOf(written: ServerBlock, name: string): Directive | undefined {
  return written.directives.find((directive) => directive.name === name);
}

/** Whether these zones hold all names of the block. */
export function coversAll(zones: readonly string[], all: BlockConfig['zones']): boolean {
  return all.every(({ zone }) => zones.some((wide) => isInZone(zone, wide)));
}
