/** The lane's maps in memory, for the machine of the tests, and the frames of pods that ask. */

import { clientKey, clientValue, configValue, longValue, numberKey } from '../../src/lane/elements.js';
import type { LaneAnswer } from '../../src/lane/entry.js';
import { indexPlace, laneHash, writeSlot } from '../../src/lane/entry.js';
import {
  bucketBytes,
  configLayout,
  type LaneCause,
  laneCauses,
  laneSlotBytes,
  markLayout,
  scratchBytes,
  variantsCount,
  waysPerBucket,
} from '../../src/lane/layout.js';
import { type LaneMap, laneMaps } from '../../src/lane/text.js';
import { addressBytes } from '../../src/os/addresses.js';
import { answerFor } from '../cache/answers.js';
import type { MachineMap } from './machine.js';

export const seed = 0x0123_4567_89ab_cdefn;
export const interfaceIndex = 1;
export const ours = { address: '169.254.20.10', port: 53 };
export const pod = { address: '10.244.0.7', port: 40_000 };
/** The same over IPv6, at a place of its own. */
export const ours6 = { address: 'fd00::a', port: 53 };
export const pod6 = { address: 'fd00:244::7', port: 40_000 };
export const second = 1_000_000_000n;

/** Where elements go: into memory, or into the kernel's maps as well. */
export type Writes = (map: LaneMap, key: Uint8Array, value: Uint8Array) => void;

export class LaneWorld {
  readonly #config: Uint8Array;
  readonly #elements = new Map<string, Uint8Array>();
  readonly #writes: Writes;
  #slots = 0;

  /** `heartbeatNs`: when user space was there last. */
  constructor(heartbeatNs: bigint, writes: Writes = () => {}) {
    this.#writes = writes;
    const places = [ours, ours6];
    const deadAfterNs = 3n * second;
    const inertFromNs = 2n ** 62n;
    this.#config = configValue({ heartbeatNs, deadAfterNs, inertFromNs, seed, generation: 1, digest: 0n, places });
    this.beat(heartbeatNs);
    for (const { address } of [pod, pod6]) this.admit(address, 2n ** 62n);
  }

  beat(ns: bigint): void {
    this.configure(configLayout.heartbeat, ns);
  }

  configure(at: number, value: bigint): void {
    this.#config.set(longValue(value), at);
    this.#put('config', numberKey(0), this.#config);
  }

  admit(address: string, untilNs: bigint, from = interfaceIndex): void {
    this.#put('clients', clientKey(from, address), clientValue(untilNs));
  }

  /** Publishes the answer in the next slot; its number, or -1 where it does not fit. */
  publish(answer: LaneAnswer): number {
    const slot = new Uint8Array(laneSlotBytes);
    if (!writeSlot(slot, answer)) return -1;
    const number = this.#slots++;
    this.#put('slots', numberKey(number), slot);
    this.point(laneHash(slot, seed), number);
    return number;
  }

  /** Lets the hash lead to the slot, in the first free way of its bucket. */
  point(hash: bigint, number: number): void {
    const { bucket, entry } = indexPlace(hash, number);
    const ways = Uint8Array.from(this.element('index', numberKey(bucket)) ?? new Uint8Array(bucketBytes));
    const view = new DataView(ways.buffer);
    for (let way = 0; way < waysPerBucket; way++) {
      if (view.getBigUint64(8 * way, true) !== 0n) continue;
      view.setBigUint64(8 * way, entry, true);
      break;
    }
    this.#put('index', numberKey(bucket), ways);
  }

  element(map: LaneMap, key: Uint8Array): Uint8Array | null {
    const place = `${map} ${Buffer.from(key).toString('hex')}`;
    const there = this.#elements.get(place);
    if (there !== undefined) return there;
    const bytes = emptyBytes[map];
    if (bytes === undefined || new DataView(key.buffer, key.byteOffset).getUint32(0, true) >= 8_192) return null;
    const made = new Uint8Array(bytes);
    this.#elements.set(place, made);
    return made;
  }

  /** How often packets went their usual way for this cause. */
  passed(cause: LaneCause): bigint {
    return new DataView(this.element('passed', numberKey(laneCauses.indexOf(cause)))!.buffer).getBigUint64(0, true);
  }

  /** How often the slot has answered, by variant. */
  answers(slot: number): readonly number[] {
    return [...new Uint32Array(this.element('marks', numberKey(slot))!.buffer, markLayout.answers, variantsCount)];
  }

