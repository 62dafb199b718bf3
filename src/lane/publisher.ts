/**
 * Which cached answers the kernel gives: those that `answerNow` would give to every client in the same way, of entries
 * that clients ask for more than once. Here the spine's decisions are taken once for all clients: zone, policy, flags.
 */
import {
  type BlockRef,
  type Blocks,
  keyDnssecOk,
  kindDenial,
  kindServfail,
  kindSuccess,
  onFailureOnly,
} from '../cache/blocks.js';
import { Counters, countersMemory } from '../counters.js';
import { newSlot } from '../dns/answer.js';
import { readQuery } from '../dns/query.js';
import {
  atFlags,
  atQuestions,
  classIn,
  copyOf,
  flagRd,
  flagTc,
  messageFlags,
  rcodeNoError,
  rcodeNxDomain,
  setU16,
  skipPlainName,
  typeA,
  typeAaaa,
} from '../dns/wire.js';
import {
  headerBytes,
  laneRefreshAnswerMs,
  laneRefreshBeforeMs,
  laneRefreshesSkipped,
  laneRefreshLifetimeMsMin,
  laneSlots,
  laneStaleMaxMs,
} from '../limits.js';
import { WorkerContext } from '../resolve/worker-context.js';
import {
  aaaaForward,
  aaaaNodata,
  aaaaNxdomain,
  type ServedZone,
  type ZoneTable,
  zoneOfQuestion,
} from '../resolve/zones.js';
import { type LaneAnswer, readSlot } from './entry.js';
import type { Counted } from './hits.js';
import type { Slots } from './slots.js';

/** Stale answers have this TTL in zones that give none by themselves (RFC 8767 4). */
const staleTtlSecondsDefault = 30;
const denialBytesMax = 2_048;
/** A tenth of a millisecond. */
const adoptedPerSlice = 40;
/** Times that are the same but for the way in which they are written. */
const sameTimeMs = 1;

/** What the slots of an answer have in common: when it may be refreshed, and whether anybody asks for it. */
export interface Use {
  /** Of the question. */
  readonly hash: number;
  readonly expiresAtMs: number;
  /** From then on it is refreshed while it is in use; Infinity: it is not. */
  readonly refreshAtMs: number;
  /** From then on `prefetch` refreshes it after so many hits; Infinity: its zone has none. */
  readonly prefetchAtMs: number;
  readonly prefetchHits: number;
  /** When the kernel was last seen to have given it; -Infinity: never. */
  givenAtMs: number;
  refresh: 'none' | 'asked' | 'prefetched' | 'denied';
  /** When it was asked for anew because it was in use. */
  askedAtMs: number;
  /** What refreshes of this question have taken lately; 0: nobody knows. */
  readonly tookMs: number;
  /** It has come by a refresh of the lane, and lasts longer than the one before. */
  readonly isRefreshed: boolean;
  /** Of answers to this question, from this one on, so many are not refreshed. */
  readonly skips: number;
}

/** A published answer, and the cache's entry behind it; 0: it was published by an earlier process. */
interface Published extends Counted {
  readonly ref: BlockRef;
  readonly use: Use;
  /** Rounds since somebody asked for it. */
  idleRounds: number;
}

/** What to ask upstream for an answer. */
interface LaneQuestion {
  readonly zone: ServedZone;
  readonly question: Uint8Array;
  readonly key: number;
}

type Publication = 'published' | 'not for the kernel' | 'no room';

export class Publisher {
  readonly #slots: Slots;
  readonly #context: WorkerContext;
  readonly #bySlot: (Published | null)[] = new Array(laneSlots).fill(null);
  readonly #byRef = new Map<BlockRef, number[]>();
  /** By the hashes of their questions, published answers that have no entry here. */
  readonly #withoutEntry = new Map<number, Use>();
  /** Of the answer that was taken out last. */
  #lastOut: Use | null = null;
  /** Of each slot: when it may be due to be asked for anew; Infinity: not at all, or it is decided. */
  readonly dueAtMs = new Float64Array(laneSlots).fill(Number.POSITIVE_INFINITY);
  #tables: readonly ZoneTable[] = [];
  #generation = 0;

