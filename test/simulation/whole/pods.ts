/**
 * Pods that ask: over UDP from many ports, over TCP with everything that is allowed and some that is not: pipelined,
 * cut anywhere, half closed, broken off, not reading. They look at no answer; the border does.
 */
import type { Clock } from '../../../src/os/clock.js';
import type { DatagramSocket } from '../../../src/os/network.js';
import type { Random } from '../../../src/os/random.js';
import { ad, cd, query, rd, types, type WireOption } from '../../conformance/message.js';
import { readMalformed } from '../../corpus/read.js';
import { TcpClient } from '../client.js';
import { framed } from '../framing.js';
import type { MemoryNetwork } from '../network.js';
import { chance } from '../random.js';
import { listenPlaces, oneOf } from './corefile.js';

export interface PodWorld {
  readonly clock: Clock;
  readonly network: MemoryNetwork;
  readonly random: Random;
}

const names = ['cluster', 'example', 'deep.example'].flatMap((zone) =>
  [1, 2, 3, 4, 5, 6].map((number) => `n${number}.${zone}.test`),
);
names.push('n1.other', 'n2.other', 'x.example.test', 'a.x.example.test', 'nowhere.cluster.test', 'nowhere', '.');
const asked = [types.A, types.A, types.A, types.AAAA, types.AAAA, types.TXT, types.SRV, types.CNAME, 65_280];
const malformed = readMalformed().map(({ bytes }) => bytes);
const options: readonly WireOption[] = [
  { code: 3, data: Buffer.alloc(0) },
  { code: 8, data: Buffer.from('0001180ac0a801', 'hex') },
  { code: 10, data: Buffer.from('0123456789abcdef', 'hex') },
  { code: 11, data: Buffer.alloc(0) },
  { code: 65_001, data: Buffer.from('zero') },
];

/** How long a pod keeps the socket of a question open. */
const udpSocketMs = 4_000;

/** A query as a stub resolver may send it. */
export function randomQuery(random: Random): Buffer {
  const name = oneOf(random, names);
  return query({
    id: random.below(65_536),
    flags: (chance(random, 0.93) ? rd : 0) | (chance(random, 0.04) ? cd : 0) | (chance(random, 0.1) ? ad : 0),
    name: chance(random, 0.3) ? inMixedCase(random, name) : name,
    type: oneOf(random, asked),
    class: chance(random, 0.02) ? 3 : 1,
    ...(chance(random, 0.5)
      ? {
          opt: {
            size: oneOf(random, [0, 512, 800, 1232, 4096, 65_535]),
            flags: chance(random, 0.15) ? 0x8000 : 0,
            options: chance(random, 0.3) ? [oneOf(random, options)] : [],
          },
        }
      : {}),
  });
}

function inMixedCase(random: Random, name: string): string {
  return [...name].map((letter) => (chance(random, 0.5) ? letter.toUpperCase() : letter)).join('');
}

function randomPacket(random: Random): Uint8Array {
  if (!chance(random, 0.08)) return randomQuery(random);
  const packet = Buffer.from(oneOf(random, malformed));
  if (packet.length >= 2) packet.writeUInt16BE(random.below(65_536), 0);
  return packet;
}

/** Sends some packets over UDP from a port of its own. */
export function asksOverUdp({ clock, network, random }: PodWorld, count: number, packet?: Uint8Array): void {
  const at = oneOf(random, [listenPlaces[0], listenPlaces[0], listenPlaces[0], listenPlaces[1]]);
  const pod = network.from(`10.244.0.${1 + random.below(20)}`);
  const socket: DatagramSocket = pod.connectDatagrams(at, { datagram() {}, error() {} });
  for (let left = count; left > 0; left--) socket.send(packet ?? randomPacket(random), at);
  clock.after(udpSocketMs, () => socket.close());
}

/** One TCP connection and what is done with it. */
export class TcpPod {
  readonly #client: TcpClient;
  readonly #random: Random;
  /** Bytes of frames that have not been written yet. */
  #unwritten = Buffer.alloc(0);
  #hasEnded = false;

  constructor({ network, random }: PodWorld) {
    const at = oneOf(random, [listenPlaces[0], listenPlaces[0], listenPlaces[1]]);
    this.#random = random;
    this.#client = new TcpClient(network.from(`10.244.1.${1 + random.below(20)}`), at);
  }

  get isGone(): boolean {
    return this.#client.isClosed;
  }

  /** Does one of the things that clients do. */
  act(): void {
    const random = this.#random;
    switch (random.below(14)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return this.#writes(Array.from({ length: 1 + random.below(12) }, () => randomPacket(random)));
      case 4:
        if (chance(random, 0.1)) this.#writes(Array.from({ length: 300 }, () => randomQuery(random)));
        return;
      case 5:
        if (chance(random, 0.3)) this.#client.pause();
        return;
      case 6:
      case 7:
        return this.#client.resume();
      case 8:
        if (chance(random, 0.2)) this.ends();
        return;
      case 9:
        if (chance(random, 0.1)) this.#client.destroy();
        return;
      default:
        return this.#flushes(random.below(this.#unwritten.length + 1));
    }
  }

  /** Sends the rest, then FIN, and reads what comes. */
  ends(): void {
    if (this.#hasEnded) return;
    // Half a message at the end is what some clients leave behind.
    this.#flushes(chance(this.#random, 0.8) ? this.#unwritten.length : this.#random.below(this.#unwritten.length + 1));
    this.#hasEnded = true;
    this.#client.resume();
    this.#client.end();
  }

  reads(): void {
    this.#client.resume();
  }

  #writes(packets: readonly Uint8Array[]): void {
    this.#unwritten = Buffer.concat([this.#unwritten, ...packets.map(framed)]);
    if (chance(this.#random, 0.7)) this.#flushes(this.#unwritten.length);
  }

  #flushes(bytes: number): void {
    if (this.#hasEnded || bytes === 0) return;
    this.#client.sendsRaw(this.#unwritten.subarray(0, bytes));
    this.#unwritten = this.#unwritten.subarray(bytes);
  }
}
