/**
 * A ring in shared memory through which a worker defers packets to the main thread, and gives it answers for the cache:
 * one writer, one reader. An entry holds the packet and all that answering it needs. Without room the worker answers SERVFAIL; in the second half of the
 * room each client has a bounded share. A flag makes one wake-up enough for all entries until the reader looks.
 *
 *   words: | … | written | … | taken | … | woken | … |   entries: | bytes kind socket length … arrived peer | packet |
 *
 * Positions count bytes and overflow; an entry never wraps: what is left at the end is skipped.
 */
import { type HashKey, hashWords } from '../dns/hash.js';
import { Prefixes } from '../dns/prefixes.js';
import { receiveSlotBytes, ringBytes, ringClientShare } from '../limits.js';
import { linux } from '../os/system-calls.js';
import { type Datagrams, peerAddressWords, peerWords } from './message-batch.js';

/** A query to answer, or one that has its answer and needs a refresh. */
export const kindQuestion = 0;
export const kindRefresh = 1;
/** An answer for the cache: bytes that resolve/ has written and reads. Its client has been answered. */
export const kindAnswer = 2;
export type EntryKind = typeof kindQuestion | typeof kindRefresh | typeof kindAnswer;

/** A cache line apart, because the two threads write them, and one from what lies before the memory. */
const writtenWord = 16;
const takenWord = 32;
const wokenWord = 48;
const entriesFromByte = 256;

const atBytes = 0;
const recordAtKind = 1;
const atSocket = 2;
const atLength = 3;
const atNameBytes = 4;
/** Of an answer, in place of the size of a name. */
const atOrders = 4;
const atControlBytes = 5;
const atArrived = 6;
const atPeer = 8;
const entryHeaderWords = atPeer + peerWords;
/** Instead of an entry's bytes: the rest up to the end is empty. */
const skip = 0;

export function ringMemory(bytes = ringBytes): SharedArrayBuffer {
  return new SharedArrayBuffer(entriesFromByte + bytes);
}

/** The memory comes from `ringMemory`; its size is a power of two. */
class Ring {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly bytes: Uint8Array;
  readonly size: number;

  constructor(memory: SharedArrayBuffer) {
    this.size = memory.byteLength - entriesFromByte;
    this.words = new Int32Array(memory);
    this.doubles = new Float64Array(memory);
    this.bytes = new Uint8Array(memory);
  }

  at(position: number): number {
    return entriesFromByte + (position & (this.size - 1));
  }
}

export class RingWriter {
  readonly #ring: Ring;
  readonly #shares: RingShares;
  readonly #hashKey: HashKey;
  #skipped = 0;

  constructor(memory: SharedArrayBuffer, hashKey: HashKey) {
    this.#ring = new Ring(memory);
    this.#shares = new RingShares(this.#ring.size / 2);
    this.#hashKey = hashKey;
  }

  /** Copies a received datagram and its sender; false without room, or when this client's share is used up. */
  put(kind: EntryKind, socket: number, arrivedMs: number, from: Datagrams, index: number): boolean {
    const { words, bytes, size } = this.#ring;
    const length = from.length(index);
    const needed = (entryHeaderWords * 4 + length + 7) & ~7;
    const left = this.#leftAfter(needed);
    if (left < 0) return false;
    if (left >= size / 2) this.#shares.forget();
    // Refreshes are worth less than queries, and leave them half of the room.
    else if (kind === kindRefresh) return false;
    else if (!this.#takeShare(from, index, needed)) return false;
    const position = this.#place();
    const entry = this.#begin(position, needed, kind, socket, length, arrivedMs);
    words[entry + atNameBytes] = from.nameBytes(index);
    words[entry + atControlBytes] = from.controlBytes(index);
    const peer = from.peerAt(index);
    for (let word = 0; word < peerWords; word++) words[entry + atPeer + word] = from.words[peer + word];
    const packet = from.slots[index].bytes;
    const to = (entry + entryHeaderWords) * 4;
    for (let byte = 0; byte < length; byte++) bytes[to + byte] = packet[byte];
    Atomics.store(words, writtenWord, (position + needed) | 0);
    return true;
  }

  /** Copies an answer that came while these orders held; false without room. Like a refresh it leaves queries half. */
  putAnswer(socket: number, orders: number, arrivedMs: number, answer: Uint8Array): boolean {
    const { words, bytes, size } = this.#ring;
    const { length } = answer;
    const needed = (entryHeaderWords * 4 + length + 7) & ~7;
    if (this.#leftAfter(needed) < size / 2) return false;
    const position = this.#place();
    const entry = this.#begin(position, needed, kindAnswer, socket, length, arrivedMs);
    words[entry + atOrders] = orders;
    const to = (entry + entryHeaderWords) * 4;
    for (let byte = 0; byte < length; byte++) bytes[to + byte] = answer[byte];
    Atomics.store(words, writtenWord, (position + needed) | 0);
    return true;
  }

  /** The room that is left after an entry of so many bytes, negative without room; `#place` then follows from it. */
  #leftAfter(needed: number): number {
    const { words, size } = this.#ring;
    const written = words[writtenWord];
    const toEnd = size - (written & (size - 1));
    this.#skipped = toEnd < needed ? toEnd : 0;
    return size - ((written - Atomics.load(words, takenWord)) | 0) - this.#skipped - needed;
  }

  /** The position of the next entry, behind what is skipped. */
  #place(): number {
    const { words } = this.#ring;
    const written = words[writtenWord];
    if (this.#skipped > 0) words[this.#ring.at(written) >> 2] = skip;
    return (written + this.#skipped) | 0;
  }

  /** Writes what all entries begin with; the entry's first word. */
  #begin(position: number, needed: number, kind: EntryKind, socket: number, length: number, arrivedMs: number): number {
    const { words, doubles } = this.#ring;
    const entry = this.#ring.at(position) >> 2;
    words[entry + atBytes] = needed;
    words[entry + recordAtKind] = kind;
    words[entry + atSocket] = socket;
    words[entry + atLength] = length;
    doubles[(entry + atArrived) >> 1] = arrivedMs;
    return entry;
  }

  #takeShare(from: Datagrams, index: number, bytes: number): boolean {
    return this.#shares.take(clientNumber(from.words, from.peerAt(index), this.#hashKey), bytes);
  }