  constructor(blocks: Blocks, slots: Slots) {
    this.#slots = slots;
    this.#context = new WorkerContext(blocks, newSlot(denialBytesMax), new Counters(countersMemory(1)), 'main');
  }

  /** What belongs to the slot, also while it rests. */
  of(slot: number): Published | null {
    return this.#bySlot[slot];
  }

  has(ref: BlockRef): boolean {
    return this.#byRef.has(ref);
  }

  /** Entries that are published, most of them more than once. */
  refs(): readonly BlockRef[] {
    return [...this.#byRef.keys()];
  }

  /** The tables of the places in the configuration, in their order. Nothing may be published. */
  follow(tables: readonly ZoneTable[], generation: number): void {
    this.#tables = tables;
    this.#generation = generation;
  }

  /**
   * Other tables of the same places from now on. Of each published entry, expired or not, what they answer takes the place
   * of what was published; what they would not give is taken out, and so is what has no entry.
   */
  renew(tables: readonly ZoneTable[], nowMs: number): void {
    this.#tables = tables;
    this.#withoutEntry.clear();
    for (let slot = 0; slot < laneSlots; slot++)
      if (this.#slots.isPublished(slot) && this.#bySlot[slot]!.ref === 0) this.takeOutSlot(slot, nowMs);
    for (const [ref, slots] of [...this.#byRef]) {
      this.#byRef.delete(ref);
      if (this.#isPlain(ref)) this.#publishAll(ref, nowMs);
      const renewed = this.#byRef.get(ref) ?? [];
      for (const slot of slots)
        if (this.#slots.isPublished(slot) && !renewed.includes(slot)) this.#slots.takeOut(slot, nowMs);
    }
  }

  /** Publishes the entry at every place that serves it, with the denial for AAAA that goes with its name. */
  publish(ref: BlockRef, nowMs: number): Publication {
    const isLasting = this.#isPlain(ref) && nowMs < this.#context.blocks.expiresAtMs(ref);
    return isLasting ? this.#publishAll(ref, nowMs) : 'not for the kernel';
  }

  #publishAll(ref: BlockRef, nowMs: number): Publication {
    const { blocks } = this.#context;
    const before = this.#before(ref);
    this.#withoutEntry.delete(blocks.words[ref >> 2]);
    let use: Use | null = null;
    let outcome: Publication = 'not for the kernel';
    const question = questionIn(blocks.message(ref));
    for (const [place, table] of this.#tables.entries()) {
      const zone = this.#zoneOf(question, table);
      if (zone === null || zone.zoneId !== blocks.zoneId(ref)) continue;
      const { type, questionEnd } = this.#context.query;
      if (type === typeAaaa && zone.aaaa !== aaaaForward) continue;
      use ??= this.#useOf(ref, zone, before);
      const answer = this.#answerOf(ref, zone, place, questionEnd);
      const of = { use, kind: blocks.kind(ref), type };
      const outcomes = [this.#put(answer, publishedOf(ref, zone, answer, of), nowMs)];
      if (type === typeA && zone.aaaa !== aaaaForward) {
        const denial = this.#denialFor(question, zone, answer);
        outcomes.push(this.#put(denial, publishedOf(ref, zone, denial, { use, kind: null, type: typeAaaa }), nowMs));
      }
      if (outcomes.includes('no room')) return 'no room';
      if (outcomes.includes('published')) outcome = 'published';
    }
    if (outcome === 'published') blocks.markForKernel(ref);
    return outcome;
  }

  /**
   * An entry was cached: whether an answer to the same question was published just before it left the cache, or comes from
   * an earlier process.
   */
  continues(ref: BlockRef): boolean {
    return this.#before(ref) !== null;
  }

  /** What is to be asked upstream for the answer in this slot; null: it is not for the kernel any more. */
  askingFor(slot: number): LaneQuestion | null {
    const { question, key, place } = readSlot(this.#slots.bytes(slot));
    if (this.#bySlot[slot]?.kind === null) setU16(question, question.length - 4, typeA);
    const table = this.#tables[place];
    const zone = table === undefined ? null : this.#zoneOf(question, table);
    return zone === null ? null : { zone, question, key };
  }

  /** Takes out all that was published of the entry. */
  takeOut(ref: BlockRef, nowMs: number): void {
    const slots = this.#byRef.get(ref);
    if (slots === undefined) return;
    this.#lastOut = this.#bySlot[slots[0]]!.use;
    for (const slot of slots) this.#slots.takeOut(slot, nowMs);
    this.#byRef.delete(ref);
  }

  takeOutSlot(slot: number, nowMs: number): void {
    this.#slots.takeOut(slot, nowMs);
    this.#forget(slot);
  }

  takeOutAll(nowMs: number): void {
    this.#withoutEntry.clear();
    this.#slots.takeOutAll(nowMs, (slot) => this.#forget(slot));
  }

  /**
   * Takes out what an earlier process has published of these questions, in wire form and lower case, and the cache has no
   * entry for, some a slice; their number.
   */
  *takeOutForeign(isMeant: (question: Uint8Array) => boolean, nowMs: () => number): Generator<void, number> {
    let count = 0;
    for (let slot = 0; slot < laneSlots; slot++) {
      if (slot % adoptedPerSlice === adoptedPerSlice - 1) yield;
      if (this.#bySlot[slot]?.ref !== 0 || !this.#slots.isPublished(slot)) continue;
      if (!isMeant(readSlot(this.#slots.bytes(slot)).question)) continue;
      this.takeOutSlot(slot, nowMs());
      count++;
    }
    return count;
  }

  /** The slot has rested: what belonged to it is over. */
  over(slot: number): void {
    this.#bySlot[slot] = null;
  }

  /**
   * Takes over the answers in these slots, which an earlier process has published, some a slice; those to whose question
   * the cache has another answer are taken out.
   */
  *adopt(slots: readonly number[]): Generator<void, void> {
    for (const [index, slot] of slots.entries()) {
      if (index % adoptedPerSlice === adoptedPerSlice - 1) yield;
      if (!this.#slots.isPublished(slot)) continue;
      const adopted = this.#adopted(slot);
      if (adopted === null) this.#slots.takeOut(slot, 0);
      else this.#own(slot, adopted);
    }
  }

  #adopted(slot: number): Published | null {
    const { blocks, query } = this.#context;
    const { question, recordsBytes, rcode, key, place, storedAtMs, expiresAtMs } = readSlot(this.#slots.bytes(slot));
    const packet = packetFor(question);
    const table = this.#tables[place];
    const zone = table === undefined ? null : this.#zoneOf(question, table);
    if (zone === null) return null;
    const { type, questionEnd } = query;
    const isDenial = type === typeAaaa && zone.aaaa !== aaaaForward;
    if (isDenial) setU16(packet, questionEnd - 4, typeA);
    const hash = blocks.hash(packet, questionEnd, zone.zoneId, key);
    const ref = blocks.findHashed(hash, packet, questionEnd, zone.zoneId, key);
    const isOther = ref !== 0 && Math.abs(blocks.expiresAtMs(ref) - expiresAtMs) > sameTimeMs;
    if (isOther && expiresAtMs !== Number.POSITIVE_INFINITY) return null;
    const use = this.#adoptedUse(ref, hash, zone, { storedAtMs, expiresAtMs });
    const kind = isDenial ? null : rcode === rcodeNxDomain ? kindDenial : kindSuccess;
    return {
      ref,
      use,
      kind,
      ordinal: zone.ordinal,
      type,
      rcode,
      dnssecOk: (key & keyDnssecOk) !== 0,
      queryBytes: questionEnd,
      answerBytes: questionEnd + recordsBytes,
      idleRounds: 0,
    };
  }

  /** Of the answer whose place the entry's takes; null: nothing was published just before. */
  #before(ref: BlockRef): Use | null {
    const hash = this.#context.blocks.words[ref >> 2];
    return this.#lastOut?.hash === hash ? this.#lastOut : (this.#withoutEntry.get(hash) ?? null);
  }

  /** One for all slots of an answer. A denial that does not expire says nothing of the end of its name's answer. */
  #adoptedUse(ref: BlockRef, hash: number, zone: ServedZone, times: Times): Use {
    const known = ref === 0 ? this.#withoutEntry.get(hash) : this.#bySlot[this.#byRef.get(ref)?.[0] ?? -1]?.use;
    if (known !== undefined && known.expiresAtMs !== Number.POSITIVE_INFINITY) return known;
    const use = ref === 0 ? newUse(hash, zone, times, null) : this.#useOf(ref, zone, null);
    if (ref === 0) this.#withoutEntry.set(hash, use);
    return use;
  }

  #useOf(ref: BlockRef, zone: ServedZone, before: Use | null): Use {
    const { blocks } = this.#context;
    const times = { storedAtMs: blocks.storedAtMs(ref), expiresAtMs: blocks.expiresAtMs(ref) };
    return newUse(blocks.words[ref >> 2], zone, times, before);
  }

  #isPlain(ref: BlockRef): boolean {
    const { blocks } = this.#context;
    const isLasting = blocks.kind(ref) !== kindServfail && blocks.recheckAtMs(ref) !== onFailureOnly;
    return isLasting && (messageFlags(blocks.message(ref)) & flagTc) === 0;
  }

  /** The zone in which the kernel may answer the question, to which the context's query then belongs. */
  #zoneOf(question: Uint8Array, table: ZoneTable): ServedZone | null {
    const { query } = this.#context;
    const zone = zoneOfQuestion(table, question, query);
    return zone?.isForKernel && zone.cache !== null && query.class === classIn ? zone : null;
  }

  #answerOf(ref: BlockRef, zone: ServedZone, place: number, questionEnd: number): LaneAnswer {
    const { blocks } = this.#context;
    const expiresAtMs = blocks.expiresAtMs(ref);
    const { staleTtlSeconds } = zone.cache!;
    const first = blocks.ttlOffsets(ref);
    return {
      message: blocks.message(ref),
      questionEnd,
      ttlPlaces: [...blocks.halves.subarray(first, first + blocks.records(ref))],
      storedAtMs: blocks.storedAtMs(ref),
      expiresAtMs,
      staleUntilMs: expiresAtMs + laneStaleMaxMs,
      staleTtlSeconds: staleTtlSeconds || staleTtlSecondsDefault,
      key: blocks.key(ref),
      place,
      udpBytes: zone.udpBytes,
      flagsSet: zone.flags?.set ?? 0,
      flagsCleared: zone.flags?.clear ?? 0,
      generation: this.#generation,
    };
  }

  /** The zone's denial for AAAA of the name whose A, which the question asks for, is this answer. */
  #denialFor(question: Uint8Array, zone: ServedZone, answer: LaneAnswer): LaneAnswer {
    const context = this.#context;
    const isGone = (answer.message[3] & 0x0f) === rcodeNxDomain;
    const isSmart = zone.aaaa !== aaaaNxdomain && zone.aaaa !== aaaaNodata;
    const rcode = zone.aaaa === aaaaNxdomain || (isSmart && isGone) ? rcodeNxDomain : rcodeNoError;
    const packet = packetFor(question);
    setU16(packet, packet.length - 4, typeAaaa);
    readQuery(packet, packet.length, context.query);
    context.zone = zone;
    const bytes = context.answerDenial(packet, zone, rcode);
    const forever = { expiresAtMs: Number.POSITIVE_INFINITY, staleUntilMs: 0 };
    return {
      ...answer,
      message: copyOf(context.slot.bytes, 0, bytes),
      ttlPlaces: [],
      ...(isSmart ? {} : forever),
    };
  }

  #put(answer: LaneAnswer, published: Published, nowMs: number): Publication {
    const slot = this.#slots.publish(answer, nowMs, (replaced) => this.#forget(replaced));
    if (slot === 'no fit') return 'not for the kernel';
    if (slot === 'no room') return slot;
    this.#own(slot, published);
    return 'published';
  }

  #own(slot: number, published: Published): void {
    this.#bySlot[slot] = published;
    const { ref, use } = published;
    this.dueAtMs[slot] = Math.min(use.refreshAtMs, use.prefetchAtMs);
    if (ref === 0) return;
    const slots = this.#byRef.get(ref);
    if (slots === undefined) this.#byRef.set(ref, [slot]);
    else slots.push(slot);
  }

  /** The slot is no longer published, but its answers are still to be counted. */
  #forget(slot: number): void {
    const ref = this.#bySlot[slot]?.ref ?? 0;
    const slots = this.#byRef.get(ref)?.filter((other) => other !== slot);
    if (slots === undefined) return;
    if (slots.length === 0) this.#byRef.delete(ref);
    else this.#byRef.set(ref, slots);
  }
}

interface Times {
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
}

/** Of an answer to the question with this hash, which takes the place of another one, or of none. */
function newUse(hash: number, zone: ServedZone, { storedAtMs, expiresAtMs }: Times, before: Use | null): Use {
  const lifetimeMs = expiresAtMs - storedAtMs;
  const { prefetchHits, prefetchShare } = zone.cache!;
  const wasAsked = before?.refresh === 'asked';
  // An upstream that counts TTLs down has given the same answer again.
  const isSame = wasAsked && expiresAtMs < before.expiresAtMs + laneRefreshBeforeMs;
  const skips = isSame ? laneRefreshesSkipped : Math.max(0, (before?.skips ?? 0) - 1);
  const halfMs = lifetimeMs / 2;
  const lastMs = wasAsked ? storedAtMs - before.askedAtMs : 0;
  const tookMs = Math.min(Math.max(lastMs, (before?.tookMs ?? 0) / 2), halfMs);
  const beforeMs = Math.min(laneRefreshBeforeMs + Math.max(0, tookMs - laneRefreshAnswerMs), halfMs);
  const isForRefresh = skips === 0 && lifetimeMs >= laneRefreshLifetimeMsMin;
  const isForPrefetch = prefetchHits > 0 && expiresAtMs !== Number.POSITIVE_INFINITY;
  return {
    hash,
    expiresAtMs,
    refreshAtMs: isForRefresh ? expiresAtMs - beforeMs : Number.POSITIVE_INFINITY,
    // As `answerNow` would begin it.
    prefetchAtMs: isForPrefetch ? expiresAtMs - Math.max(1_000, lifetimeMs * prefetchShare) : Number.POSITIVE_INFINITY,
    prefetchHits,
    givenAtMs: Number.NEGATIVE_INFINITY,
    refresh: 'none',
    askedAtMs: Number.NEGATIVE_INFINITY,
    tookMs,
    isRefreshed: wasAsked && !isSame,
    skips,
  };
}

function publishedOf(
  ref: BlockRef,
  { ordinal }: ServedZone,
  { message, questionEnd, key }: LaneAnswer,
  of: Pick<Published, 'use' | 'kind' | 'type'>,
): Published {
  return {
    ...of,
    ref,
    ordinal,
    rcode: message[3] & 0x0f,
    dnssecOk: (key & keyDnssecOk) !== 0,
    queryBytes: questionEnd,
    answerBytes: message.length,
    idleRounds: 0,
  };
}

/** Of a stored message. */
function questionIn(message: Uint8Array): Uint8Array {
  return message.subarray(headerBytes, skipPlainName(message, headerBytes, message.length) + 4);
}

/** A query with the question and nothing else. */
function packetFor(question: Uint8Array): Uint8Array {
  const packet = new Uint8Array(headerBytes + question.length);
  packet.set(question, headerBytes);
  setU16(packet, atFlags, flagRd);
  setU16(packet, atQuestions, 1);
  return packet;
}
