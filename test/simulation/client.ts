/**
 * A pod that asks: over UDP from a fresh socket each time, or over TCP. What comes back is decoded by dns-packet and
 * given as bytes too. With a manual clock: `const answer = await clock.until(client.asks('a.example.', 'A'))`.
 */
import dnsPacket, {
  type Answer,
  type DecodedPacket,
  type PacketOpt,
  type RecordClass,
  type RecordType,
} from 'dns-packet';
import type { Clock } from '../../src/os/clock.js';
import type { Endpoint, Network, Stream } from '../../src/os/network.js';
import type { Random } from '../../src/os/random.js';
import { framed, Unframer } from './framing.js';

export interface AskOptions {
  readonly transport?: 'udp' | 'tcp';
  readonly id?: number;
  /** Header flags besides opcode 0; RD unless said. */
  readonly flags?: number;
  readonly class?: RecordClass;
  /** Adds an OPT. */
  readonly edns?: {
    readonly size?: number;
    readonly dnssecOk?: boolean;
    readonly version?: number;
    readonly options?: readonly { readonly code: number; readonly data: Buffer }[];
  };
  readonly timeoutMs?: number;
}

export class ClientAnswer {
  readonly bytes: Buffer;
  readonly message: DecodedPacket;
  /** NOERROR, NXDOMAIN, … as dns-packet writes it. */
  readonly rcode: string;
  readonly afterMs: number;

  constructor(bytes: Buffer, afterMs: number) {
    this.bytes = bytes;
    this.message = dnsPacket.decode(bytes);
    this.rcode = (this.message as DecodedPacket & { rcode: string }).rcode;
    this.afterMs = afterMs;
  }

  /** The answer section's data, in order. */
  get data(): unknown[] {
    return (this.message.answers ?? []).map((answer) => (answer as { data?: unknown }).data);
  }

  /** TTLs of all sections but the OPT. */
  get ttls(): number[] {
    const { answers = [], authorities = [], additionals = [] } = this.message;
    const records = [...answers, ...authorities, ...additionals].filter((answer) => answer.type !== 'OPT');
    return records.map((answer) => (answer as { ttl?: number }).ttl ?? 0);
  }

  get opt(): Extract<Answer, { type: 'OPT' }> | undefined {
    return this.message.additionals?.find((additional) => additional.type === 'OPT');
  }
}

/** The query as bytes. */
export function encodeQuery(name: string, type: RecordType, id: number, options: AskOptions = {}): Buffer {
  const { edns } = options;
  return dnsPacket.encode({
    type: 'query',
    id,
    flags: options.flags ?? dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type, class: options.class ?? 'IN' }],
    additionals:
      edns === undefined
        ? []
        : [
            {
              type: 'OPT',
              name: '.',
              udpPayloadSize: edns.size ?? 1232,
              extendedRcode: 0,
              ednsVersion: edns.version ?? 0,
              flags: edns.dnssecOk === true ? dnsPacket.DNSSEC_OK : 0,
              flag_do: edns.dnssecOk === true,
              options: (edns.options ?? []) as unknown as PacketOpt[],
            },
          ],
  });
}

export class Client {
  readonly #world: { readonly network: Network; readonly clock: Clock; readonly random: Random };
  readonly #server: Endpoint;

  constructor(
    world: { readonly network: Network; readonly clock: Clock; readonly random: Random },
    readonly server: Endpoint,
  ) {
    this.#world = world;
    this.#server = server;
  }

  /** Asks once, never again; rejects when there is no answer in time (5 s unless said) or no server. */
  asks(name: string, type: RecordType, options: AskOptions = {}): Promise<ClientAnswer> {
    const id = options.id ?? this.#world.random.below(65_536);
    return this.sends(encodeQuery(name, type, id, options), options);
  }

  /** Sends these bytes as one message and gives the first that comes back. */
  sends(query: Uint8Array, { transport = 'udp', timeoutMs = 5_000 }: AskOptions = {}): Promise<ClientAnswer> {
    return transport === 'udp' ? this.#overUdp(query, timeoutMs) : this.#overTcp(query, timeoutMs);
  }

  /** A TCP connection of its own, for pipelining. */
  connects(): TcpClient {
    return new TcpClient(this.#world.network, this.#server);
  }

  #overUdp(query: Uint8Array, timeoutMs: number): Promise<ClientAnswer> {
    const { network, clock } = this.#world;
    const startMs = clock.nowMs();
    return new Promise((resolve, reject) => {
      const socket = network.connectDatagrams(this.#server, {
        datagram: (bytes) => {
          const answer = Buffer.from(bytes);
          done(() => resolve(new ClientAnswer(answer, clock.nowMs() - startMs)));
        },
        error: (error) => done(() => reject(error)),
      });
      const timer = clock.after(timeoutMs, () => done(() => reject(new Error(`no answer within ${timeoutMs} ms`))));
      function done(settle: () => void): void {
        timer.stop();
        socket.close();
        settle();
      }
      socket.send(query, this.#server);
    });
  }

  async #overTcp(query: Uint8Array, timeoutMs: number): Promise<ClientAnswer> {
    const { clock } = this.#world;
    const startMs = clock.nowMs();
    const connection = this.connects();
    const timer = clock.after(timeoutMs, () => connection.destroy());
    connection.sends(query);
    try {
      return new ClientAnswer(await connection.next(), clock.nowMs() - startMs);
    } finally {
      timer.stop();
      connection.end();
    }
  }
}

/** One TCP connection as a test drives it. */
export class TcpClient {
  /** Messages in the order in which they came. */
  readonly received: Buffer[] = [];
  /** What became of the connection, in order: `opened`, `ended`, `closed`, `closed ECONNRESET`. */
  readonly log: string[] = [];
  readonly #stream: Stream;
  readonly #unframer = new Unframer();
  readonly #waiting: { resolve(message: Buffer): void; reject(error: Error): void }[] = [];
  #taken = 0;
  #isClosed = false;

  constructor(network: Network, server: Endpoint) {
    this.#stream = network.connectStream(server, {
      opened: () => this.log.push('opened'),
      data: (bytes) => {
        this.received.push(...this.#unframer.push(bytes));
        this.#give();
      },
      ended: () => this.log.push('ended'),
      closed: (error) => {
        this.log.push(error === undefined ? 'closed' : `closed ${error.code}`);
        this.#isClosed = true;
        this.#give();
      },
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Writes the messages in one go, each in its frame. */
  sends(...messages: Uint8Array[]): void {
    this.sendsRaw(Buffer.concat(messages.map(framed)));
  }

  /** Writes bytes as they are: half frames, garbage. */
  sendsRaw(bytes: Uint8Array): void {
    this.#stream.write(bytes);
  }

  /** The next message not yet taken by `next`; rejects when the connection is closed without one. */
  next(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#give();
    });
  }

  /** Ids of the answers in the order in which they came. */
  get ids(): number[] {
    return this.received.map((message) => message.readUInt16BE());
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  end(): void {
    this.#stream.end();
  }

  destroy(): void {
    this.#stream.destroy();
  }

  #give(): void {
    while (this.#waiting.length > 0 && this.#taken < this.received.length) {
      this.#waiting.shift()?.resolve(this.received[this.#taken++]);
    }
    if (!this.#isClosed) return;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(new Error(`no answer: ${this.log.join(', ')}`));
  }
}
