/**
 * A reader of the shared cache in a thread of its own, as a worker is one: it looks up names in batches,
 * copies what it finds as an answer is copied, and checks that name and data belong together.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { atMessage, Blocks } from '../../src/cache/blocks.js';
import { Epochs } from '../../src/cache/epochs.js';
import type { HashKey } from '../../src/dns/hash.js';
import { headerBytes } from '../../src/limits.js';

export interface ReaderStart {
  readonly index: number;
  readonly memory: SharedArrayBuffer;
  readonly hashKey: HashKey;
  readonly epochs: SharedArrayBuffer;
  /** The first word stops the readers. */
  readonly stop: SharedArrayBuffer;
  readonly packets: readonly Uint8Array[];
}

export interface ReaderReport {
  readonly found: number;
  readonly mixed: string[];
}

const batch = 16;
/** Some microseconds. */
const dwell = 500;

function read({ index, memory, hashKey, epochs: shared, stop, packets }: ReaderStart): ReaderReport {
  const blocks = new Blocks(memory, hashKey);
  const epochs = new Epochs(shared);
  const stopped = new Int32Array(stop);
  const copy = new Uint8Array(70_000);
  const mixed: string[] = [];
  let found = 0;
  for (let next = index * 7; Atomics.load(stopped, 0) === 0; ) {
    epochs.enter(index);
    for (let count = 0; count < batch; count++) {
      next = (next + 1) % packets.length;
      const packet = packets[next];
      const ref = blocks.find(packet, packet.length, 1, 0);
      if (ref === 0) continue;
      found++;
      // A thread may be put aside at any place; here it is so, for a moment, in the worst one.
      for (let moment = 0; moment < dwell; moment++) Atomics.load(stopped, 0);
      const messageBytes = blocks.messageBytes(ref);
      const records = blocks.records(ref);
      const first = blocks.ttlOffsets(ref);
      for (let at = 0; at < messageBytes; at++) copy[at] = blocks.bytes[ref + atMessage + at];
      const why = differs(packet, copy, messageBytes, next, records);
      const ttls = Array.from({ length: records }, (_, record) => blocks.halves[first + record]);
      const badTtl = ttls.find((offset) => offset < packet.length || offset + 10 > messageBytes);
      if ((why !== null || badTtl !== undefined) && mixed.length < 5) mixed.push(why ?? `a TTL at ${badTtl}`);
    }
    epochs.leave(index);
  }
  return { found, mixed };
}

/** The question is the packet's, and every address ends in the name's number. */
function differs(
  packet: Uint8Array,
  copy: Uint8Array,
  messageBytes: number,
  number: number,
  records: number,
): string | null {
  for (let at = headerBytes; at < packet.length; at++) {
    if (copy[at] !== packet[at]) return `the question of ${number} at ${at}`;
  }
  if (records === 0 || messageBytes !== packet.length + 16 * records)
    return `${records} records in ${messageBytes} bytes for ${number}`;
  for (let record = 1; record <= records; record++) {
    const end = packet.length + 16 * record;
    if (((copy[end - 2] << 8) | copy[end - 1]) !== number) return `record ${record} of ${number}`;
  }
  return null;
}

parentPort?.postMessage(read(workerData as ReaderStart));
