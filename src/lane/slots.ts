/**
 * The memory that the program reads, as user space writes it: which slots are in use, and the index that leads to them. A
 * slot is written while no index entry leads to it, then its entry with one store; it is taken out with one store as
 * well, and rests until no program can still be reading it.
 *
 *   free ──publish──> published ──take out──> resting ──a second──> free
 */
import { assert, laneQuarantineMs, laneSlots } from '../limits.js';
import { indexPlace, type LaneAnswer, laneHash, writeSlot } from './entry.js';
import { laneSlotBytes, markLayout, slotLayout, variantsCount, waysPerBucket } from './layout.js';

/** The maps' memory, or memory of a test. */
export interface SlotMemory {
  readonly slots: ArrayBuffer;
  readonly index: ArrayBuffer;
  readonly marks: ArrayBuffer;
}

const markWords = markLayout.bytes / 4;
const slotMask = 0xffff_ffffn;
const emptyWay = 0n;

export class Slots {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #entries: BigUint64Array;
  readonly #marks: Uint32Array;
  readonly #seed: bigint;
  /** Of each published slot, its entry's place in the index; -1 for others. */
  readonly #places = new Int32Array(laneSlots).fill(-1);
  readonly #free: number[] = [];
  /** In the order in which they were taken out. */
  readonly #resting: { readonly slot: number; readonly sinceMs: number }[] = [];
  #published = 0;

  constructor({ slots, index, marks }: SlotMemory, seed: bigint) {
    this.#bytes = new Uint8Array(slots);
    this.#words = new Uint32Array(slots);
    this.#entries = new BigUint64Array(index);
    this.#marks = new Uint32Array(marks);
    this.#seed = seed;
    for (let slot = laneSlots - 1; slot >= 0; slot--) this.#free.push(slot);
  }

  get published(): number {
    return this.#published;
  }

  get free(): number {
    return this.#free.length;
  }

  /** Its bytes, to read. */
  bytes(slot: number): Uint8Array {
    return this.#bytes.subarray(slot * laneSlotBytes, (slot + 1) * laneSlotBytes);
  }

  isPublished(slot: number): boolean {
    return this.#places[slot] >= 0;
  }

