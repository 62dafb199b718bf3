/**
 * Cached answers as bytes, for another process or a file: the zone's name, the time of the answer, and the message as
 * stored. Nothing that the message tells is repeated, so a reader trusts only what it has parsed. resolve/ decides what
 * becomes of an entry. A takeover passes all of them while clients wait for the same processor, so none gets an object,
 * a view or a closure of its own.
 *
 *   chunk: | format | zones | length name … | entry … |     entry: | length | zone | key | stored at | message |
 *
 * Numbers are little-endian; times are milliseconds of the writer's monotonic clock.
 */
import { atMessage, type BlockRef, type Blocks } from '../cache/blocks.js';
import { atQuestions, copyOf, copyPart, setU16, skipPlainName } from '../dns/wire.js';
import { entriesChunkBytes, headerBytes, messageBytesMax } from '../limits.js';

/** Changes when old readers would misread the new format. */
export const entriesFormat = 1;

// Byte offsets in an entry.
const entryZone = 4;
const entryKey = 6;
const entryStored = 8;
const entryHeaderBytes = 16;

const keyMax = 3;

interface EntrySource {
  readonly blocks: Blocks;
  /** Whether the entry is still cached: the block may have been reused. */
  holds(ref: BlockRef): boolean;
  /** The zone's name in all processes; null when it is no longer served. */
  zoneName(zoneId: number): string | null;
  wrote?(): void;
}

/** An answer of this process that is in no block. */
export interface Held {
  readonly zoneId: number;
  readonly key: number;
  readonly storedAtMs: number;
  readonly message: Uint8Array;
}

/** An entry that ends the answer in this block now: a message without records, which no reader stores. */
export function endingOf(blocks: Blocks, ref: BlockRef, nowMs: number): Held {
  const kept = blocks.message(ref);
  const message = copyOf(kept, 0, skipPlainName(kept, headerBytes, kept.length) + 4);
  message.fill(0, 0, headerBytes);
  setU16(message, atQuestions, 1);
  return { zoneId: blocks.zoneId(ref), key: blocks.key(ref), storedAtMs: nowMs, message };
}

/** Chunks of about 16 kB, made on demand, of entries that are still cached and of endings. */
export function* writeEntries(
  source: EntrySource,
  slices: Iterable<readonly (BlockRef | Held)[]>,
): Generator<Uint8Array, void> {
  let chunk: Chunk | null = null;
  for (const these of slices) {
    for (let next = 0; next < these.length; ) {
      chunk ??= new Chunk(source);
      next = chunk.add(these, next);
      if (chunk.isFull) yield chunk.take();
    }
  }
  if (chunk !== null && !chunk.isEmpty) yield chunk.take();
}

class Chunk {
  readonly #source: EntrySource;
  /** The zones' names in the order of their places, each behind its length. */
  readonly #names: Buffer[] = [];
  /** The places of zones by their ids. */
  readonly #places = new Map<number, number>();
  /** The entries, in memory that the next chunk uses again; the last one may be as long as any message. */
  readonly #bytes = new Uint8Array(entriesChunkBytes + entryHeaderBytes + messageBytesMax);
  readonly #view = new DataView(this.#bytes.buffer);
  #end = 0;

  constructor(source: EntrySource) {
    this.#source = source;
  }

  get isEmpty(): boolean {
    return this.#end === 0;
  }

  get isFull(): boolean {
    return this.#end >= entriesChunkBytes;
  }

  /** Adds entries, from index `from` on, until it is full; the index of the next one. */
  add(these: readonly (BlockRef | Held)[], from: number): number {
    let index = from;
    while (index < these.length && !this.isFull) {
      const one = these[index++];
      if (typeof one === 'number') this.#addKept(one);
      else this.#addHeld(one);
    }
    return index;
  }

