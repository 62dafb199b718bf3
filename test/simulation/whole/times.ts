/**
 * How long what an upstream said may be used: its TTLs as the configuration limits them, counted down from the
 * moment it arrived, and for how long after that it may be given stale. The rules of RFC 2181 8, RFC 2308 5 and
 * RFC 8767 4 in plain sums, apart from the program's own.
 */
import type { BlockConfig, CacheConfig, Config } from '../../../src/config/config.js';
import { types, type WireMessage, type WireRecord } from '../../conformance/message.js';
import type { Statement } from './said.js';

export interface Timely {
  readonly asked: WireMessage;
  readonly answer: WireMessage;
  readonly nowMs: number;
  /** As it is now. */
  readonly block: BlockConfig;
  /** As it may have been when the question was asked. */
  readonly givers: readonly BlockConfig[];
  readonly statement: Statement;
}

/** A failover answer, one that was cut, and a denial beside an upstream that was asked first, wait for a better one. */
const putAsideMs = 4_700;
const startedSeconds = [1, 2, 3, 4, 5];

/** Whether it may have been kept back until it was clear that there is no better one. */
export function mayBePutAside(block: BlockConfig, statement: Statement): boolean {
  return statement.isCut || block.forwards.some(mayPutAside);
}

/** How long it may be given as fresh, by each configuration that may have kept it; 0: it was not to be kept. */
export function lifetimesMs(statement: Statement, now: BlockConfig): number[] {
  return caches(statement, now).map((cache) => lifetimeMs(statement, cache));
}

/** How long a failure may have been kept. */
export function servfailMs(statement: Statement, now: BlockConfig): number {
  return Math.max(...caches(statement, now).map((cache) => cache?.servfailMs ?? 0));
}

/** Null: it may be given as fresh, and has the TTLs that are left. */
export function whyNotFresh({ answer, nowMs, block, givers, statement }: Timely): string | null {
  if (staleCodes(answer).length > 0) return 'it says that it is stale';
  const ageMs = nowMs - statement.arrivedAtMs!;
  let why = '';
  for (const cache of caches(statement, block)) {
    const isAside = [block, ...givers].some((one) => mayBePutAside(one, statement));
    const leftMs = lifetimeMs(statement, cache) + (isAside ? boundedMs(statement, cache) : 0) - ageMs;
    const isMoment = ageMs === 0 || (ageMs <= putAsideMs && isAside);
    if (leftMs <= 0 && !isMoment) {
      why = `statement ${statement.number} came ${ageMs} ms ago and is past its time`;
      continue;
    }
    const ages = givers.map(({ cache }) => (cache?.keepTtl ? 0 : Math.floor(ageMs / 1000)));
    if (isMoment) ages.push(0);
    // Of the time for which it was put aside a started second counts.
    if (isAside) ages.push(...startedSeconds.flatMap((held) => ages.map((age) => age + held)));
    if (isAside && boundedMs(statement, cache) > 0) {
      ages.push(...startedSeconds.flatMap((held) => ages.map((age) => Math.max(0, age - held))));
    }
    const wrong = answer.records.find((record) => {
      const same = sameRecord(record, answer, statement);
      const isAged = isAside && cache === null && same === soaOf(statement);
      // Without a cache records pass as they came; but one that was put aside counts down from what it lasts.
      const first = isAged ? Math.min(readTtl(same.ttl), minimumOf(same)) : ttlAtFirst(same, statement, cache);
      // Given as fresh, no record is past its TTL.
      if (!isMoment && ageMs >= first * 1000 + (isAside ? boundedMs(statement, cache) : 0)) return true;
      if (isAged && record.ttl === same.ttl) return false;
      return !ages.some((ageSeconds) => record.ttl === Math.max(0, first - ageSeconds));
    });
    if (wrong === undefined) return null;
    why = `a TTL of ${wrong.ttl} s for ${wrong.dataText}, ${ageMs} ms after statement ${statement.number}`;
  }
  return why;
}

/** What a file or a name stands for may be several upstreams. */
function mayPutAside({ failover, to }: BlockConfig['forwards'][number]): boolean {
  return failover.length > 0 || to.length > 1 || to.some(({ kind }) => kind !== 'endpoint');
}

/** Null: it is past its time, may be given stale, and is marked as such. */
export function whyNotStale({ asked, answer, nowMs, block, givers, statement }: Timely): string | null {
  const stales = givers.flatMap(({ cache }) => cache?.stale ?? []);
  const stale = stales.find(({ ttlSeconds }) => answer.records.every(({ ttl }) => ttl === ttlSeconds));
  if (stale === undefined) return `its TTL is none of ${stales.map(({ ttlSeconds }) => ttlSeconds)}`;
  const codes = staleCodes(answer);
  const expected = answer.rcode === 3 ? 19 : 3;
  if (asked.opt !== null && (codes.length !== 1 || codes[0] !== expected)) return `no extended error ${expected}`;
  const ageMs = nowMs - statement.arrivedAtMs!;
  const maxAgeMs = Math.max(...stales.map((each) => each.maxAgeMs));
  let why = '';
  for (const cache of caches(statement, block)) {
    const expiredMs = ageMs - lifetimeMs(statement, cache);
    const isAside = [block, ...givers].some((one) => mayBePutAside(one, statement));
    const earlyMs = isAside ? 1_000 : 0;
    const lateMs = isAside ? boundedMs(statement, cache) : 0;
    if (lifetimeMs(statement, cache) > 0 && expiredMs >= -earlyMs && expiredMs < maxAgeMs + lateMs) return null;
    why = `it expired ${expiredMs} ms ago`;
  }
  return why;
}

