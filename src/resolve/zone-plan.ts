/**
 * From the configuration to the spine's tables: one table per listener, one `ServedZone` per zone on it; and the
 * numbers of zones, which stay the same over reloads so that their cached answers and counts are found again. Pure;
 * generation.ts adds what has state.
 */
import { createHash } from 'node:crypto';
import { clientBytes, clientKinds, kindOf } from '../config/client-kinds.js';
import { type BlockConfig, type CacheConfig, type Config, seeAll } from '../config/config.js';
import { directUpstreamOf } from '../config/direct.js';
import { clusterZones, isReverseZone, whyNoCut } from '../config/nxdomain-cut.js';
import type { Denial } from '../dns/answer.js';
import { isInZone, lowerCaseName, nameToWire } from '../dns/names.js';
import { setU32 } from '../dns/wire.js';
import { idleNumbersKept, zoneIdsMax } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import {
  aaaaForward,
  aaaaNodata,
  aaaaNxdomain,
  aaaaSmart,
  type CachePolicy,
  type DirectAsk,
  type ServedZone,
  type ZoneTable,
  zoneTable,
} from './zones.js';

export interface PlannedListener {
  readonly at: Endpoint;
  /** The `server` label: `dns://169.254.20.10:53`, `dns://:53` for all addresses. */
  readonly server: string;
  /** For workers, and for the main thread where no client's answers are kept apart. */
  readonly table: ZoneTable;
  /** The main thread's table for the client with this address. */
  tableOf(client: string): ZoneTable;
  readonly tables: readonly ZoneTable[];
  readonly zones: readonly ServedZone[];
  /** The first block that listens here; its TCP timeouts apply. */
  readonly block: BlockConfig;
}

interface Numberings {
  /** By zone and port. */
  readonly cache: Numbering;
  /** By server and zone. */
  readonly counters: Pick<Holding, 'of'>;
}

/** The counters' key for queries in no zone. */
const droppedZone = 'dropped';

export function planZones(config: Config, numberings: Numberings): PlannedListener[] {
  const listeners = new Map<string, { at: Endpoint; block: BlockConfig; zones: PlannedZone[] }>();
  const owners = new Map<string, BlockConfig[]>();
  const domains = clusterZones(config);
  config.blocks.forEach((block, blockIndex) => {
    const asks = directAskOf(block);
    for (const { zone, port } of block.zones) {
      const identity = cacheIdentity(owners, block, `${zone}:${port}`);
      for (const address of block.addresses) {
        const at = { address, port };
        const server = serverLabel(at);
        const listener = listeners.get(server) ?? { at, block, zones: [] };
        listeners.set(server, listener);
        const ordinal = numberings.counters.of(`${server} ${zone}`);
        const isCut = whyNoCut(block) === null && (block.nxdomainCut ?? domains.has(zone));
        listener.zones.push({ block, blockIndex, asks, zone, identity, ordinal, isCut });
      }
    }
  });
  const views = viewsOf([...listeners.values()].map(({ zones }) => zones));
  return [...listeners].map(([server, { at, block, zones }]) => {
    const dropped = numberings.counters.of(`${server} ${droppedZone}`);
    const viewed = zones.map((zone) => ({ ...zone, identity: views.get(zone)! }));
    return { at, server, block, ...tablesOf(viewed, dropped, numberings) };
  });
}

/**
 * The identity of each zone in the cache. An alias's target may be in one block on this listener and in another on
 * that: a block that asks other names has one identity per listener where its listeners serve different zones.
 */
function viewsOf(listeners: readonly (readonly PlannedZone[])[]): ReadonlyMap<PlannedZone, string> {
  const seen = new Map<BlockConfig, Set<string>>();
  const viewed = listeners.map((zones) => {
    const identities = zones.map(({ identity }) => identity).sort();
    const view = digestOf(identities.join(' '));
    for (const { block } of zones) seen.set(block, (seen.get(block) ?? new Set()).add(view));
    return { zones, view };
  });
  return new Map(
    viewed.flatMap(({ zones, view }) =>
      zones.map((planned) => {
        const { block, identity } = planned;
        return [
          planned,
          block.traits.asksOtherNames && seen.get(block)!.size > 1 ? `${identity} in ${view}` : identity,
        ];
      }),
    ),
  );
}

/** 64 bits of SHA-256 in hexadecimal. */
export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

type Tables = Pick<PlannedListener, 'table' | 'tableOf' | 'tables' | 'zones'>;

/**
 * One table for all clients. But where access rules treat clients differently and answers may contain other names'
 * records, one for each kind of clients, so that they do not share cached answers.
 */