  /**
   * Publishes the answer in place of one to the same question, if there is one; its slot, or why there is none: it does
   * not fit, or there is no room. `replaced` is called with the slot of the other. One that is the same stays where it is.
   */
  publish(answer: LaneAnswer, nowMs: number, replaced: (slot: number) => void): number | 'no fit' | 'no room' {
    const slot = this.#free.pop();
    if (slot === undefined) return 'no room';
    const bytes = this.bytes(slot);
    if (!writeSlot(bytes, answer)) {
      this.#free.push(slot);
      return 'no fit';
    }
    const { bucket, entry } = indexPlace(laneHash(bytes, this.#seed), slot);
    const same = this.#slotAt(this.#sameTag(bucket, entry));
    if (same >= 0 && Buffer.compare(this.bytes(same), bytes) === 0) {
      this.#free.push(slot);
      replaced(same);
      return same;
    }
    const place = this.#wayFor(bucket, entry, nowMs, replaced);
    if (place < 0) {
      this.#free.push(slot);
      return 'no room';
    }
    this.#places[slot] = place;
    this.#published++;
    Atomics.store(this.#entries, place, entry);
    return slot;
  }

  takeOut(slot: number, nowMs: number): void {
    const place = this.#places[slot];
    assert(place >= 0, 'a slot that is taken out is published');
    Atomics.store(this.#entries, place, emptyWay);
    this.#rest(slot, nowMs);
  }

  /** Takes out all of them at once; calls `taken` with each. */
  takeOutAll(nowMs: number, taken: (slot: number) => void): void {
    this.#entries.fill(emptyWay);
    for (let slot = 0; slot < laneSlots; slot++) {
      if (this.#places[slot] < 0) continue;
      this.#rest(slot, nowMs);
      taken(slot);
    }
  }

  /** Slots that have rested long enough are free; calls `rested` with each before. */
  wake(nowMs: number, rested: (slot: number) => void): void {
    let count = 0;
    for (const { slot, sinceMs } of this.#resting) {
      if (nowMs - sinceMs < laneQuarantineMs) break;
      rested(slot);
      this.#free.push(slot);
      count++;
    }
    this.#resting.splice(0, count);
  }

  /**
   * The slots that are published in the memory, which was copied from another process's: those with an entry in the index
   * and this generation. Other entries are taken out. Before anything is published here.
   */
  adopt(generation: number): readonly number[] {
    const adopted: number[] = [];
    for (let place = 0; place < this.#entries.length; place++) {
      const entry = this.#entries[place];
      if (entry === emptyWay) continue;
      const slot = this.#slotAt(place);
      if (this.#isSound(slot, generation)) {
        this.#places[slot] = place;
        adopted.push(slot);
      } else this.#entries[place] = emptyWay;
    }
    const taken = new Set(adopted);
    this.#published = adopted.length;
    const free = this.#free.filter((slot) => !taken.has(slot));
    this.#free.length = 0;
    this.#free.push(...free);
    return adopted;
  }

  /**
   * Calls `each` with the answers that the slot has given and nobody has counted, of each variant with some; they count
   * as counted. Whether there were any.
   */
  uncounted(slot: number, each: (variant: number, answers: number) => void): boolean {
    let isAny = false;
    const first = slot * markWords;
    for (let variant = 0; variant < variantsCount; variant++) {
      const place = first + markLayout.answers / 4 + variant;
      const counted = first + markLayout.counted / 4 + variant;
      const answers = Atomics.load(this.#marks, place);
      const more = (answers - this.#marks[counted]) >>> 0;
      if (more === 0) continue;
      this.#marks[counted] = answers;
      isAny = true;
      each(variant, more);
    }
    return isAny;
  }

  /** What another process's program has given of these answers and nobody has counted, by its marks, is counted here. */
  addUncounted(marks: Uint32Array): void {
    for (let slot = 0; slot < laneSlots; slot++) {
      if (this.#places[slot] < 0) continue;
      const first = slot * markWords;
      for (let variant = 0; variant < variantsCount; variant++) {
        const place = first + markLayout.answers / 4 + variant;
        const more = (marks[place] - marks[first + markLayout.counted / 4 + variant]) >>> 0;
        if (more > 0) Atomics.add(this.#marks, place, more);
      }
    }
  }

  #rest(slot: number, nowMs: number): void {
    this.#places[slot] = -1;
    this.#published--;
    this.#resting.push({ slot, sinceMs: nowMs });
  }

  /** The way with the same hash, else a free one; -1: all are taken by others. */
  #wayFor(bucket: number, entry: bigint, nowMs: number, replaced: (slot: number) => void): number {
    const same = this.#sameTag(bucket, entry);
    if (same < 0) {
      for (let place = bucket * waysPerBucket; place < (bucket + 1) * waysPerBucket; place++)
        if (this.#entries[place] === emptyWay) return place;
      return -1;
    }
    const slot = this.#slotAt(same);
    // The new entry is written in its place, so no packet finds neither.
    this.#rest(slot, nowMs);
    replaced(slot);
    return same;
  }

  #sameTag(bucket: number, entry: bigint): number {
    const tag = entry >> 32n;
    for (let place = bucket * waysPerBucket; place < (bucket + 1) * waysPerBucket; place++) {
      const other = this.#entries[place];
      if (other !== emptyWay && other >> 32n === tag) return place;
    }
    return -1;
  }

  /** -1: none. */
  #slotAt(place: number): number {
    return place < 0 ? -1 : Number(this.#entries[place] & slotMask) - 1;
  }

  #isSound(slot: number, generation: number): boolean {
    if (slot < 0 || slot >= laneSlots || this.#places[slot] >= 0) return false;
    return this.#words[(slot * laneSlotBytes + slotLayout.generation) >> 2] === generation;
  }
}