/** The cache settings by which it may have been kept; null is no cache. */
function caches(statement: Statement, now: BlockConfig): (CacheConfig | null)[] {
  const zones = new Set(now.zones.map(({ zone }) => zone));
  const blocks = statement.configs.flatMap((config: Config) =>
    config.blocks.filter((block) => block.zones.some(({ zone }) => zones.has(zone))),
  );
  return [now, ...blocks].map(({ cache }) => cache);
}

function lifetimeMs(statement: Statement, cache: CacheConfig | null): number {
  if (cache === null || !statement.recursionDesired || statement.isTruncated) return 0;
  if ((statement.rcode !== 0 && statement.rcode !== 3) || (denies(statement) && soaOf(statement) === undefined))
    return 0;
  const needed = neededOf(statement);
  // A positive answer can do without the names of servers.
  const isSpared = !denies(statement) && needed.every(({ section, type }) => section === 'answer' || type === types.NS);
  const lasting = needed.filter(({ section }) => section === 'answer' || !isSpared);
  return Math.max(0, Math.min(...lasting.map((record) => lastsSeconds(record, statement, cache)))) * 1000;
}

/**
 * How much longer an answer that was put aside may last, because its denial is raised to the operator's least TTL or capped at
 * the greatest: these count from when the answer was cached, as they say nothing of what the upstream meant.
 */
function boundedMs(statement: Statement, cache: CacheConfig | null): number {
  const soa = soaOf(statement);
  if (cache === null || soa === undefined || !denies(statement)) return 0;
  const own = Math.min(readTtl(soa.ttl), minimumOf(soa));
  const { ttlMinSeconds, ttlMaxSeconds } = cache.denial;
  return own - startedSeconds.length < ttlMinSeconds || own > ttlMaxSeconds ? putAsideMs : 0;
}

/** How long one record is good, from when it came: its TTL, and what it signs no longer than the signature. */
function lastsSeconds(record: WireRecord, statement: Statement, cache: CacheConfig): number {
  const ttl = denies(statement)
    ? record === soaOf(statement)
      ? negativeTtl(record, cache)
      : clamp(readTtl(record.ttl), cache.denial.ttlMinSeconds, cache.denial.ttlMaxSeconds)
    : positiveTtl(record, cache);
  if (record.type !== types.RRSIG) return ttl;
  const arrivedWallMs = statement.arrivedAtMs! + statement.wallAheadMs;
  return Math.min(ttl, record.data.readUInt32BE(8) - Math.floor(arrivedWallMs / 1000));
}

/** The TTL with which a record of a statement is first given. */
function ttlAtFirst(record: WireRecord, statement: Statement, cache: CacheConfig | null): number {
  if (cache === null) return record.ttl;
  const soa = soaOf(statement);
  if (!denies(statement) || soa === undefined) return positiveTtl(record, cache);
  // It tells how long the denial may be kept.
  if (record === soa)
    return Math.max(0, Math.min(...neededOf(statement).map((one) => lastsSeconds(one, statement, cache))));
  return clamp(readTtl(record.ttl), cache.denial.ttlMinSeconds, cache.denial.ttlMaxSeconds);
}

/** Whether it says that there is nothing of the type that was asked for. */
export function denies({ rcode, records, key }: Statement): boolean {
  const type = Number(key.split(' ')[1]);
  return rcode === 3 || (rcode === 0 && !records.some((record) => record.section === 'answer' && record.type === type));
}

function soaOf({ records }: Statement): WireRecord | undefined {
  return records.find(({ section, type }) => section === 'authority' && type === types.SOA);
}

function neededOf({ records }: Statement): readonly WireRecord[] {
  return records.filter(({ section }) => section !== 'additional');
}

function sameRecord(record: WireRecord, answer: WireMessage, statement: Statement): WireRecord {
  const inSection = (records: readonly WireRecord[]) => records.filter(({ section }) => section === record.section);
  return inSection(statement.records)[inSection(answer.records).indexOf(record)];
}

function positiveTtl({ ttl }: WireRecord, { success }: CacheConfig): number {
  return clamp(readTtl(ttl), success.ttlMinSeconds, success.ttlMaxSeconds);
}

function negativeTtl({ ttl, data }: WireRecord, { denial }: CacheConfig): number {
  return clamp(Math.min(readTtl(ttl), minimumOf({ data })), denial.ttlMinSeconds, denial.ttlMaxSeconds);
}

/** Of a SOA. */
function minimumOf({ data }: Pick<WireRecord, 'data'>): number {
  return readTtl(data.readUInt32BE(data.length - 4));
}

/** RFC 2181 8: the highest bit means 0. */
function readTtl(ttl: number): number {
  return ttl > 0x7fffffff ? 0 : ttl;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

/** Info codes of the extended errors that speak of staleness. */
function staleCodes({ opt }: WireMessage): number[] {
  const errors = (opt?.options ?? []).filter(({ code }) => code === 15).map(({ data }) => data.readUInt16BE(0));
  return errors.filter((code) => code === 3 || code === 19);
}
