/** `zerohop lookup`: what the cache has of a name, and what would happen to a query for it, as a value and as text. */
import {
  type BlockRef,
  keyCheckingDisabled,
  keyDnssecOk,
  kindDenial,
  kindServfail,
  kindSuccess,
} from '../cache/blocks.js';
import { typeNumber } from '../dns/names.js';
import { type RecordText, recordTexts } from '../dns/record-text.js';
import { lookupRecordsMax } from '../limits.js';
import type { ServedZone } from '../resolve/zones.js';
import type { ListenerAnswer } from './ask-listener.js';
import { ControlError, type ControlRequest } from './protocol.js';
import {
  type BlockItem,
  blockItem,
  entryRcode,
  type Outlook,
  plainQuery,
  prospectOf,
  type Serving,
  type UpstreamItem,
  upstreamsFor,
  wireQuestion,
  zoneName,
} from './serving.js';
import { colored, columnsOf, latencyText, printable, quantity, spanText, type TextStyle, wrappedText } from './text.js';

interface LookupArguments {
  readonly name: string;
  /** `A`, `TYPE65`. */
  readonly type: string;
  readonly question: Uint8Array;
}

/** Throws a ControlError for what is no name or type. */
export function readLookup({ name, type }: ControlRequest['arguments']): LookupArguments {
  const number = typeof type === 'string' ? typeNumber(type) : undefined;
  const question = typeof name !== 'string' || number === undefined ? null : wireQuestion(name.toLowerCase(), number);
  if (question === null) throw new ControlError('usage', 'lookup needs the name and the type of a question.');
  return { name: name as string, type: type as string, question };
}

/** One cached answer. */
interface EntryItem {
  /** For clients that send DO, CD; both false is what pods send. */
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  /** Made for IPv6-only clients by dns64. */
  readonly isTranslated: boolean;
  readonly rcode: string;
  readonly kind: 'success' | 'denial' | 'servfail';
  /** 0 once expired. */
  readonly ttlSeconds: number;
  readonly lifetimeSeconds: number;
  readonly isStale: boolean;
  /** How long it may still be given though expired; 0: not. */
  readonly staleSeconds: number;
  /** RFC 3339. */
  readonly storedAt: string;
  readonly ageSeconds: number;
  /** The upstream that sent it; null: a plugin made it, or another instance brought it and there are several. */
  readonly from: string | null;
  /** Somebody has asked for it since it was stored. */
  readonly wasHit: boolean;
  /** Hits in a row, up to those that a refresh needs; null where `prefetch` is off and nobody counts. */
  readonly hits: number | null;
  readonly isInKernel: boolean;
  readonly bytes: number;
  /** Some of its records, with the TTLs that a client would get. */
  readonly records: readonly RecordText[];
  readonly moreRecords: number;
}

/** A zone that has the name, on the listeners where its answers are the same. */
interface HomeItem {
  readonly zone: string;
  readonly listeners: readonly string[];
  readonly block: BlockItem;
  readonly isCached: boolean;
  readonly outlook: Outlook;
  /** What plugins of the block may do to the query. */
  readonly plugins: readonly ('may answer it' | 'may ask other names' | 'may refuse it')[];
  readonly upstreams: readonly UpstreamItem[];
  readonly entries: readonly EntryItem[];
}

export interface LookupItem {
  readonly name: string;
  readonly type: string;
  /** Empty: no server block has the name, and queries are refused. */
  readonly homes: readonly HomeItem[];
  /** Of the first listener that has it, for `-ask`. */
  readonly ask: { readonly address: string; readonly port: number } | null;
  /** The answer that the command has got with `-ask`. */
  readonly asked?: ListenerAnswer;
}

interface LookupParts extends Serving {
  readonly wallMs: number;
  /** The upstream that sent the answer, where that was noted. */
  sourceOf(ref: BlockRef): string | null;
  /** Whether the kernel gives this entry. */
  isInKernel(ref: BlockRef): boolean;
}

export function lookupItem(parts: LookupParts, { name, type, question }: LookupArguments): LookupItem {
  const homes = new Map<string, { readonly zone: ServedZone; readonly item: HomeItem; listeners: string[] }>();
  let ask: LookupItem['ask'] = null;
  for (const { at, server, tables } of parts.listeners) {
    for (const table of tables) {
      const { zone, outlook } = prospectOf(parts, table, question, 0);
      if (zone === null) continue;
      ask ??= at;
      const key = `${zone.block} ${zone.zoneId} ${zoneName(zone)}`;
      const listeners = homes.get(key)?.listeners ?? [];
      if (!listeners.includes(server)) listeners.push(server);
      homes.set(key, { zone, listeners, item: homeItem(parts, { zone, outlook, listeners }, question) });
    }
  }
  return { name, type, homes: [...homes.values()].map(({ item }) => item), ask };
}

