/** Bytes and texts that are nearly right: real ones with a few changes of the kinds that parsers get wrong. */
import type { Random } from '../../src/os/random.js';

/** Lengths, pointers, label types and counts at their edges. */
const edges = [0, 1, 2, 0x0c, 0x29, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff];

/** One of `samples`, changed, cut, with parts doubled, left out or from another one. Bytes of its own. */
export function mutated(random: Random, samples: readonly Uint8Array[]): Buffer {
  let bytes: Buffer = Buffer.from(pick(random, samples));
  for (let left = random.below(6); left > 0; left--) bytes = changed(random, bytes, samples);
  return bytes;
}

function changed(random: Random, bytes: Buffer, samples: readonly Uint8Array[]): Buffer {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + random.below(40));
  switch (random.below(8)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    case 3: {
      const other = Buffer.from(pick(random, samples));
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))]);
    }
    case 4:
      return Buffer.concat([bytes.subarray(0, at), randomBytes(random, random.below(20)), bytes.subarray(at)]);
    case 5:
      if (at < bytes.length) bytes[at] ^= 1 << random.below(8);
      return bytes;
    default:
      if (at < bytes.length) bytes[at] = random.below(2) === 0 ? pick(random, edges) : random.below(256);
      return bytes;
  }
}

export function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.below(256)));
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)];
}

/** Cuts a stream anywhere, as a network does. */
export function chunksOf(random: Random, bytes: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + random.below(random.below(2) === 0 ? 4 : bytes.length);
    chunks.push(bytes.subarray(at, end));
    at = end;
  }
  return chunks;
}