  /** By the descriptors that `descriptorOf` gives. */
  get maps(): ReadonlyMap<number, MachineMap> {
    return new Map(
      laneMaps.map((name) => [
        descriptorOf(name),
        {
          name,
          find: (key: Uint8Array) => this.element(name, key),
          put: (key: Uint8Array, value: Uint8Array) => this.#put(name, key, value),
        },
      ]),
    );
  }

  #put(map: LaneMap, key: Uint8Array, value: Uint8Array): void {
    this.#elements.set(`${map} ${Buffer.from(key).toString('hex')}`, Uint8Array.from(value));
    this.#writes(map, key, value);
  }
}

/** An answer with so many addresses, as it is published. */
export function laneAnswerFor(
  name: string,
  changes: Partial<LaneAnswer> & Pick<LaneAnswer, 'storedAtMs' | 'expiresAtMs' | 'generation'>,
  records: number,
): LaneAnswer {
  const { message, messageBytes, questionEnd, ttlOffsets, records: count } = answerFor(name, { records });
  return {
    message: Uint8Array.from(message.subarray(0, messageBytes)),
    questionEnd,
    ttlPlaces: [...ttlOffsets.subarray(0, count)],
    staleUntilMs: 0,
    staleTtlSeconds: 30,
    key: 0,
    place: 0,
    udpBytes: 1232,
    flagsSet: 0,
    flagsCleared: 0,
    ...changes,
  };
}

/** Of array maps, whose elements are there from the beginning. */
const emptyBytes: Partial<Record<LaneMap, number>> = {
  scratch: scratchBytes,
  index: bucketBytes,
  slots: laneSlotBytes,
  marks: markLayout.bytes,
  passed: 8,
};

export const descriptorOf = (map: LaneMap): number => 100 + laneMaps.indexOf(map);

const podMac = [2, 0, 0, 0, 0, 1];
const nodeMac = [2, 0, 0, 0, 0, 2];

/** Where the message begins in a frame between such addresses. */
function messageAt(address: string): number {
  return address.includes(':') ? 62 : 42;
}

/** A frame with this message, from the pod to us. Over IPv4 it has no UDP checksum. */
export function frameOf(message: Uint8Array, { from = pod, to = ours } = {}): Buffer {
  const udpAt = messageAt(to.address) - 8;
  const frame = Buffer.alloc(udpAt + 8 + message.length);
  frame.set([...nodeMac, ...podMac]);
  if (udpAt === 34) {
    frame.set([8, 0, 0x45, 0], 12);
    frame.writeUInt16BE(28 + message.length, 16);
    frame.writeUInt16BE(0x4000, 20);
    frame.set([64, 17], 22);
    frame.set(addressBytes(from.address), 26);
    frame.set(addressBytes(to.address), 30);
    frame.writeUInt16BE(checksum(frame.subarray(14, 34)), 24);
  } else {
    frame.set([0x86, 0xdd, 0x60], 12);
    frame.writeUInt16BE(8 + message.length, 18);
    frame.set([17, 64], 20);
    frame.set(addressBytes(from.address), 22);
    frame.set(addressBytes(to.address), 38);
  }
  frame.writeUInt16BE(from.port, udpAt);
  frame.writeUInt16BE(to.port, udpAt + 2);
  frame.writeUInt16BE(8 + message.length, udpAt + 4);
  frame.set(message, udpAt + 8);
  if (udpAt === 54) frame.writeUInt16BE(udpChecksum(frame), udpAt + 6);
  return frame;
}

/** RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum ^ 0xffff;
}

/** Of a frame over IPv6 whose checksum is 0 so far. */
function udpChecksum(frame: Buffer): number {
  const ending = Buffer.from([0, 0, 0, 17]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(frame.length - 54);
  return checksum(Buffer.concat([frame.subarray(22, 54), length, ending, frame.subarray(54)])) || 0xffff;
}

/** The message of an answer's frame, whose headers must be those of an answer to the frame that asked. */
export function messageIn(answer: Uint8Array, asked: Uint8Array): Buffer {
  const isIpv6 = asked[12] === 0x86;
  const at = isIpv6 ? 62 : 42;
  const expected = frameOf(answer.subarray(at), isIpv6 ? { from: ours6, to: pod6 } : { from: ours, to: pod });
  expected.set(asked.subarray(6, 12), 0);
  expected.set(asked.subarray(0, 6), 6);
  const headers = Buffer.from(answer.subarray(0, at));
  if (!headers.equals(expected.subarray(0, at)))
    throw new Error(`headers ${headers.toString('hex')} instead of ${expected.subarray(0, at).toString('hex')}`);
  return Buffer.from(answer.subarray(at));
}
