/**
 * A DNS server whose answers a test scripts: the cluster DNS of a scenario, over UDP and TCP of any `Network`.
 *
 *     const upstream = await openUpstream(network, clock, { address: '10.96.0.10', port: 53 });
 *     upstream.answers('a.example.', 'A', ['192.0.2.1'], { ttlSeconds: 30 });
 *     upstream.nxdomain('b.example.', { soaMinimum: 5 });
 *     upstream.asked('a.example.', 'A', 'tcp')   // how often
 *
 * What was said last about a name counts. A name about which nothing was said is REFUSED. Names are compared without
 * case; answers echo the question and the OPT, and over UDP are cut to nothing with TC where they do not fit.
 */
import dnsPacket, { type Answer, type DecodedPacket, type Packet, type Question, type RecordType } from 'dns-packet';
import type { Clock } from '../../src/os/clock.js';
import type { Endpoint, Network, Stream } from '../../src/os/network.js';
import { framed, Unframer } from './framing.js';
import { type NegativeOptions, ourOpt, raFlag, rdFlag, record, soa, tcFlag } from './records.js';

export type Transport = 'udp' | 'tcp';

/** One question as it arrived. */
export interface Asked {
  /** Lower-case, with the closing dot. */
  readonly name: string;
  readonly type: RecordType;
  readonly question: Question;
  readonly message: DecodedPacket;
  /** The whole query as it came. */
  readonly bytes: Buffer;
  readonly transport: Transport;
  readonly from: Endpoint;
  readonly atMs: number;
}

/** What to answer: records and an rcode (NOERROR unless said), a whole message as bytes, or null for silence. */
export type Reply = ReplyRecords | Uint8Array | null;
export interface ReplyRecords {
  readonly rcode?: number;
  /** Flags besides QR and the query's RD: dns-packet's constants. RA unless said. */
  readonly flags?: number;
  readonly answers?: Answer[];
  readonly authorities?: Answer[];
  readonly additionals?: Answer[];
}

/** Answers the question, or gives undefined where it is not its own. */
export type Script = (asked: Asked) => Reply | undefined;

interface Connection {
  readonly stream: Stream;
  /** False once we have ended it. */
  isOpen: boolean;
  /** When a serial server has answered what came before. */
  freeAtMs: number;
}

/** Opens the server for UDP and TCP. Rejects as the network does (EADDRINUSE). */
export async function openUpstream(network: Network, clock: Clock, at: Endpoint): Promise<Upstream> {
  const upstream = new Upstream(clock, at);
  await upstream.start(network);
  return upstream;
}

export class Upstream {
  /** Every question since the start, oldest first. */
  readonly questions: Asked[] = [];
  /** True: the questions of one TCP connection are answered one after the other, as CoreDNS does. */
  isSerial = false;
  /** Whether an OPT in the query is answered with one. */
  speaksEdns = true;
  readonly #scripts: Script[] = [];
  readonly #delaysMs = new Map<string, number>();
  readonly #connections = new Set<Connection>();
  #close: () => void = () => {};
  #delayMs = 0;

  constructor(
    readonly clock: Clock,
    readonly at: Endpoint,
  ) {}

  /** Listens, the first time or again after `stop`. */
  async start(network: Network): Promise<void> {
    const udp = await network.openDatagrams(this.at, {
      datagram: (bytes, from) => this.#take(bytes, 'udp', from, this.#delay(bytes), (answer) => udp.send(answer, from)),
      error: () => {},
    });
    const tcp = await network.listenStreams(this.at, (stream) => this.#accept(stream));
    this.#close = () => {
      udp.close();
      tcp.close();
    };
  }

  /** The server is gone: its ports are closed and its connections too. */
  stop(): void {
    this.#close();
    this.closeConnections();
  }

