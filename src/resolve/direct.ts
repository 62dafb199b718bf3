/**
 * A worker's own misses: whether a deferred query may be asked about directly, and what an upstream's message means to
 * it. Only what is plain is decided here; the rest stays deferred. The answer also goes to the main thread as bytes, which
 * `keepFrom` caches there; until then the worker remembers it.
 */
import { type BlockRef, type Keep, type Kind, kindSuccess } from '../cache/blocks.js';
import type { Cache, Store } from '../cache/cache.js';
import { RecentAnswers } from '../cache/recent.js';
import { byCache, zonePlaces } from '../counters.js';
import type { Slot } from '../dns/answer.js';
import { leaveFirst, Normaliser } from '../dns/normalise.js';
import { Prefixes } from '../dns/prefixes.js';
import { readQuery } from '../dns/query.js';
import {
  atQuestions,
  flagQr,
  flagsOpcode,
  flagTc,
  messageFlags,
  rcodeNoError,
  rcodeNxDomain,
  sameName,
  typeAaaa,
  u16,
} from '../dns/wire.js';
import { directQueriesMax, headerBytes, receiveSlotBytes, recentAnswerMs, waiterQueryBytesMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import { type Kept, keeping, keepOf } from './cacheability.js';
import { stepOf } from './cut.js';
import type { Denials } from './denials.js';
import { deferred, keyOf } from './fast-path.js';
import { typeHinfo } from './loop.js';
import { WorkerContext } from './worker-context.js';
import { aaaaForward, type DirectAsk, type ServedZone } from './zones.js';

/** A message for the row's query; the same fields as the loop has. */
interface RowMessage {
  readonly message: Uint8Array;
  readonly durationMs: number;
  readonly arrivedMs: number;
  readonly nowMs: number;
}

/** What is cached for a row's question. */
const cachedNothing = 0;
const cachedDenial = 1;
const cachedSuccess = 2;

export class DirectAnswers {
  /** Answers from what the worker remembers; it shares the packet that the worker's context has read. */
  readonly #context: WorkerContext;
  readonly #worker: WorkerContext;
  readonly #recent: RecentAnswers;
  readonly #normaliser: Normaliser;
  readonly #clock: Pick<Clock, 'wallMs'>;
  readonly #zoneOf: ServedZone[] = [];
  /** What the shared cache has for the question, expired: one of the constants above. */
  readonly #cached = new Uint8Array(directQueriesMax);
  readonly #isJoined = new Uint8Array(directQueriesMax);
  readonly #hashOf = new Int32Array(directQueriesMax);
  readonly #entry = new EntryWriter();
  /** Of the question that `answerRecent` looked for last. */
  hash = 0;
  /** The last answer was deferred because the upstream is in trouble. */
  wasTrouble = false;
  /** The last answer denies a name from which the main thread learns (denials.ts). */
  isUrgent = false;

  constructor(worker: WorkerContext, clock: Pick<Clock, 'wallMs'>) {
    this.#worker = worker;
    this.#clock = clock;
    this.#recent = new RecentAnswers(worker.blocks.hashKey);
    this.#context = new WorkerContext(this.#recent.blocks, worker.slot, worker.counters, 'worker', worker.query);
    this.#normaliser = new Normaliser(worker.blocks.hashKey);
  }

  /** Answers the packet that the worker's context has deferred, if it is remembered; else `deferred`. */
  answerRecent(packet: Uint8Array, length: number, nowMs: number): number {
    const { query, zone, counters } = this.#worker;
    const { blocks } = this.#recent;
    const { questionEnd } = query;
    this.hash = blocks.hash(packet, questionEnd, zone!.zoneId, keyOf(query));
    const ref = blocks.findHashed(this.hash, packet, questionEnd, zone!.zoneId, keyOf(query));
    if (ref === 0) return deferred;
    const ageMs = nowMs - blocks.storedAtMs(ref);
    if (ageMs >= recentAnswerMs || nowMs >= blocks.expiresAtMs(ref)) return deferred;
    this.#begin(zone!, this.#worker.family, this.#worker.slot);
    const ageSeconds = zone!.cache!.keepTtl ? 0 : Math.floor(ageMs / 1000);
    const bytes = this.#context.answerStored(packet, ref, ageSeconds, null);
    const base = counters.zoneBase(zone!.ordinal);
    counters.zones[base + zonePlaces.cacheRequests]++;
    counters.zones[base + (blocks.kind(ref) === kindSuccess ? zonePlaces.hitsSuccess : zonePlaces.hitsDenial)]++;
    this.#context.count(base, byCache, length, bytes, 0);
    return bytes;
  }

  /** The query that was just deferred is this row's; `joined` to one that is asked, whose answer is kept once. */
  began(row: number, as: 'asked' | 'joined'): void {
    this.#zoneOf[row] = this.#worker.zone!;
    this.#isJoined[row] = as === 'joined' ? 1 : 0;
    this.#hashOf[row] = this.hash;
    const { block, blocks } = this.#worker;
    this.#cached[row] = block === 0 ? cachedNothing : blocks.kind(block) === kindSuccess ? cachedSuccess : cachedDenial;
  }

  /** Of the row's question; also when the row has ended. */
  hashOf(row: number): number {
    return this.#hashOf[row];
  }

  /** Writes the answer into the slot; its bytes, or `deferred`. Borrows packet and message. */
  answer(row: number, packet: Uint8Array, length: number, family: 0 | 1, came: RowMessage, slot: Slot): number {
    const zone = this.#zoneOf[row];
    const { query, counters } = this.#worker;
    const { nowMs } = came;
    this.wasTrouble = false;
    readQuery(packet, length, query);
    const verdict = this.#judge(packet, came.message);
    this.wasTrouble = verdict === 'failure';
    if (verdict !== 'plain') return deferred;
    const { out } = this.#normaliser;
    const kept = keeping(out, zone.asks!.policy, this.#clock.wallMs());
    // Whether the cached answer stays is the main thread's to decide.
    if (this.#cached[row] !== cachedNothing && kept === null) return deferred;
    if (this.#cached[row] === cachedSuccess && kept?.kind !== kindSuccess) return deferred;
    if (EntryWriter.bytesOf(out) > receiveSlotBytes) return deferred;
    const ref = this.#store(row, kept, came);
    this.isUrgent = zone.isCut && out.rcode === rcodeNxDomain;
    this.#begin(zone, family, slot);
    const bytes = this.#context.answerStored(packet, ref, 0, null);
    const base = counters.zoneBase(zone.ordinal);
    counters.zones[base + zonePlaces.cacheRequests]++;
    counters.zones[base + zonePlaces.misses]++;
    this.#context.count(base, byCache, length, bytes, (nowMs - came.arrivedMs) / 1000);
    return bytes;
  }

  /** Remembers the answer that was read, and writes it for the main thread; the block for this row's client. */
  #store(row: number, kept: Kept | null, { durationMs, nowMs }: RowMessage): BlockRef {
    const { out } = this.#normaliser;
    const key = { zoneId: this.#zoneOf[row].zoneId, key: keyOf(this.#worker.query) };
    if (this.#isJoined[row] === 1) {
      this.#entry.clear();
      return this.#recent.lend(keepOf(out, null, key), nowMs);
    }
    // The client also gets the records that end too soon to be cached.
    const isWhole = kept !== null && kept.records >= out.records;
    const lent = isWhole ? 0 : this.#recent.lend(keepOf(out, null, key), nowMs);
    if (kept === null) {
      this.#entry.write(keepOf(out, null, key), 0, durationMs, out.rcode);
      return lent;
    }
    leaveFirst(out, kept.records);
    const keep = keepOf(out, kept, key);
    this.#entry.write(keep, keep.messageBytes, durationMs, out.rcode);
    const ref = this.#recent.keep(keep, nowMs);
    return isWhole ? ref : lent;
  }

  /** The last answer's bytes for the main thread; none if it has been given them. */
  forCache(): Uint8Array {
    return this.#entry.bytes;
  }

  /** Forgets what was answered under other settings. */
  clear(): void {
    this.#recent.clear();
  }

  /** Reads the message into the normaliser, if it is a plain answer to the packet's question. */
  #judge(packet: Uint8Array, message: Uint8Array): 'plain' | 'failure' | 'other' {
    const { query, counters } = this.#worker;
    const flags = message.length < headerBytes ? 0 : messageFlags(message);
    if ((flags & (flagQr | flagsOpcode)) !== flagQr || !hasQuestionOf(message, packet, query)) {
      counters.count('answersRejectedQuestion');
      return 'failure';
    }
    // The main thread asks once more, and counts what is wrong.
    if ((flags & flagTc) !== 0) return 'other';
    if (!this.#normaliser.read(message)) return 'failure';
    const { rcode } = this.#normaliser.out;
    return rcode === rcodeNoError || rcode === rcodeNxDomain ? 'plain' : 'failure';
  }

  #begin(zone: ServedZone, family: 0 | 1, slot: Slot): void {
    const context = this.#context;
    context.slot = slot;
    context.zone = zone;
    context.family = family;
    context.transport = 0;
    context.dice = this.#worker.dice;
  }
}

/** Whether a worker may ask about the packet of `length` bytes that its context has just deferred. */
export function mayAskDirectly(context: WorkerContext, packet: Uint8Array, length: number): boolean {
  const { zone, query, block } = context;
  if (zone === null || zone.asks === null || length > waiterQueryBytesMax) return false;
  // A cached answer that only the main thread can send.
  if (block !== 0 && context.isTooLarge(block)) return false;
  // Without RD the answer is one upstream's own view; with DO or CD it has another key; HINFO may be the loop probe.
  if (!query.recursionDesired || keyOf(query) !== 0 || query.type === typeHinfo) return false;
  // The main thread may ask for a cut in its place.
  if (stepOf(context, packet) !== 'none') return false;
  return query.type !== typeAaaa || zone.aaaa === aaaaForward;
}

/** The question of the packet that was read, its name in any case (RFC 5452 9.1). */
function hasQuestionOf(message: Uint8Array, packet: Uint8Array, query: WorkerContext['query']): boolean {
  const { nameEnd, questionEnd } = query;
  if (u16(message, atQuestions) !== 1 || message.length < questionEnd) return false;
  for (let at = nameEnd; at < questionEnd; at++) if (message[at] !== packet[at]) return false;
  return sameName(message, headerBytes, packet, headerBytes, nameEnd - headerBytes);
}

/** The targets of a thread's tables; each block has one, however many zones it serves. */
export function directAsksOf(zones: Iterable<ServedZone>): ReadonlySet<DirectAsk> {
  const asks = new Set<DirectAsk>();
  for (const zone of zones) if (zone.asks !== null) asks.add(zone.asks);
  return asks;
}

// An answer on its way to the cache: eight words, the offsets of TTLs, the message.
const atWordZone = 0;
const atWordKey = 1;
const atWordKind = 2;
const atWordQuestionEnd = 3;
const atWordMessageBytes = 4;
const atWordRecords = 5;
const atWordRcode = 6;
const atDoubleLifetime = 4;
const atDoubleDuration = 5;
const entryHeadBytes = 48;

/** The memory of one entry, and its views. */
class EntryMemory {
  readonly bytes = new Uint8Array(receiveSlotBytes);
  readonly words = new Int32Array(this.bytes.buffer);
  readonly doubles = new Float64Array(this.bytes.buffer);
}

class EntryWriter {
  readonly #entry = new EntryMemory();
  readonly #views = new Prefixes(this.#entry.bytes);
  bytes = this.#views.of(0);

  static bytesOf({ messageBytes, records }: Pick<Keep, 'messageBytes' | 'records'>): number {
    return entryHeadBytes + records * 2 + messageBytes;
  }

  clear(): void {
    this.bytes = this.#views.of(0);
  }

  /** `messageBytes` 0: the answer is not to be cached. */
  write(keep: Keep, messageBytes: number, durationMs: number, rcode: number): void {
    const { bytes, words, doubles } = this.#entry;
    const records = messageBytes === 0 ? 0 : keep.records;
    words[atWordZone] = keep.zoneId;
    words[atWordKey] = keep.key;
    words[atWordKind] = keep.kind;
    words[atWordQuestionEnd] = keep.questionEnd;
    words[atWordMessageBytes] = messageBytes;
    words[atWordRecords] = records;
    words[atWordRcode] = rcode;
    doubles[atDoubleLifetime] = keep.lifetimeMs;
    doubles[atDoubleDuration] = durationMs;
    let at = entryHeadBytes;
    for (let index = 0; index < records; index++) {
      bytes[at++] = keep.ttlOffsets[index] & 0xff;
      bytes[at++] = keep.ttlOffsets[index] >> 8;
    }
    for (let index = 0; index < messageBytes; index++) bytes[at + index] = keep.message[index];
    this.bytes = this.#views.of(at + messageBytes);
  }
}

/** Where the answers in a zone go. */
export interface DirectHome {
  /** One of those with this number. */
  readonly zone: ServedZone;
  readonly store: Store;
  /** An answer with records is not replaced by a denial. */
  readonly preferPositive: boolean;
  /** An upstream has answered a worker's query. */
  answered(rcode: number, durationMs: number, nowMs: number): void;
}

interface KeepDeps {
  readonly cache: Cache;
  /** Null: the zone is no longer served so. */
  home(zoneId: number): DirectHome | null;
  upstreamAnswered(): void;
  readonly denials: Pick<Denials, 'missed' | 'denied' | 'exists'>;
}

/** Caches an answer that a worker has given its client; `arrivedMs` is when it came from upstream. Borrows the entry. */
export function keepFrom({
  cache,
  home,
  upstreamAnswered,
  denials,
}: KeepDeps): (entry: Uint8Array, arrivedMs: number) => void {
  const read = new EntryMemory();
  const ttlOffsets = new Uint16Array(receiveSlotBytes / 2);
  return (entry, arrivedMs) => {
    read.bytes.set(entry);
    const { bytes, words, doubles } = read;
    const at = home(words[atWordZone]);
    if (at === null) return;
    upstreamAnswered();
    denials.missed();
    at.answered(words[atWordRcode], doubles[atDoubleDuration], arrivedMs);
    const messageBytes = words[atWordMessageBytes];
    if (messageBytes === 0) return;
    const records = words[atWordRecords];
    for (let index = 0; index < records; index++) {
      const offset = entryHeadBytes + index * 2;
      ttlOffsets[index] = bytes[offset] | (bytes[offset + 1] << 8);
    }
    const from = entryHeadBytes + records * 2;
    const keep: Keep = {
      message: bytes.subarray(from, from + messageBytes),
      messageBytes,
      questionEnd: words[atWordQuestionEnd],
      ttlOffsets,
      records,
      kind: words[atWordKind] as Kind,
      zoneId: words[atWordZone],
      key: words[atWordKey],
      lifetimeMs: doubles[atDoubleLifetime],
    };
    const old = cache.existing(keep);
    // Another thread may have got a newer or a better one meanwhile.
    if (old !== 0 && (cache.blocks.storedAtMs(old) > arrivedMs || isBetter(cache, old, keep, at))) return;
    cache.keep(at.store, keep, arrivedMs);
    const learnsOf = words[atWordRcode] === rcodeNxDomain ? 'denied' : 'exists';
    if (at.zone.isCut) denials[learnsOf](at.zone, keep.message.subarray(headerBytes, keep.questionEnd));
  };
}

function isBetter({ blocks }: Cache, old: BlockRef, { kind }: Keep, { preferPositive }: DirectHome): boolean {
  return preferPositive && kind !== kindSuccess && blocks.kind(old) === kindSuccess;
}
