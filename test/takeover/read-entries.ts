/** What a chunk of cached answers has, as objects. */
import { EntriesReader } from '../../src/takeover/entries.js';

export interface Entry {
  readonly zone: string;
  readonly key: number;
  readonly storedAtMs: number;
  /** A copy. */
  readonly message: Uint8Array;
}

/** Calls `take` with each entry. False: the chunk is broken from there on, or of another format. */
export function readEntries(chunk: Uint8Array, take: (entry: Entry) => void): boolean {
  const reader = new EntriesReader();
  if (!reader.begin(chunk)) return false;
  while (reader.next()) {
    const { zones, zone, key, storedAtMs, bytes, from, end } = reader;
    take({ zone: zones[zone], key, storedAtMs, message: Uint8Array.from(bytes.subarray(from, end)) });
  }
  return reader.isWhole;
}