  #addKept(ref: BlockRef): void {
    const { blocks } = this.#source;
    if (!this.#source.holds(ref)) return;
    const length = blocks.messageBytes(ref);
    if (!this.#begin(blocks.zoneId(ref), length)) return;
    this.#view.setUint16(this.#end + entryKey, blocks.key(ref), true);
    this.#view.setFloat64(this.#end + entryStored, blocks.storedAtMs(ref), true);
    copyPart(blocks.bytes, ref + atMessage, length, this.#bytes, this.#end + entryHeaderBytes);
    this.#end += entryHeaderBytes + length;
  }

  #addHeld({ zoneId, key, storedAtMs, message }: Held): void {
    if (!this.#begin(zoneId, message.length)) return;
    this.#view.setUint16(this.#end + entryKey, key, true);
    this.#view.setFloat64(this.#end + entryStored, storedAtMs, true);
    this.#bytes.set(message, this.#end + entryHeaderBytes);
    this.#end += entryHeaderBytes + message.length;
  }

  /** Writes length and zone of the next entry; false if its zone is no longer served. */
  #begin(zoneId: number, length: number): boolean {
    const place = this.#places.get(zoneId) ?? this.#placeOf(zoneId);
    if (place === noPlace) return false;
    this.#view.setUint32(this.#end, length, true);
    this.#view.setUint16(this.#end + entryZone, place, true);
    this.#source.wrote?.();
    return true;
  }

  #placeOf(zoneId: number): number {
    const zone = this.#source.zoneName(zoneId);
    const place = zone === null ? noPlace : this.#names.length;
    this.#places.set(zoneId, place);
    if (zone !== null) this.#names.push(withLength(zone));
    return place;
  }

  /** A copy of the chunk, which is then empty: a reload may change the zones before the next one. */
  take(): Uint8Array {
    const start = Buffer.alloc(4);
    start.writeUInt16LE(entriesFormat, 0);
    start.writeUInt16LE(this.#names.length, 2);
    const chunk = Buffer.concat([start, ...this.#names, this.#bytes.subarray(0, this.#end)]);
    this.#names.length = 0;
    this.#places.clear();
    this.#end = 0;
    return chunk;
  }
}

const noPlace = -1;

function withLength(zone: string): Buffer {
  const name = Buffer.from(zone);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(name.length);
  return Buffer.concat([length, name]);
}

/** Reads chunks entry by entry: these fields are of the entry that `next` has read. Borrows the chunk. */
export class EntriesReader {
  bytes: Uint8Array = new Uint8Array(0);
  /** The zones' names. */
  zones: string[] = [];
  /** Index in `zones`. */
  zone = 0;
  key = 0;
  storedAtMs = 0;
  /** The message's place in `bytes`. */
  from = 0;
  end = 0;
  /** The chunk ends with an entry, as far as it was read. */
  isWhole = true;
  #view = new DataView(this.bytes.buffer);

  /** False: not a chunk of this format. */
  begin(chunk: Uint8Array): boolean {
    this.bytes = chunk;
    this.#view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    this.zones = [];
    this.isWhole = this.#readZones();
    return this.isWhole;
  }

  #readZones(): boolean {
    const { bytes } = this;
    const view = this.#view;
    if (bytes.length < 4 || view.getUint16(0, true) !== entriesFormat) return false;
    this.end = 4;
    for (let left = view.getUint16(2, true); left > 0; left--) {
      const from = this.end + 2;
      if (from > bytes.length) return false;
      this.end = from + view.getUint16(this.end, true);
      if (this.end > bytes.length) return false;
      this.zones.push(Buffer.from(bytes.subarray(from, this.end)).toString());
    }
    return true;
  }

  /** False without another entry, or when the next one is broken. */
  next(): boolean {
    const at = this.end;
    const view = this.#view;
    if (at === view.byteLength) return false;
    this.isWhole = false;
    this.from = at + entryHeaderBytes;
    if (this.from > view.byteLength) return false;
    const length = view.getUint32(at, true);
    this.zone = view.getUint16(at + entryZone, true);
    this.key = view.getUint16(at + entryKey, true);
    this.storedAtMs = view.getFloat64(at + entryStored, true);
    this.end = this.from + length;
    if (length < headerBytes || length > messageBytesMax || this.end > view.byteLength) return false;
    this.isWhole = this.zone < this.zones.length && this.key <= keyMax && Number.isFinite(this.storedAtMs);
    return this.isWhole;
  }
}
