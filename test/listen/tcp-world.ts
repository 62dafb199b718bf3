/**
 * A TCP listener on the in-memory network whose `serve` is the test: queries are collected and answered by hand, or
 * answered at once as cached ones are.
 */
import type { TimeoutsConfig } from '../../src/config/config.js';
import { Counters, countersMemory } from '../../src/counters.js';
import type { Client } from '../../src/listen/client.js';
import { openTcpListener, type TcpListener } from '../../src/listen/tcp.js';
import type { TcpPlaces } from '../../src/listen/tcp-places.js';
import type { Endpoint } from '../../src/os/network.js';
import type { Random } from '../../src/os/random.js';
import { TcpClient } from '../simulation/client.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';

export const at: Endpoint = { address: '169.254.20.10', port: 53 };
export const readMs = 3_000;
export const writeMs = 5_000;
export const idleMs = 10_000;
export const timeouts: TimeoutsConfig = { readMs, writeMs, idleMs, tcpQueriesMax: -1 };

/** A query as `serve` got it. */
export class AskedQuery {
  readonly bytes: Buffer;

  constructor(
    packet: Uint8Array,
    readonly client: Client,
  ) {
    this.bytes = Buffer.from(packet);
  }

  get id(): number {
    return this.bytes.readUInt16BE();
  }

  /** Echoes the query. The bytes are borrowed, so they are spoilt afterwards. */
  reply(answerBytes = this.bytes.length): void {
    const answer = message(this.id, answerBytes);
    this.client.reply(answer);
    answer.fill(0xdd);
  }
}

/** A message of this length with this id; 12 bytes are a bare header. */
export function message(id: number, bytes = 12): Buffer {
  const packet = Buffer.alloc(bytes, id & 0xff);
  packet.writeUInt16BE(id);
  return packet;
}

export interface TcpTestWorld {
  readonly clock: ManualClock;
  readonly network: MemoryNetwork;
  readonly counters: Counters;
  readonly listener: TcpListener;
  /** Queries so far, oldest first. */
  readonly asked: AskedQuery[];
  /** Runs once in place of taking the next query. */
  onNextQuery(run: () => void): void;
  /** A reload changes them. */
  setTimeouts(next: TimeoutsConfig): void;
  /** From 10.244.0.7 unless said. */
  connects(address?: string): Promise<TcpClient>;
}

export interface TcpTestOptions {
  readonly answering?: 'by hand' | 'at once';
  readonly answerBytes?: number;
  readonly timeouts?: TimeoutsConfig;
  readonly tcpPlaces?: TcpPlaces;
  readonly random?: Random;
}

export async function tcpWorld(options: TcpTestOptions = {}): Promise<TcpTestWorld> {
  const clock = new ManualClock(0);
  const network = new MemoryNetwork(clock, options.random ?? seededRandom(1));
  const counters = new Counters(countersMemory(0));
  const asked: AskedQuery[] = [];
  let inForce = options.timeouts ?? timeouts;
  let instead: (() => void) | null = null;
  const shared = options.tcpPlaces === undefined ? {} : { tcpPlaces: options.tcpPlaces };
  const listener = await openTcpListener(
    { network, clock, counters, ...shared },
    at,
    () => inForce,
    (packet, client) => {
      const query = new AskedQuery(packet, client);
      const run = instead;
      instead = null;
      if (run !== null) return run();
      asked.push(query);
      if (options.answering === 'at once') query.reply(options.answerBytes);
    },
  );
  return {
    clock,
    network,
    counters,
    listener,
    asked,
    onNextQuery(run) {
      instead = run;
    },
    setTimeouts(next) {
      inForce = next;
    },
    async connects(address = '10.244.0.7') {
      const client = new TcpClient(network.from(address), at);
      await clock.pass(0);
      return client;
    },
  };
}