function tablesOf(planned: readonly PlannedZone[], dropped: number, { cache }: Numberings): Tables {
  const access = [...new Set(planned.map(({ block }) => block))].flatMap(({ traits }) => traits.access);
  const isApart = ({ block }: PlannedZone): boolean => access.length > 0 && block.traits.asksOtherNames;
  const isAnyApart = planned.some(isApart);
  const shared = new Map(planned.map((each) => [each, servedZones(each, cache, each.identity, isApart(each))]));
  const table = zoneTable([...shared.values()].flat(), dropped);
  if (!isAnyApart) return { table, tables: [table], tableOf: () => table, zones: [...shared.values()].flat() };
  const rules = JSON.stringify(access.map(({ zones, rules }) => [zones, rules]));
  const ofKinds = clientKinds(access).map((kind) => {
    const digest = digestOf(`${rules} ${kind}`);
    const zones = planned.flatMap((each) =>
      isApart(each) ? servedZones(each, cache, `${each.identity} acl ${digest}`, true) : shared.get(each)!,
    );
    return { kind, zones, table: zoneTable(zones, dropped) };
  });
  const byKind = new Map(ofKinds.map((each) => [each.kind, each.table]));
  return {
    table,
    tables: [table, ...byKind.values()],
    tableOf: (client) => byKind.get(kindOf(access, clientBytes(client)))!,
    zones: [...new Set([...shared.values(), ...ofKinds.map(({ zones }) => zones)].flat())],
  };
}

/** `dns://ADDRESS:PORT` as CoreDNS labels its servers; without the address if it is unspecified. */
export function serverLabel({ address, port }: Endpoint): string {
  if (address === '::' || address === '0.0.0.0') return `dns://:${port}`;
  return `dns://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** The parts of a text that numbers a zone in the counters. */
export function fromCounterKey(key: string): { server: string; zone: string } {
  const space = key.indexOf(' ');
  return { server: key.slice(0, space), zone: key.slice(space + 1) };
}

/** Two blocks may serve one zone on different addresses; they do not share cached answers. */
function cacheIdentity(owners: Map<string, BlockConfig[]>, block: BlockConfig, zoneAndPort: string): string {
  const blocks = owners.get(zoneAndPort) ?? [];
  owners.set(zoneAndPort, blocks);
  if (!blocks.includes(block)) blocks.push(block);
  return `${zoneAndPort}#${blocks.indexOf(block)}`;
}

interface PlannedZone {
  readonly block: BlockConfig;
  readonly blockIndex: number;
  readonly asks: DirectAsk | null;
  readonly zone: string;
  /** Its text for `Numbering`. */
  readonly identity: string;
  readonly ordinal: number;
  readonly isCut: boolean;
}

interface ZoneNumbers {
  readonly zoneId: number;
  /** For translated answers; null without `dns64`. */
  readonly translatedId: number | null;
  /** The zone has a table per kind of clients, so workers defer its queries. */
  readonly isApart: boolean;
}

/**
 * The zone, and one more for each zone below it that `cache` lists: a name belongs to the longest, so the zone lookup
 * also decides about caching, at no cost for the packet.
 */
function servedZones(planned: PlannedZone, numbering: Numbering, identity: string, isApart: boolean): ServedZone[] {
  const { block, zone } = planned;
  const { cache } = block;
  const { translation } = block.traits;
  const translatedId = translation === null ? null : numbering.of(`${identity} ${translation.key}`);
  const numbers = { zoneId: numbering.of(identity), translatedId, isApart };
  const served = (name: string, policy: CachePolicy | null) => servedZone(planned, numbers, name, policy);
  if (cache === null) return [served(zone, null)];
  const covered = cache.zones.length === 0 || cache.zones.some((cached) => isInZone(zone, cached));
  const below = covered ? [] : cache.zones.filter((cached) => isInZone(cached, zone));
  return [
    served(zone, covered ? cachePolicy(cache) : null),
    ...below.map((cached) => served(cached, cachePolicy(cache))),
  ];
}

function servedZone(planned: PlannedZone, numbers: ZoneNumbers, name: string, cache: CachePolicy | null): ServedZone {
  const { block, zone, ordinal, blockIndex, asks, isCut } = planned;
  const { zoneId, translatedId, isApart } = numbers;
  const { traits } = block;
  const balance = traits.prefers;
  const own: ServedZone = {
    wire: nameToWire(lowerCaseName(name)),
    ordinal,
    zoneId,
    block: blockIndex,
    aaaa: aaaaPolicies[block.aaaa ?? 'forward'],
    denial: denialOf(zone, block.cache),
    udpBytes: block.bufsizeBytes,
    defers: isApart ? seeAll : deferOf(block),
    isGuarded: traits.judges,
    cache,
    flags: traits.responseFlags,
    keepalive: Math.floor(block.timeouts.idleMs / 100),
    serverId: traits.serverId === null ? null : Uint8Array.from(Buffer.from(traits.serverId)),
    finishing: balance === null ? null : { balance, countsTranslated: false },
    translation: null,
    asks: isApart || cache === null ? null : asks,
    isForKernel: !isApart && isForKernel(block),
    isCut: !isApart && cache !== null && isCut,
    learnsCuts: !isApart && cache !== null && isCut && zone !== '.' && !isReverseZone(zone),
  };
  if (translatedId === null) return own;
  const translated: ServedZone = { ...own, zoneId: translatedId, finishing: { balance, countsTranslated: true } };
  return { ...own, translation: { zone: translated, forIpv4: traits.translation!.forIpv4 } };
}

