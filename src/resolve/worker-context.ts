/**
 * What one thread answers with: its slot, its counters, its view of the cache, and the records that each packet
 * overwrites. Also the steps that finish an answer and count it; fast-path.ts and miss.ts decide which step is taken.
 */
import { atMessage, type BlockRef, type Blocks } from '../cache/blocks.js';
import type { HeaderFlags } from '../config/config.js';
import {
  type Answerer,
  type Counters,
  countedType,
  countedTypes,
  observeBytes,
  observeDuration,
  overTcp,
  rcodesCounted,
  type Transport,
  zonePlaces,
} from '../counters.js';
import {
  countDown,
  type Envelope,
  type ExtendedError,
  finish,
  type Slot,
  setTtls,
  type TtlOffsets,
  writeDenial,
  writeEmpty,
  writeStored,
} from '../dns/answer.js';
import { type StoredDenial, writeDenialBelow } from '../dns/denial-below.js';
import { wireToName } from '../dns/names.js';
import { noOwnMark } from '../dns/own-queries.js';
import { Prefixes } from '../dns/prefixes.js';
import { Query } from '../dns/query.js';
import { type Dice, shuffleAddresses } from '../dns/shuffle.js';
import { atAnswers, atAuthorities, atFlags, flagTc, flagZ, setU16, skipName, u16 } from '../dns/wire.js';
import {
  extendedErrorTextBytesMax,
  headerBytes,
  messageBytesMax,
  optBytesMax,
  refreshAgainMs,
  refreshesRemembered,
  subquestionsMax,
  udpBytesDefault,
} from '../limits.js';
import type { AnswerOrigin, Client } from '../listen/client.js';
import type { Endpoint } from '../os/network.js';
import type { Finishing, ServedZone } from './zones.js';

/** The extended errors that we send (RFC 8914 4). */
export const circularText = `alias loop, or an alias chain of more than ${subquestionsMax} names`;
export const edeCircular = extendedErrorOf(0, circularText);
export const edeStale = extendedErrorOf(3, '');
export const edeBlocked = extendedErrorOf(15, '');
export const edeFiltered = extendedErrorOf(17, '');
export const edeStaleNxdomain = extendedErrorOf(19, '');
export const edeNoReachableAuthority = extendedErrorOf(22, '');
export const edeNetworkError = extendedErrorOf(23, '');

/** The text is cut to the room in our OPT. */
export function extendedErrorOf(code: number, text: string): ExtendedError {
  return { code, text: new Uint8Array(Buffer.from(text).subarray(0, extendedErrorTextBytesMax)) };
}

