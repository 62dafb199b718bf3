/**
 * Cached answers as bytes, for another process or a file: the zone's name, the time of the answer, and the message as
 * stored. Nothing that the message tells is repeated, so a reader trusts only what it has parsed. resolve/ decides what
 * becomes of an entry.
 *
 *   chunk: | format | zones | length name … | entry … |     entry: | length | zone | key | stored at | message |
 *
 * Numbers are little-endian; times are milliseconds of the writer's monotonic clock.
 */
import type { BlockRef, Blocks } from '../cache/blocks.js';
import { atQuestions, copyOf, setU16, skipPlainName } from '../dns/wire.js';
import { entriesChunkBytes, headerBytes, messageBytesMax } from '../limits.js';

/** Changes when old readers would misread the new format. */
export const entriesFormat = 1;

const entryHeaderBytes = 4 + 2 + 2 + 8;

interface EntrySource {
  readonly blocks: Blocks;
  /** Whether the entry is still cached: the block may have been reused. */
  holds(ref: BlockRef): boolean;
  /** The zone's name in all processes; null when it is no longer served. */
  zoneName(zoneId: number): string | null;
  wrote?(): void;
}

/** An entry of another process; borrows the message. */
export interface Entry {
  readonly zone: string;
  readonly key: number;
  readonly storedAtMs: number;
  readonly message: Uint8Array;
}

/** An entry of this process, with its own number for the zone. */
export interface Held extends Omit<Entry, 'zone'> {
  readonly zoneId: number;
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
export function* writeEntries(source: EntrySource, these: Iterable<BlockRef | Held>): Generator<Uint8Array> {
  let chunk = new Chunk();
  for (const one of these) {
    const entry = typeof one === 'number' ? keptIn(source, one) : one;
    const zone = entry === null ? null : source.zoneName(entry.zoneId);
    if (entry === null || zone === null) continue;
    chunk.add(entry, zone);
    source.wrote?.();
    if (chunk.bytes < entriesChunkBytes) continue;
    yield chunk.take();
    chunk = new Chunk();
  }
  if (chunk.bytes > 0) yield chunk.take();
}

function keptIn({ blocks, holds }: EntrySource, ref: BlockRef): Held | null {
  if (!holds(ref)) return null;
  const message = blocks.message(ref);
  return { zoneId: blocks.zoneId(ref), key: blocks.key(ref), storedAtMs: blocks.storedAtMs(ref), message };
}

class Chunk {
  bytes = 0;
  readonly #zones = new Map<string, number>();
  readonly #entries: Buffer[] = [];

  add({ key, storedAtMs, message }: Held, zone: string): void {
    const index = this.#zones.get(zone) ?? this.#zones.size;
    this.#zones.set(zone, index);
    const entry = Buffer.allocUnsafe(entryHeaderBytes + message.length);
    entry.writeUInt32LE(message.length, 0);
    entry.writeUInt16LE(index, 4);
    entry.writeUInt16LE(key, 6);
    entry.writeDoubleLE(storedAtMs, 8);
    entry.set(message, entryHeaderBytes);
    this.#entries.push(entry);
    this.bytes += entry.length;
  }

  take(): Uint8Array {
    const names = [...this.#zones.keys()].flatMap((zone) => {
      const name = Buffer.from(zone);
      return [halfWord(name.length), name];
    });
    return Buffer.concat([halfWord(entriesFormat), halfWord(this.#zones.size), ...names, ...this.#entries]);
  }
}

function halfWord(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

/** Calls `take` with each entry. False: the chunk is broken from there on, or of another format. */
export function readEntries(chunk: Uint8Array, take: (entry: Entry) => void): boolean {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
  if (bytes.length < 4 || bytes.readUInt16LE(0) !== entriesFormat) return false;
  const zones: string[] = [];
  let at = 4;
  for (let left = bytes.readUInt16LE(2); left > 0; left--) {
    if (at + 2 > bytes.length) return false;
    const end = at + 2 + bytes.readUInt16LE(at);
    if (end > bytes.length) return false;
    zones.push(bytes.toString('utf8', at + 2, end));
    at = end;
  }
  while (at < bytes.length) {
    if (at + entryHeaderBytes > bytes.length) return false;
    const length = bytes.readUInt32LE(at);
    const zone = zones[bytes.readUInt16LE(at + 4)];
    const key = bytes.readUInt16LE(at + 6);
    const storedAtMs = bytes.readDoubleLE(at + 8);
    at += entryHeaderBytes;
    if (length < headerBytes || length > messageBytesMax || at + length > bytes.length) return false;
    if (zone === undefined || key > 3 || !Number.isFinite(storedAtMs)) return false;
    take({ zone, key, storedAtMs, message: bytes.subarray(at, at + length) });
    at += length;
  }
  return true;
}
