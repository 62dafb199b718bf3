/**
 * From the configuration to the tables of the spine: one table per listener, one `ServedZone` per zone on it. Pure;
 * stores, upstreams and everything else that lives is put beside it by serving.ts.
 */
import type { AaaaPolicy, BlockConfig, CacheConfig, Config } from '../config/config.js';
import type { Denial } from '../dns/answer.js';
import { isInZone, lowerCaseName, nameToWire } from '../dns/names.js';
import { setU32 } from '../dns/wire.js';
import type { Endpoint } from '../outside/network.js';
import type { Numbering } from './numbering.js';
import {
  aaaaForward,
  aaaaNodata,
  aaaaNxdomain,
  aaaaSmart,
  type CachePolicy,
  type ServedZone,
  seeAll,
  seeLocal,
  seeLocalPrefix,
  type ZoneTable,
  zoneTable,
} from './zones.js';

/** One address and port, and the zones that are served there. */
export interface PlannedListener {
  readonly at: Endpoint;
  /** As the `server` label has it: `dns://169.254.20.10:53`, `dns://:53` for all addresses. */
  readonly server: string;
  readonly table: ZoneTable;
  readonly zones: readonly ServedZone[];
  /** The first block that listens here; its TCP timeouts hold. */
  readonly block: BlockConfig;
}

/** Numbers that outlive a configuration. */
export interface Numberings {
  /** Zones of the cache: zone and port. */
  readonly cache: Numbering;
  /** Zones in the counters: server and zone. */
  readonly counters: Numbering;
}

/** The key of the counters for what no zone is responsible for. */
export const droppedZone = 'dropped';

export function planZones(config: Config, numberings: Numberings): PlannedListener[] {
  const listeners = new Map<string, { at: Endpoint; block: BlockConfig; zones: ServedZone[] }>();
  const owners = new Map<string, BlockConfig[]>();
  config.blocks.forEach((block, blockIndex) => {
    for (const { zone, port } of block.zones) {
      const identity = cacheIdentity(owners, block, `${zone}:${port}`);
      const zoneId = numberings.cache.of(identity);
      const translation = translationOf(block);
      const translatedId = translation === null ? null : numberings.cache.of(`${identity} ${translation}`);
      for (const address of block.addresses) {
        const at = { address, port };
        const server = serverLabel(at);
        const listener = listeners.get(server) ?? { at, block, zones: [] };
        listeners.set(server, listener);
        const ordinal = numberings.counters.of(counterKey(server, zone));
        listener.zones.push(...servedZones({ block, blockIndex, zone, zoneId, translatedId, ordinal }));
      }
    }
  });
  return [...listeners].map(([server, { at, block, zones }]) => {
    const table = zoneTable(zones, numberings.counters.of(counterKey(server, droppedZone)));
    return { at, server, block, zones, table };
  });
}

/** `dns://ADDRESS:PORT` as CoreDNS labels its servers; all addresses are written as none. */
export function serverLabel({ address, port }: Endpoint): string {
  if (address === '::' || address === '0.0.0.0') return `dns://:${port}`;
  return `dns://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** The text under which a zone on a server is numbered in the counters, and its parts again. */
export function counterKey(server: string, zone: string): string {
  return `${server} ${zone}`;
}

export function fromCounterKey(key: string): { server: string; zone: string } {
  const space = key.indexOf(' ');
  return { server: key.slice(0, space), zone: key.slice(space + 1) };
}

/** Two blocks may serve one zone on different addresses; what they keep is not each other's. */
function cacheIdentity(owners: Map<string, BlockConfig[]>, block: BlockConfig, zoneAndPort: string): string {
  const blocks = owners.get(zoneAndPort) ?? [];
  owners.set(zoneAndPort, blocks);
  if (!blocks.includes(block)) blocks.push(block);
  return `${zoneAndPort}#${blocks.indexOf(block)}`;
}

interface ZoneFacts {
  readonly block: BlockConfig;
  readonly blockIndex: number;
  readonly zone: string;
  readonly zoneId: number;
  /** Under which translated answers are kept; null where none are made. */
  readonly translatedId: number | null;
  readonly ordinal: number;
}

/**
 * The zone, and where its `cache` names zones below it, one more for each of those: a name belongs to the longest,
 * so whether it is cached is decided with the zone and costs the packet nothing.
 */
