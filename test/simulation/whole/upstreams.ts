/**
 * Upstreams as they are on a bad day: each has a mood, which says how often it is honest, slow, silent, wrong or
 * rude, and moods change. What they say goes into the book; what they do to connections does not concern it.
 */
import type { Clock } from '../../../src/os/clock.js';
import type { DatagramSocket, Endpoint, Listener, Network, Stream, StreamEvents } from '../../../src/os/network.js';
import type { Random } from '../../../src/os/random.js';
import { readMessage } from '../../conformance/message.js';
import { framed, Unframer } from '../framing.js';
import { chance } from '../random.js';
import type { Manner, UpstreamQuery } from './compose.js';
import { oneOf } from './corefile.js';
import type { Book } from './said.js';

export interface Mood {
  /** Share of queries that are answered as they should be. */
  readonly honestShare: number;
  /** Answers come up to this much later. */
  readonly delayMs: number;
}

export const goodMood: Mood = { honestShare: 1, delayMs: 5 };
const moods: readonly Mood[] = [
  goodMood,
  goodMood,
  { honestShare: 0.9, delayMs: 50 },
  { honestShare: 0.5, delayMs: 300 },
  { honestShare: 1, delayMs: 3_000 },
  { honestShare: 0.1, delayMs: 1_000 },
  { honestShare: 0, delayMs: 20 },
];

const rudeness = [
  'silence',
  'garbage',
  'half and reset',
  'answer and end',
  'reset',
  'twice',
  'servfail',
  'servfail',
  'refused',
  'notimp',
  'formerr',
  'wrong id',
  'wrong question',
  'lie, then honest',
  'cut',
  'truncated',
  'bare',
  'badvers',
] as const;

interface Connection {
  readonly stream: Stream;
  isOpen: boolean;
}

export class SimulatedUpstream {
  mood: Mood = goodMood;
  isUp = false;
  readonly #world: { readonly clock: Clock; readonly network: Network; readonly random: Random; readonly book: Book };
  readonly #number: number;
  readonly #at: Endpoint;
  readonly #connections = new Set<Connection>();
  #udp: DatagramSocket | null = null;
  #tcp: Listener | null = null;

  constructor(
    world: { readonly clock: Clock; readonly network: Network; readonly random: Random; readonly book: Book },
    number: number,
    at: Endpoint,
  ) {
    this.#world = world;
    this.#number = number;
    this.#at = at;
  }

  async start(): Promise<void> {
    if (this.isUp) return;
    this.isUp = true;
    const { network } = this.#world;
    this.#udp = await network.openDatagrams(this.#at, {
      datagram: (bytes, from) => this.#overUdp(Buffer.from(bytes), from),
      error() {},
    });
    this.#tcp = await network.listenStreams(this.#at, (stream) => this.#accept(stream));
  }

  /** Gone, with its sockets; connections are reset or ended. */
  die(): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.#udp?.close();
    this.#tcp?.close();
    for (const connection of this.#connections) {
      connection.isOpen = false;
      if (chance(this.#world.random, 0.5)) connection.stream.destroy();
      else connection.stream.end();
    }
  }

  changeMood(): void {
    this.mood = oneOf(this.#world.random, moods);
  }

  #overUdp(bytes: Buffer, from: Endpoint): void {
    const socket = this.#udp;
    this.#answer(bytes, 'udp', {
      send: (message) => {
        if (this.isUp && socket === this.#udp) socket?.send(message, from);
      },
      sendRaw() {},
      end() {},
      reset() {},
    });
  }

  #accept(stream: Stream): StreamEvents {
    const connection: Connection = { stream, isOpen: true };
    this.#connections.add(connection);
    const unframer = new Unframer();
    const close = (how: 'end' | 'destroy') => {
      if (!connection.isOpen) return;
      connection.isOpen = false;
      stream[how]();
    };
    const ways: Ways = {
      send: (message) => ways.sendRaw(framed(message)),
      sendRaw(bytes) {
        if (connection.isOpen) stream.write(bytes);
      },
      end: () => close('end'),
      reset: () => close('destroy'),
    };
    return {
      data: (bytes) => {
        for (const query of unframer.push(bytes)) this.#answer(Buffer.from(query), 'tcp', ways);
      },
      ended: () => close('end'),
      closed: () => {
        connection.isOpen = false;
        this.#connections.delete(connection);
      },
    };
  }

  #answer(bytes: Buffer, transport: 'udp' | 'tcp', ways: Ways): void {
    const { random, clock } = this.#world;
    const query: UpstreamQuery = { message: readMessage(bytes), bytes, transport };
    const delayMs = random.below(this.mood.delayMs + 1);
    const act = chance(random, this.mood.honestShare) ? 'honest' : oneOf(random, rudeness);
    clock.after(delayMs, () => this.#act(act, query, ways));
  }

  #act(act: 'honest' | (typeof rudeness)[number], query: UpstreamQuery, ways: Ways): void {
    const { random, book } = this.#world;
    const say = (manner: Manner) => book.say(query, this.#number, manner).message;
    switch (act) {
      case 'silence':
        return;
      case 'garbage':
        return ways.send(Buffer.from(Array.from({ length: random.below(60) }, () => random.below(256))));
      case 'half and reset': {
        const frame = framed(say('honest'));
        ways.sendRaw(frame.subarray(0, random.below(frame.length)));
        return ways.reset();
      }
      case 'answer and end':
        ways.send(say('honest'));
        return ways.end();
      case 'reset':
        return ways.reset();
      case 'twice': {
        const message = say('honest');
        ways.send(message);
        return ways.send(message);
      }
      case 'lie, then honest':
        ways.send(say(oneOf(random, ['wrong id', 'wrong question'])));
        return ways.send(say('honest'));
      default:
        return ways.send(say(act));
    }
  }
}

interface Ways {
  send(message: Uint8Array): void;
  sendRaw(bytes: Uint8Array): void;
  end(): void;
  reset(): void;
}
