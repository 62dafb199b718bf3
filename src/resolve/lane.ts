/**
 * What one thread works with while it answers: its slot, its numbers, its view of the cache, and the records that
 * each packet overwrites. Here are also the steps that finish an answer and count it; which step is taken is decided
 * in fast-path.ts and miss.ts.
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
import { noOwnMark } from '../dns/own-queries.js';
import { Query } from '../dns/query.js';
import { type Dice, shuffleAddresses } from '../dns/shuffle.js';
import { atFlags, flagTc, flagZ, setU16, u16 } from '../dns/wire.js';
import {
  extendedErrorTextBytesMax,
  messageBytesMax,
  optBytesMax,
  subquestionsMax,
  udpBytesDefault,
} from '../limits.js';
import { Prng } from './prng.js';
import type { Finishing, ServedZone } from './zones.js';

/** Extended DNS Errors that we give (RFC 8914 4). */
export const circularText = `alias loop, or an alias chain of more than ${subquestionsMax} names`;
export const edeCircular = extendedErrorOf(0, circularText);
export const edeStale = extendedErrorOf(3, '');
export const edeBlocked = extendedErrorOf(15, '');
export const edeFiltered = extendedErrorOf(17, '');
export const edeStaleNxdomain = extendedErrorOf(19, '');
export const edeNoReachableAuthority = extendedErrorOf(22, '');
export const edeNetworkError = extendedErrorOf(23, '');

/** An extended error with as much of the text as has room in our OPT. */
export function extendedErrorOf(code: number, text: string): ExtendedError {
  return { code, text: new Uint8Array(Buffer.from(text).subarray(0, extendedErrorTextBytesMax)) };
}

export class Lane {
  readonly query = new Query();
  /** The zone of the packet in hand; null until it is known. */
  zone: ServedZone | null = null;
  /** The answer just given is due for a refresh. */
  refreshDue = false;
  /** The block that was found last. */
  block: BlockRef = 0;
  /** Marks questions of our own. */
  ownMark = noOwnMark;
  /** Says in which order addresses go out, where that is to change. */
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
  readonly #offsets: TtlOffsets;
  readonly #place = { at: 0, messageBytes: 0 };

  constructor(
    readonly blocks: Blocks,
    /** Where the next answer is written. */
    public slot: Slot,
    readonly counters: Counters,
    /** `control` also sees what an answering thread hands over on principle. */
    readonly role: 'answering' | 'control',
  ) {
    this.#offsets = { halves: blocks.halves, first: 0, count: 0 };
  }

  /** Whether the stored answer, which is cut to the client's size in the slot, is too large for it. */
  isTooLarge(ref: BlockRef): boolean {
    return this.blocks.messageBytes(ref) + optBytesMax > this.slot.bytes.length;
  }

  /** A stored answer whose TTLs have counted down by `ageSeconds`. */
  answerStored(packet: Uint8Array, ref: BlockRef, ageSeconds: number, extendedError: ExtendedError | null): number {
    const bytes = this.#copy(packet, ref);
    countDown(this.slot, this.#offsets, ageSeconds);
    if (this.zone !== null && this.zone.finishing !== null) this.#finishFor(this.zone, this.zone.finishing, ref);
    return finish(this.slot, bytes, this.query, this.#fit(extendedError), this.#offsets);
  }

  /** A stored answer past its expiry, saying so (RFC 8767 4, RFC 8914 4.4 and 4.20). */
  answerStale(packet: Uint8Array, ref: BlockRef, ttlSeconds: number): number {
    const bytes = this.#copy(packet, ref);
    setTtls(this.slot, this.#offsets, ttlSeconds);
    if (this.zone !== null && this.zone.finishing !== null) this.#finishFor(this.zone, this.zone.finishing, ref);
    const nxdomain = (this.slot.bytes[3] & 0x0f) === 3;
    return finish(this.slot, bytes, this.query, this.#fit(nxdomain ? edeStaleNxdomain : edeStale), this.#offsets);
  }

  /** A denial by the zone's own policy. */
  answerDenial(packet: Uint8Array, zone: ServedZone, rcode: number): number {
    const bytes = writeDenial(this.slot, packet, this.query, rcode, zone.denial);
    return finish(this.slot, bytes, this.query, this.#fit(null), null);
  }

  /** Header and question with an rcode (its low four bits), and an extended error for clients with EDNS. */
  answerEmpty(packet: Uint8Array, rcode: number, extendedError: ExtendedError | null): number {
    const bytes = writeEmpty(this.slot, packet, this.query, rcode);
    return finish(this.slot, bytes, this.query, this.#fit(extendedError), null);
  }

  /** A whole message to this query that was made here, not longer than anybody takes. */
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

  /** Before it is cut, so that not always the same are left out. */
  #finishFor({ ordinal }: ServedZone, { balance, countsTranslated }: Finishing, ref: BlockRef): void {
    const { blocks, counters, slot, query } = this;
    if (balance !== null) shuffleAddresses(slot.bytes, query.questionEnd, this.#offsets, balance, this.dice);
    if (countsTranslated && (u16(blocks.bytes, ref + atMessage + atFlags) & flagZ) !== 0) {
      counters.zones[counters.zoneBase(ordinal) + zonePlaces.translated]++;
    }
  }

  /** What the answer in the slot, which gets the zone's flags, may cost and must say. */
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

  /** Counts one answered question of the zone at `base`; the answer is in the slot. */
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