export class WorkerContext {
  /** The zone of the current packet; null until it is known. */
  zone: ServedZone | null = null;
  /** The last answer is due for a refresh. */
  refreshDue = false;
  /** The block that was found last. */
  block: BlockRef = 0;
  ownMark = noOwnMark;
  /** Draws the order of addresses. */
  dice: Dice = new Prng(0);
  transport: Transport = 0;
  /** 0 is IPv4, 1 is IPv6. */
  family: 0 | 1 = 0;
  readonly #envelope: Envelope = {
    limitBytes: 0,
    udpBytes: udpBytesDefault,
    extendedError: null,
    keepalive: 0,
    nsid: null,
  };
  #prefixes: Prefixes;
  readonly #offsets: TtlOffsets;
  readonly #place = { at: 0, messageBytes: 0 };
  readonly #denial: StoredDenial;
  /** Of the SOA in the last answer from a cut. */
  readonly #soaTtl: TtlOffsets = { halves: new Uint16Array(1), first: 0, count: 1 };

  constructor(
    readonly blocks: Blocks,
    public slot: Slot,
    readonly counters: Counters,
    /** Workers defer some queries to the main thread on principle (`defers`). */
    readonly role: 'worker' | 'main',
    /** The last packet that was read; contexts of one thread may share it. */
    readonly query = new Query(),
  ) {
    this.#prefixes = new Prefixes(slot.bytes);
    this.#offsets = { halves: blocks.halves, first: 0, count: 0 };
    this.#denial = { bytes: blocks.bytes, at: 0, end: 0, questionEnd: 0 };
  }

  /** The first bytes of the slot, an answer just written. */
  written(bytes: number): Uint8Array {
    if (this.#prefixes.whole !== this.slot.bytes) this.#prefixes = new Prefixes(this.slot.bytes);
    return this.#prefixes.of(bytes);
  }

  /** Whether the stored answer, which is cut to the client's size in the slot, does not fit there. */
  isTooLarge(ref: BlockRef): boolean {
    return this.blocks.messageBytes(ref) + optBytesMax > this.slot.bytes.length;
  }

  /** A stored answer, its TTLs reduced by `ageSeconds`. */
  answerStored(packet: Uint8Array, ref: BlockRef, ageSeconds: number, extendedError: ExtendedError | null): number {
    const bytes = this.#copy(packet, ref);
    countDown(this.slot, this.#offsets, ageSeconds);
    if (this.zone !== null && this.zone.finishing !== null) this.#finishFor(this.zone, this.zone.finishing, ref);
    return finish(this.slot, bytes, this.query, this.#fit(extendedError), this.#offsets);
  }

  /** The stored denial of a name above the question's, its TTL reduced; 0: it is none that can answer it. */
  answerBelow(packet: Uint8Array, ref: BlockRef, ageSeconds: number): number {
    const { blocks, query, slot } = this;
    const denial = this.#denial;
    denial.at = ref + atMessage;
    denial.end = denial.at + blocks.messageBytes(ref);
    denial.questionEnd = skipName(denial.bytes, denial.at + headerBytes, denial.end) + 4;
    const bytes = writeDenialBelow(slot, packet, query, denial, ageSeconds, this.#soaTtl.halves);
    return bytes === 0 ? 0 : finish(slot, bytes, query, this.#fit(null), this.#soaTtl);
  }

  /** A stored answer past its expiry, marked as stale (RFC 8767 4, RFC 8914 4.4 and 4.20). */
  answerStale(packet: Uint8Array, ref: BlockRef, ttlSeconds: number): number {
    const bytes = this.#copy(packet, ref);
    setTtls(this.slot, this.#offsets, ttlSeconds);
    if (this.zone !== null && this.zone.finishing !== null) this.#finishFor(this.zone, this.zone.finishing, ref);
    const nxdomain = (this.slot.bytes[3] & 0x0f) === 3;
    return finish(this.slot, bytes, this.query, this.#fit(nxdomain ? edeStaleNxdomain : edeStale), this.#offsets);
  }

  /** A denial by the zone's own policy, with its SOA. */
  answerDenial(packet: Uint8Array, zone: ServedZone, rcode: number): number {
    const bytes = writeDenial(this.slot, packet, this.query, rcode, zone.denial);
    return finish(this.slot, bytes, this.query, this.#fit(null), null);
  }

  /** Header and question with an rcode (its low four bits), and an extended error for clients with EDNS. */
  answerEmpty(packet: Uint8Array, rcode: number, extendedError: ExtendedError | null): number {
    const bytes = writeEmpty(this.slot, packet, this.query, rcode);
    return finish(this.slot, bytes, this.query, this.#fit(extendedError), null);
  }

  /** A whole message that was made for this query and fits every client. */
  answerMade(message: Uint8Array): number {
    this.slot.bytes.set(message);
    return finish(this.slot, message.length, this.query, this.#fit(null), null);
  }

  #copy(packet: Uint8Array, ref: BlockRef): number {
    const { blocks } = this;
    this.#place.at = ref + atMessage;
    this.#place.messageBytes = blocks.messageBytes(ref);
    this.#offsets.first = blocks.ttlOffsets(ref);
    this.#offsets.count = blocks.records(ref);
    return writeStored(this.slot, packet, this.query, blocks, this.#place);
  }

  /** Shuffles before the answer is cut, so that not always the same addresses are left out. */
  #finishFor({ ordinal }: ServedZone, { balance, countsTranslated }: Finishing, ref: BlockRef): void {
    const { blocks, counters, slot, query } = this;
    if (balance !== null) shuffleAddresses(slot.bytes, query.questionEnd, this.#offsets, balance, this.dice);
    if (countsTranslated && (u16(blocks.bytes, ref + atMessage + atFlags) & flagZ) !== 0) {
      counters.zones[counters.zoneBase(ordinal) + zonePlaces.translated]++;
    }
  }

  /** Sets the zone's flags in the slot; returns the answer's limits and options. */
  #fit(extendedError: ExtendedError | null): Envelope {
    const envelope = this.#envelope;
    if (this.zone !== null && this.zone.flags !== null) this.#setFlags(this.zone.flags);
    const udpBytes = this.zone === null ? udpBytesDefault : this.zone.udpBytes;
    envelope.udpBytes = udpBytes;
    envelope.limitBytes = this.transport === overTcp ? messageBytesMax : Math.min(this.query.udpBytes, udpBytes);
    envelope.extendedError = extendedError;
    envelope.keepalive = this.transport === overTcp && this.zone !== null ? this.zone.keepalive : 0;
    envelope.nsid = this.zone === null ? null : this.zone.serverId;
    return envelope;
  }

  #setFlags({ set, clear }: HeaderFlags): void {
    setU16(this.slot.bytes, atFlags, (u16(this.slot.bytes, atFlags) | set) & ~clear);
  }

  /** Counts one answer, which is in the slot, of the zone at `base`. */
  count(base: number, answerer: Answerer, queryBytes: number, answerBytes: number, seconds: number): void {
    const { counters, query, slot, transport } = this;
    const numbers = counters.zones;
    const flow = (transport * 2 + this.family) * countedTypes.length;
    numbers[base + zonePlaces.requests + flow + countedType(query.type)]++;
    const rcode = Math.min(slot.bytes[3] & 0x0f, rcodesCounted - 1);
    numbers[base + zonePlaces.responses + answerer * rcodesCounted + rcode]++;
    if (query.dnssecOk) numbers[base + zonePlaces.dnssecOk]++;
    observeDuration(numbers, base + zonePlaces.duration, seconds);
    observeBytes(numbers, base + zonePlaces.requestBytes, transport, queryBytes);
    observeBytes(numbers, base + zonePlaces.responseBytes, transport, answerBytes);
    if ((slot.bytes[2] & (flagTc >> 8)) !== 0) counters.count('answersTruncated');
  }
}

/** Recent refreshes by workers, which a popular entry needs once, not with each hit. Two blocks may share a place. */
export class RecentRefreshes {
  readonly #blocks = new Int32Array(refreshesRemembered);
  readonly #askedAtMs = new Float64Array(refreshesRemembered);

  /** Whether this block's refresh was not requested just now; it counts as requested from now on. */
  isNew(block: BlockRef, nowMs: number): boolean {
    // Blocks are at least 128 bytes; the places of neighbours differ.
    const place = (block >> 7) % refreshesRemembered;
    if (this.#blocks[place] === block && nowMs - this.#askedAtMs[place] < refreshAgainMs) return false;
    this.#blocks[place] = block;
    this.#askedAtMs[place] = nowMs;
    return true;
  }
}

/** Replaces a state of 0, in which the generator would stay. */
const neverZero = 0x9e37_79b9;

/** xorshift with 32 bits of state, a nanosecond a draw; what must be unpredictable comes from os/random.ts. */
export class Prng {
  #state: number;

  /** Seeds that lie close together give unrelated sequences. */
  constructor(seed: number) {
    const mixed = Math.imul(seed ^ (seed >>> 16), neverZero);
    this.#state = (mixed ^ (mixed >>> 15)) | 0 || neverZero;
  }

  /** A whole number from 0 up to, not including, `below`, which is at most 2^16. */
  below(below: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  }
}

/** One query and its answer; made only where `log` or `dnstap` is set. */
export interface QueryLogRecord {
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly transport: 'udp' | 'tcp';
  readonly id: number;
  readonly opcode: number;
  /** Presentation form, any case. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly queryBytes: number;
  readonly dnssecOk: boolean;
  /** UDP size of the query's OPT; 512 without, 65535 over TCP. */
  readonly bufsizeBytes: number;
  readonly rcode: number;
  /** The second 16 bits of the answer's header (RFC 1035 4.1.1). */
  readonly flags: number;
  readonly answerBytes: number;
  readonly answerRecords: number;
  /** Type of the first authority record where there is no answer record; 0 without one. */
  readonly authorityType: number;
  readonly durationMs: number;
  /** ADDRESS:PORT of the upstream that sent this answer just now; null for one that was cached or made here. */
  readonly upstream: string | null;
  /** Borrowed like the record. Of a deferred query over 512 bytes, only the part that was understood. */
  readonly query: Uint8Array;
  readonly answer: Uint8Array;
}

/** What those who watch queries are told of an answer besides its bytes. */
export interface AnswerFacts {
  readonly origin: AnswerOrigin;
  readonly bytes: number;
  readonly durationMs: number;
}

/** Those who watch queries as the main thread answers them (observe/query-watch.ts). */
export interface AnswerWatch {
  /** False: nobody does, and nobody need be told. */
  readonly isWatched: boolean;
  /** The answer is in the slot, borrowed. */
  answered(slot: Slot, client: Client, facts: AnswerFacts): void;
}

/** For a packet that the context has read and answered with `bytes` bytes. */
export function queryLogRecordOf(
  context: WorkerContext,
  packet: Uint8Array,
  client: Client,
  bytes: number,
  came: Pick<QueryLogRecord, 'durationMs' | 'upstream'>,
): QueryLogRecord {
  const { query, slot } = context;
  const tcp = client.transport === overTcp;
  const answerRecords = u16(slot.bytes, atAnswers);
  return {
    remote: client.remote,
    local: client.local,
    transport: tcp ? 'tcp' : 'udp',
    id: u16(packet, 0),
    opcode: 0,
    name: wireToName(packet, headerBytes),
    type: query.type,
    class: query.class,
    queryBytes: packet.length,
    dnssecOk: query.dnssecOk,
    bufsizeBytes: tcp ? 65535 : query.udpBytes,
    rcode: slot.bytes[3] & 0x0f,
    flags: u16(slot.bytes, atFlags),
    answerBytes: bytes,
    answerRecords,
    authorityType: answerRecords === 0 ? firstAuthority(slot.bytes, query.questionEnd, bytes) : 0,
    query: packet,
    answer: slot.bytes.subarray(0, bytes),
    ...came,
  };
}

/** Type of the first record after the question: an authority, where there is no answer; 0 without one. */
function firstAuthority(answer: Uint8Array, questionEnd: number, end: number): number {
  if (u16(answer, atAuthorities) === 0) return 0;
  const fixed = skipName(answer, questionEnd, end);
  return fixed < 0 ? 0 : u16(answer, fixed);
}