function servedZones(facts: ZoneFacts): ServedZone[] {
  const { block, zone } = facts;
  const { cache } = block;
  if (cache === null) return [served(facts, zone, null)];
  const covered = cache.zones.length === 0 || cache.zones.some((cached) => isInZone(zone, cached));
  const below = covered ? [] : cache.zones.filter((cached) => isInZone(cached, zone));
  return [
    served(facts, zone, covered ? cachePolicy(cache) : null),
    ...below.map((cached) => served(facts, cached, cachePolicy(cache))),
  ];
}

function served(facts: ZoneFacts, name: string, cache: CachePolicy | null): ServedZone {
  const { block, zone, zoneId, translatedId, ordinal, blockIndex } = facts;
  const balance = block.loadbalance === null ? null : block.loadbalance.prefer;
  const own: ServedZone = {
    wire: nameToWire(lowerCaseName(name)),
    ordinal,
    zoneId,
    block: blockIndex,
    aaaa: policyNumber(block.aaaa),
    denial: denialOf(zone, block.cache),
    udpBytes: block.bufsizeBytes,
    handOver: handOverOf(block),
    isGuarded: block.acls.length > 0 || block.local !== null,
    cache,
    flags: block.changing.header.response,
    keepalive: Math.floor(block.timeouts.idleMs / 100),
    nsid: block.nsid === null ? null : Uint8Array.from(Buffer.from(block.nsid)),
    finishing: balance === null ? null : { balance, countsTranslated: false },
    translation: null,
  };
  if (translatedId === null) return own;
  const translated: ServedZone = { ...own, zoneId: translatedId, finishing: { balance, countsTranslated: true } };
  return { ...own, translation: { zone: translated, forIpv4: block.dns64!.forIpv4 } };
}

/** What translated answers of a block are made by, as text; null when it makes none. */
function translationOf({ dns64, aaaa }: BlockConfig): string | null {
  if (dns64 === null || (aaaa !== null && aaaa !== 'forward')) return null;
  const { prefix, translatesAll } = dns64;
  return `dns64 ${prefix.bytes.join('.')}/${prefix.prefixBits}${translatesAll ? ' all' : ''}`;
}

function handOverOf({ log, dnstap, acls, local }: BlockConfig): number {
  if (log.length > 0 || dnstap.length > 0 || acls.length > 0) return seeAll;
  if (local === null) return 0;
  return local.takesPrefix ? seeLocal | seeLocalPrefix : seeLocal;
}

function policyNumber(policy: AaaaPolicy | null): number {
  if (policy === 'nxdomain') return aaaaNxdomain;
  if (policy === 'nodata') return aaaaNodata;
  return policy === 'smart' ? aaaaSmart : aaaaForward;
}

function cachePolicy(cache: CacheConfig): CachePolicy {
  return {
    keepTtl: cache.keepTtl,
    prefetchHits: cache.prefetch?.hits ?? 0,
    prefetchGapMs: cache.prefetch?.gapMs ?? 0,
    prefetchShare: (cache.prefetch?.percent ?? 0) / 100,
    staleMaxMs: cache.stale?.maxAgeMs ?? 0,
    staleAtOnce: cache.stale?.patienceMs === 0,
    staleTtlSeconds: cache.stale?.ttlSeconds ?? 0,
  };
}

/** Without a cache a denial of our own lives as long as the shipped Corefile lets one live. */
const denialTtlSecondsDefault = 5;

/** The SOA that makes our own denials cacheable (RFC 2308 3), with the names CoreDNS's kubernetes plugin uses. */
function denialOf(zone: string, cache: CacheConfig | null): Denial {
  const suffix = zone === '.' ? '.' : `.${zone}`;
  const mname = nameToWire(`ns.dns${suffix}`);
  const rname = nameToWire(`hostmaster${suffix}`);
  const ttlSeconds = cache?.denial.ttlMaxSeconds ?? denialTtlSecondsDefault;
  const soa = new Uint8Array(mname.length + rname.length + 20);
  soa.set(mname);
  soa.set(rname, mname.length);
  [1, 7200, 1800, 86400, ttlSeconds].forEach((number, index) => {
    setU32(soa, mname.length + rname.length + 4 * index, number);
  });
  return { zoneBytes: nameToWire(zone).length, soa, ttlSeconds };
}