function homeItem(
  parts: LookupParts,
  { zone, outlook, listeners }: { readonly zone: ServedZone; readonly outlook: Outlook; readonly listeners: string[] },
  question: Uint8Array,
): HomeItem {
  const block = parts.blocks[zone.block];
  const { makesAnswers, asksOtherNames, judges } = block.config.traits;
  const upstreams = upstreamsFor(block, question);
  const deeds = [
    ...(makesAnswers ? ['may answer it' as const] : []),
    ...(asksOtherNames ? ['may ask other names' as const] : []),
    ...(judges ? ['may refuse it' as const] : []),
  ];
  const onlyFrom = !makesAnswers && upstreams.length === 1 ? upstreams[0].address : null;
  return {
    zone: zoneName(zone),
    listeners,
    block: blockItem(block.config),
    isCached: zone.cache !== null,
    outlook,
    plugins: deeds,
    upstreams,
    entries: entriesOf(parts, zone, question, onlyFrom),
  };
}

const allKeys = [0, keyDnssecOk, keyCheckingDisabled, keyDnssecOk | keyCheckingDisabled];

function entriesOf(parts: LookupParts, zone: ServedZone, question: Uint8Array, onlyFrom: string | null): EntryItem[] {
  if (zone.cache === null) return [];
  const { packet, query } = plainQuery(question);
  return [zone, ...(zone.translation === null ? [] : [zone.translation.zone])].flatMap((each) =>
    allKeys.flatMap((key) => {
      const ref = parts.cached.find(packet, query.questionEnd, each.zoneId, key);
      return ref === 0
        ? []
        : [entryItem(parts, ref, each, { from: parts.sourceOf(ref) ?? onlyFrom, isTranslated: each !== zone })];
    }),
  );
}

const kindNames = { [kindSuccess]: 'success', [kindDenial]: 'denial', [kindServfail]: 'servfail' } as const;

function entryItem(
  { cached, nowMs, wallMs, isInKernel }: LookupParts,
  ref: BlockRef,
  { cache }: ServedZone,
  of: Pick<EntryItem, 'from' | 'isTranslated'>,
): EntryItem {
  const policy = cache!;
  const [storedAtMs, expiresAtMs, kind] = [cached.storedAtMs(ref), cached.expiresAtMs(ref), cached.kind(ref)];
  const isStale = nowMs >= expiresAtMs;
  const staleMs = kind === kindServfail ? 0 : Math.max(0, expiresAtMs + policy.staleMaxMs - nowMs);
  const ageSeconds = Math.max(0, (nowMs - storedAtMs) / 1_000);
  const ttlDownSeconds = policy.keepTtl ? 0 : Math.floor(ageSeconds);
  const records = recordTexts(cached.message(ref), lookupRecordsMax).map((record) => {
    const left = Math.max(0, record.ttlSeconds - ttlDownSeconds);
    return { ...record, ttlSeconds: isStale ? policy.staleTtlSeconds : left };
  });
  return {
    dnssecOk: (cached.key(ref) & keyDnssecOk) !== 0,
    checkingDisabled: (cached.key(ref) & keyCheckingDisabled) !== 0,
    isTranslated: of.isTranslated,
    rcode: entryRcode(cached, ref),
    kind: kindNames[kind],
    ttlSeconds: Math.max(0, Math.ceil((expiresAtMs - nowMs) / 1_000)),
    lifetimeSeconds: Math.round(cached.lifetimeMs(ref) / 1_000),
    isStale,
    staleSeconds: isStale ? Math.floor(staleMs / 1_000) : 0,
    storedAt: new Date(wallMs - (nowMs - storedAtMs)).toISOString(),
    ageSeconds: Math.round(ageSeconds),
    from: of.from,
    wasHit: cached.wasHit(ref),
    hits: policy.prefetchHits > 0 ? cached.hits(ref) : null,
    isInKernel: isInKernel(ref),
    bytes: cached.messageBytes(ref),
    records,
    moreRecords: Math.max(0, cached.records(ref) - records.length),
  };
}

const outlookTexts: Readonly<Record<Outlook, string>> = {
  cache: 'is answered from the cache',
  stale: 'gets the expired answer at once, and a refresh goes upstream',
  policy: 'is answered by the AAAA policy, without asking',
  cut: 'is denied, as a name above it does not exist (nxdomain_cut)',
  upstream: 'goes upstream',
  plugins: 'goes to the plugins of the block, and no further',
  refused: 'is refused',
};

/** For people; without the last line end. */
export function lookupText({ name, type, homes, asked }: LookupItem, style: TextStyle): string {
  const heading = colored(`${printable(name)} ${printable(type)}`, 'bold', style);
  if (homes.length === 0) {
    return `${heading}\n${wrappedText('  no server block has this name: queries for it get REFUSED.', { indent: 2 })}`;
  }
  const lines = asked === undefined ? [] : [listenerAnswerText(asked, style)];
  return [heading, ...homes.map((home) => homeText(home, style)), ...lines].join('\n');
}