  /** Closes the TCP connections in an orderly way, as a server does with idle ones. */
  closeConnections(): void {
    for (const connection of this.#connections) close(connection);
  }

  get connectionsOpen(): number {
    return this.#connections.size;
  }

  /** The general form; `answers` and the others are short for it. */
  on(script: Script): void {
    this.#scripts.unshift(script);
  }

  /** Answers with one record for each datum, in dns-packet's form of data. */
  answers(name: string, type: RecordType, data: readonly unknown[], { ttlSeconds = 30, flags = raFlag } = {}): void {
    this.#onQuestion(name, type, (asked) => ({
      flags,
      answers: data.map((datum) => record(asked.question.name, type, ttlSeconds, datum)),
    }));
  }

  nxdomain(name: string, options: NegativeOptions = {}): void {
    this.#onName(name, () => ({ rcode: 3, authorities: soa(name, options) }));
  }

  /** NOERROR without records, for this type. */
  nodata(name: string, type: RecordType, options: NegativeOptions = {}): void {
    this.#onQuestion(name, type, () => ({ authorities: soa(name, options) }));
  }

  servfail(name: string): void {
    this.#onName(name, () => ({ rcode: 2 }));
  }

  refused(name: string): void {
    this.#onName(name, () => ({ rcode: 5 }));
  }

  /** It takes what is asked for this name and says nothing; without a name, to anything. */
  silent(name?: string): void {
    if (name === undefined) this.on(() => null);
    else this.#onName(name, () => null);
  }

  /** Over UDP the name has TC and nothing else; over TCP what was said about it before. */
  truncates(name: string): void {
    this.#onName(name, (asked) => (asked.transport === 'udp' ? { flags: raFlag | tcFlag } : undefined));
  }

  /** From now on answers come this much later: all, or those of one name. */
  after(ms: number, name?: string): void {
    if (name === undefined) this.#delayMs = ms;
    else this.#delaysMs.set(dotted(name), ms);
  }

  /** How often a question came, counting only what is said: name, type, transport. */
  asked(name?: string, type?: RecordType, transport?: Transport): number {
    return this.questions.filter(
      (asked) =>
        (name === undefined || asked.name === dotted(name)) &&
        (type === undefined || asked.type === type) &&
        (transport === undefined || asked.transport === transport),
    ).length;
  }

  #onName(name: string, script: Script): void {
    this.on((asked) => (asked.name === dotted(name) ? script(asked) : undefined));
  }

  #onQuestion(name: string, type: RecordType, script: Script): void {
    this.#onName(name, (asked) => (asked.type === type ? script(asked) : undefined));
  }

  #accept(stream: Stream) {
    const connection: Connection = { stream, isOpen: true, freeAtMs: 0 };
    const unframer = new Unframer();
    this.#connections.add(connection);
    const { remote } = stream;
    const write = (answer: Uint8Array): void => {
      if (connection.isOpen) stream.write(framed(answer));
    };
    return {
      data: (bytes: Uint8Array) => {
        for (const query of unframer.push(bytes)) {
          this.#take(query, 'tcp', remote, this.#queueDelay(connection, query), write);
        }
      },
      ended: () => close(connection),
      closed: () => {
        connection.isOpen = false;
        this.#connections.delete(connection);
      },
    };
  }

  #delay(query: Uint8Array): number {
    return this.#delaysMs.get(nameOf(query)) ?? this.#delayMs;
  }

  #queueDelay(connection: Connection, query: Uint8Array): number {
    const delayMs = this.#delay(query);
    if (!this.isSerial) return delayMs;
    const nowMs = this.clock.nowMs();
    connection.freeAtMs = Math.max(connection.freeAtMs, nowMs) + delayMs;
    return connection.freeAtMs - nowMs;
  }

  #take(
    bytes: Uint8Array,
    transport: Transport,
    from: Endpoint,
    delayMs: number,
    send: (answer: Uint8Array) => void,
  ): void {
    const query = Buffer.from(bytes);
    const message = dnsPacket.decode(query);
    const question = message.questions?.[0];
    if (question === undefined) return;
    const name = dotted(question.name);
    const atMs = this.clock.nowMs();
    const asked: Asked = { name, type: question.type, question, message, bytes: query, transport, from, atMs };
    this.questions.push(asked);
    let reply: Reply | undefined;
    for (const script of this.#scripts) {
      reply = script(asked);
      if (reply !== undefined) break;
    }
    if (reply === null) return;
    const answer = this.#encode(asked, reply ?? { rcode: 5 });
    if (delayMs === 0) send(answer);
    else this.clock.after(delayMs, () => send(answer));
  }

  #encode(asked: Asked, reply: ReplyRecords | Uint8Array): Uint8Array {
    if (reply instanceof Uint8Array) return reply;
    const opt = asked.message.additionals?.find((additional) => additional.type === 'OPT');
    const ours = opt !== undefined && this.speaksEdns ? [ourOpt(opt.flags)] : [];
    const head: Packet = {
      type: 'response',
      id: asked.message.id ?? 0,
      flags: ((asked.message.flags ?? 0) & rdFlag) | (reply.flags ?? raFlag) | (reply.rcode ?? 0),
      questions: [asked.question],
    };
    const full = dnsPacket.encode({
      ...head,
      answers: reply.answers ?? [],
      authorities: reply.authorities ?? [],
      additionals: [...(reply.additionals ?? []), ...ours],
    });
    const bytesMax = asked.transport === 'tcp' ? 65_535 : Math.max(512, opt?.udpPayloadSize ?? 512);
    if (full.length <= bytesMax) return full;
    return dnsPacket.encode({ ...head, flags: (head.flags ?? 0) | tcFlag, additionals: ours });
  }
}

function close(connection: Connection): void {
  connection.isOpen = false;
  connection.stream.end();
}

function dotted(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith('.') ? lower : `${lower}.`;
}

function nameOf(query: Uint8Array): string {
  return dotted(dnsPacket.decode(Buffer.from(query)).questions?.[0]?.name ?? '');
}
