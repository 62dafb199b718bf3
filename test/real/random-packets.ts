/** Packets that a client could send and should not: bytes at random, and real queries with bytes changed. */
import { readMalformed } from '../corpus/read.js';
import type { seededRandom } from '../simulation/random.js';
import { question } from './loopback.js';

export type Random = ReturnType<typeof seededRandom>;

/** 0 to 299 random bytes. */
export function randomPacket(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random.below(300) }, () => random.below(256)));
}

const realPackets = [
  question(0x1234, 'host', 1),
  ...readMalformed()
    .filter((file) => file.expect === 'answer' && file.bytes.length < 600)
    .map((file) => Buffer.from(file.bytes)),
];

/** A real query with one to four bytes changed, sometimes cut, sometimes with a part of it twice or missing. */
export function mutatedPacket(random: Random): Buffer {
  const packet = Buffer.from(realPackets[random.below(realPackets.length)]);
  for (let left = 1 + random.below(4); left > 0; left--) packet[random.below(packet.length)] = random.below(256);
  const at = random.below(packet.length);
  const how = random.below(4);
  if (how === 0) return packet.subarray(0, at);
  if (how === 1) return Buffer.concat([packet.subarray(0, at), packet.subarray(random.below(packet.length))]);
  return packet;
}