function homeText(home: HomeItem, style: TextStyle): string {
  const { block, zone, listeners, isCached, entries, upstreams, plugins, outlook } = home;
  const rows = [
    ['block', printable(`${block.at}, zone ${zone}`)],
    ['at', printable(listeners.join(', '))],
    ...(block.aaaa === 'forward' ? [] : [['AAAA', printable(block.aaaa)]]),
    ['a query', outlookTexts[outlook]],
    ...(plugins.length === 0 ? [] : [['plugins', `of the block ${plugins.join(', ')}`]]),
    ...(upstreams.length === 0 && outlook !== 'upstream' ? [] : [['upstream', upstreamsWords(upstreams)]]),
    ...(isCached ? [] : [['cache', 'off for this zone']]),
    ...(isCached && entries.length === 0 ? [['cache', 'nothing cached']] : []),
  ];
  return [labelledRows(rows), ...entries.map((entry) => entryText(entry, style))].join('\n');
}

/** A resolv.conf may be missing or empty. */
function upstreamsWords(upstreams: readonly UpstreamItem[]): string {
  return upstreams.length === 0 ? 'none is known now' : upstreams.map(upstreamWords).join(', ');
}

function upstreamWords({ address, state, roundTripMs }: UpstreamItem): string {
  const rtt = roundTripMs === null ? '' : `, ${latencyText(roundTripMs)}`;
  return `${printable(address)} (${state}${rtt})`;
}

/** Labels in a column of their own; what follows is wrapped beside them. */
export function labelledRows(rows: readonly (readonly string[])[]): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows
    .map(([label, text]) => wrappedText(`  ${label.padEnd(width)}  ${text}`, { indent: width + 4 }))
    .join('\n');
}

function entryText(entry: EntryItem, style: TextStyle): string {
  const { rcode, isStale, ttlSeconds, staleSeconds, ageSeconds, lifetimeSeconds, from, records, moreRecords } = entry;
  const [age, lifetime] = [ageSeconds, lifetimeSeconds].map(spanText);
  const left = isStale
    ? colored(`expired${staleSeconds > 0 ? `, usable for ${spanText(staleSeconds)} more` : ''}`, 'yellow', style)
    : colored(`${spanText(ttlSeconds)} left`, 'green', style);
  const variant = variantWords(entry);
  const use = [
    entry.wasHit ? 'asked for since' : 'not asked for since',
    ...(entry.hits === null ? [] : [`${quantity(entry.hits, 'hit')} in a row`]),
    ...(entry.isInKernel ? ['given by the kernel too'] : []),
  ].join(', ');
  const source = from === null ? '' : ` from ${printable(from)}`;
  return [
    `  cached${variant}: ${colored(rcode, rcode === 'NOERROR' ? 'green' : 'yellow', style)}, ${left} of ${lifetime}`,
    `    stored ${age} ago${source}, ${use}`,
    ...recordLines(records),
    ...(moreRecords > 0 ? [`    and ${quantity(moreRecords, 'more record', 'more records')}`] : []),
  ].join('\n');
}

function variantWords({ dnssecOk, checkingDisabled, isTranslated }: EntryItem): string {
  const words = [...(dnssecOk ? ['DO'] : []), ...(checkingDisabled ? ['CD'] : []), ...(isTranslated ? ['dns64'] : [])];
  return words.length === 0 ? '' : ` for queries with ${words.join(' and ')}`;
}

/** Longer than the screen is wide is what a record's data may be; it is on lines of its own. */
function recordLines(records: readonly RecordText[]): string[] {
  const rows = records.map(({ name, ttlSeconds, type, data }) => [name, `${ttlSeconds}`, type, data].map(printable));
  return columnsOf(rows, 4).flatMap((line) => foldedLine(line, 6));
}

/** In lines of 80 columns at most, also without blanks. */
export function foldedLine(line: string, indent: number): string[] {
  const lines: string[] = [];
  let rest = line;
  while (rest.length > 80) {
    lines.push(rest.slice(0, 80));
    rest = ' '.repeat(indent) + rest.slice(80);
  }
  return [...lines, rest];
}

/** What `-ask` got. */
function listenerAnswerText(answer: ListenerAnswer, style: TextStyle): string {
  if (!answer.ok) return `  asked: ${colored(printable(answer.sentence), 'red', style)}`;
  const { rcode, tookMs, transport, server, records } = answer;
  const said = colored(printable(rcode), rcode === 'NOERROR' ? 'green' : 'yellow', style);
  const how = `asked ${printable(server)} over ${transport.toUpperCase()}`;
  return [`  ${how}: ${said} after ${latencyText(tookMs)}`, ...recordLines(records)].join('\n');
}