  /** Whether to wake the reader; true once until it looks. */
  mustWake(): boolean {
    return Atomics.exchange(this.#ring.words, wokenWord, 1) === 0;
  }
}

/** About the number of entries in the second half of a ring; a power of two. */
const clientPlaces = 4_096;
/** Slots searched for a client, from its number on. */
const placesTried = 8;

/** Bytes put in by each client while room was scarce. Without a free slot, which nobody can provoke, it shares one. */
class RingShares {
  readonly #clients = new Int32Array(clientPlaces);
  readonly #bytesOf = new Int32Array(clientPlaces);
  readonly #roomBytes: number;
  #bytes = 0;

  constructor(roomBytes: number) {
    this.#roomBytes = roomBytes;
  }

  take(client: number, bytes: number): boolean {
    // The reader has taken as much meanwhile.
    if (this.#bytes + bytes > this.#roomBytes) this.forget();
    const place = this.#placeOf(client);
    if (this.#bytesOf[place] + bytes > this.#roomBytes * ringClientShare) return false;
    if (this.#bytesOf[place] === 0) this.#clients[place] = client;
    this.#bytesOf[place] += bytes;
    this.#bytes += bytes;
    return true;
  }

  #placeOf(client: number): number {
    for (let tried = 0; ; tried++) {
      const place = (client + tried) & (clientPlaces - 1);
      const isOurs = this.#bytesOf[place] === 0 || this.#clients[place] === client;
      if (isOurs || tried === placesTried - 1) return place;
    }
  }

  forget(): void {
    if (this.#bytes === 0) return;
    this.#bytes = 0;
    this.#bytesOf.fill(0);
  }
}

/** Reads one entry after another; the fields describe the current one. */
export class RingReader {
  kind: EntryKind = kindQuestion;
  socket = 0;
  arrivedMs = 0;
  /** Of an answer: the orders that held when it came. */
  orders = 0;
  nameBytes = 0;
  controlBytes = 0;
  /** A copy of the packet, overwritten by the next entry. */
  packet: Uint8Array = new Uint8Array(0);
  readonly #ring: Ring;
  readonly #copy = new Prefixes(new Uint8Array(receiveSlotBytes));
  #entry = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new Ring(memory);
  }

  /** Says that the reader looks now: later entries need another wake-up. */
  awake(): void {
    Atomics.store(this.#ring.words, wokenWord, 0);
  }

  /** Frees the current entry and goes to the next; false without one. */
  next(): boolean {
    const { words, doubles, bytes, size } = this.#ring;
    let taken = words[takenWord];
    if (this.#entry !== 0) taken = (taken + words[this.#entry + atBytes]) | 0;
    this.#entry = 0;
    const written = Atomics.load(words, writtenWord);
    if (taken !== written && words[this.#ring.at(taken) >> 2] === skip)
      taken = (taken + size - (taken & (size - 1))) | 0;
    Atomics.store(words, takenWord, taken);
    if (taken === written) return false;
    const entry = this.#ring.at(taken) >> 2;
    this.#entry = entry;
    this.kind = words[entry + recordAtKind] as EntryKind;
    this.socket = words[entry + atSocket];
    this.nameBytes = words[entry + atNameBytes];
    this.orders = words[entry + atOrders];
    this.controlBytes = words[entry + atControlBytes];
    this.arrivedMs = doubles[(entry + atArrived) >> 1];
    const length = words[entry + atLength];
    const from = (entry + entryHeaderWords) * 4;
    const packet = this.#copy.of(length);
    for (let byte = 0; byte < length; byte++) packet[byte] = bytes[from + byte];
    this.packet = packet;
    return true;
  }

  /** The memory that holds the entry's peer, at word `peerAt`. */
  get peerWords(): Int32Array {
    return this.#ring.words;
  }

  get peerAt(): number {
    return this.#entry + atPeer;
  }

  /** Copies the entry's peer, without a control message only its address; `peer` has `peerWords` words. */
  copyPeer(peer: Int32Array): void {
    const { words } = this.#ring;
    const from = this.#entry + atPeer;
    const count = this.controlBytes === 0 ? peerAddressWords : peerWords;
    for (let word = 0; word < count; word++) peer[word] = words[from + word];
  }
}

/** The end of the third word of an IPv4-mapped address, read as little-endian. */
const mappedWord = -0x1_0000;

/**
 * A client's number, from the address in these words of a socket address, whatever its port and family. Without the key
 * nobody finds an address with the number of another client.
 */
export function clientNumber(words: Int32Array, at: number, key: HashKey): number {
  if ((words[at] & 0xffff) === linux.familyIpv4) return hashWords(words, at + 1, 1, key);
  const isMapped = words[at + 2] === 0 && words[at + 3] === 0 && words[at + 4] === mappedWord;
  return isMapped ? hashWords(words, at + 5, 1, key) : hashWords(words, at + 2, 4, key);
}