/** A plugin that forgot that its traits do not go with it is overruled. */
function isForKernel({ leavesHits, cache, log, dnstap, traits }: BlockConfig): boolean {
  const { sees, judges, access, prefers, translation } = traits;
  if (!leavesHits || cache === null || cache.keepTtl || log.length > 0 || dnstap.length > 0) return false;
  return sees === 0 && !judges && access.length === 0 && prefers === null && translation === null;
}

function directAskOf(block: BlockConfig): DirectAsk | null {
  const upstream = directUpstreamOf(block);
  if (upstream === null || block.cache === null) return null;
  const { servfailMs, success, denial } = block.cache;
  return { upstream, mayAsk: new Int32Array(new SharedArrayBuffer(4)), policy: { servfailMs, success, denial } };
}

function deferOf({ log, dnstap, traits }: BlockConfig): number {
  return log.length > 0 || dnstap.length > 0 ? seeAll : traits.sees;
}

const aaaaPolicies = { nxdomain: aaaaNxdomain, nodata: aaaaNodata, smart: aaaaSmart, forward: aaaaForward } as const;

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

/** Without a cache: as long as in the shipped Corefile. */
const denialTtlSecondsDefault = 5;

/** The SOA that makes our own denials cacheable (RFC 2308 3), with the names of CoreDNS's kubernetes plugin. */
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

export class Numbering {
  readonly #numbers = new Map<string, number>();

  /** The number of this text; throws after `zoneIdsMax` different ones in this process. */
  of(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const next = this.#numbers.size;
    assertRoom(next);
    this.#numbers.set(text, next);
    return next;
  }

  get size(): number {
    return this.#numbers.size;
  }

  /** By number. */
  texts(): readonly string[] {
    return [...this.#numbers.keys()];
  }
}

/** The numbers that one configuration uses; they keep their meaning until it releases them. */
export interface Holding {
  /** The number of this text; throws when too many are held. */
  of(text: string): number;
  /** Releases all numbers, once. `isUnused` is asked later: whether what was released by now is out of use. */
  release(isUnused: () => boolean): void;
}

interface NumberedEntry {
  text: string;
  readonly number: number;
  /** Configurations that hold it. */
  holders: number;
  /** From the last release. */
  isUnused: () => boolean;
}

/** Reuses the numbers that no configuration needs, so it grows with the zones in force and not with the reloads. */
export class ReusableNumbering {
  readonly #entries = new Map<string, NumberedEntry>();
  readonly #byNumber: NumberedEntry[] = [];
  /** Entries without holders, the longest idle first. A zone that returns meanwhile finds its number and counts. */
  readonly #idle = new Set<NumberedEntry>();
  readonly #clear: (number: number) => void;

  /** `clear` is called before a number gets another text: its old counts must not show. */
  constructor(clear: (number: number) => void) {
    this.#clear = clear;
  }

  /** One more than the highest number. */
  get size(): number {
    return this.#byNumber.length;
  }

  textOf(number: number): string {
    return this.#byNumber[number].text;
  }

  hold(): Holding {
    let held: Set<NumberedEntry> | null = new Set();
    return {
      of: (text) => {
        if (held === null) throw new Error('broken invariant: numbers are used after their release.');
        const entry = this.#entries.get(text) ?? this.#newEntry(text);
        if (!held.has(entry)) {
          held.add(entry);
          entry.holders++;
          this.#idle.delete(entry);
        }
        return entry.number;
      },
      release: (isUnused) => {
        for (const entry of held ?? []) this.#release(entry, isUnused);
        held = null;
      },
    };
  }

  #release(entry: NumberedEntry, isUnused: () => boolean): void {
    entry.holders--;
    entry.isUnused = isUnused;
    if (entry.holders === 0) this.#idle.add(entry);
  }

  #newEntry(text: string): NumberedEntry {
    const entry = this.#takeIdle(text) ?? this.#append(text);
    this.#entries.set(text, entry);
    return entry;
  }

  /** The longest idle entry; null while few are idle, or its number may still be counted under. */
  #takeIdle(text: string): NumberedEntry | null {
    if (this.#idle.size <= idleNumbersKept) return null;
    const [longest] = this.#idle;
    if (!longest.isUnused()) return null;
    this.#clear(longest.number);
    this.#entries.delete(longest.text);
    longest.text = text;
    return longest;
  }

  #append(text: string): NumberedEntry {
    const number = this.#byNumber.length;
    assertRoom(number);
    const entry = { text, number, holders: 0, isUnused: () => true };
    this.#byNumber.push(entry);
    return entry;
  }
}

function assertRoom(number: number): void {
  if (number < zoneIdsMax) return;
  throw new Error(`more than ${zoneIdsMax} different zones were served; restart the process.`);
}
