/**
 * An upstream that does as a test says, on the in-memory network, and a world to ask it from. Messages are made by
 * hand here, apart from the program's own code, so that one checks the other.
 */
import type { ForwardConfig } from '../../src/config/config.js';
import { Counters, countersMemory } from '../../src/counters.js';
import { isInZone, wireToName } from '../../src/dns/names.js';
import type { LogFields } from '../../src/os/log.js';
import type { Endpoint, Listener, Stream } from '../../src/os/network.js';
import { Flush } from '../../src/scheduling/flush.js';
import type { Outcome, Request } from '../../src/upstream/ask.js';
import {
  type OwnListeners,
  Rtt,
  type UpstreamAddress,
  type UpstreamDeps,
  UpstreamStats,
} from '../../src/upstream/endpoint.js';
import { Forwards } from '../../src/upstream/forwards.js';
import { Outages } from '../../src/upstream/health.js';
import { Doubt } from '../../src/upstream/scout.js';
import { ManualClock } from '../simulation/clock.js';
import { framed, Unframer } from '../simulation/framing.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';

export class TestWorld implements UpstreamDeps {
  readonly clock = new ManualClock();
  readonly network: MemoryNetwork;
  readonly random: ReturnType<typeof seededRandom>;
  readonly counters = new Counters(countersMemory(0));
  readonly flush = new Flush();
  readonly outages = new Outages();
  readonly logged: string[] = [];
  readonly log = {
    debug: () => {},
    info: (message: string, fields?: LogFields) => this.#note('info', message, fields),
    warn: (message: string, fields?: LogFields) => this.#note('warn', message, fields),
    error: (message: string, fields?: LogFields) => this.#note('error', message, fields),
  };
  /** Addresses that are ourselves, with the zones that come back from there: `.` is all. */
  readonly ours = new Map<string, readonly string[]>();
  readonly own: OwnListeners = {
    isOwn: ({ address }) => this.ours.has(address),
    returning: (_forward, { address }) => {
      const zones = this.ours.get(address) ?? [];
      return { zones, isAll: zones.includes('.') };
    },
    comesBack: (_forward, { address }, asked) => {
      const name = wireToName(asked, 0);
      return (this.ours.get(address) ?? []).some((zone) => isInZone(name, zone));
    },
    changed: () => {
      for (const forwards of this.#started) forwards.judgeOwn();
    },
  };
  readonly #started: Forwards[] = [];
  /** What resolv.conf files list. */
  readonly files = new Map<string, readonly Endpoint[] | { readonly error: string }>();
  readonly resolvConf = (path: string): readonly Endpoint[] | { readonly error: string } =>
    this.files.get(path) ?? { error: `${path} cannot be read` };

  constructor(seed = 1) {
    this.random = seededRandom(seed);
    this.network = new MemoryNetwork(this.clock, seededRandom(seed + 1));
  }

  #note(level: string, message: string, fields: LogFields = {}): void {
    this.logged.push(`${level} ${message} ${Object.values(fields).join(' ')}`.trim());
  }

  /** Forwards with these settings over the defaults of the Corefile. */
  start(...settings: Partial<ForwardConfig>[]): Forwards {
    const forwards = new Forwards(settings.map(forwardConfig), this);
    this.#started.push(forwards);
    forwards.judgeOwn();
    return forwards;
  }

  address(endpoint: Endpoint, settings: Partial<UpstreamAddress['settings']> = {}): UpstreamAddress {
    const to = `${endpoint.address}:${endpoint.port}`;
    const all = {
      sourceAddress: null,
      expireMs: 10_000,
      maxAgeMs: 0,
      idleConnectionsMax: 0,
      deadlineMs: 1_900,
      udpBytes: 1_232,
    };
    const stats = new UpstreamStats(to);
    return { endpoint, to, stats, rtt: new Rtt(), tls: null, settings: { ...all, ...settings }, deps: this };
  }
}

export function forwardConfig(settings: Partial<ForwardConfig>): ForwardConfig {
  return {
    at: { file: 'Corefile', line: 1 },
    from: '.',
    to: [{ kind: 'endpoint', endpoint: server(1) }],
    except: [],
    transport: 'tcp',
    expireMs: 10_000,
    maxAgeMs: 45_000,
    idleConnectionsMax: 0,
    readTimeoutMs: 2_000,
    failsMax: 2,
    connectAttemptsMax: 0,
    healthCheck: { intervalMs: 500, recursionDesired: true, domain: '.' },
    policy: 'sequential',
    concurrentMax: 0,
    next: [],
    nextOnNodata: false,
    failover: [],
    failfastAllUnhealthy: false,
    sourceAddress: null,
    endpoints: null,
    tls: { serverName: null, material: null },
    udpBytes: 1_232,
    ...settings,
  };
}

/** For connections and ports of an address that nothing is known against. */
export const noScouts = (): Doubt =>
  new Doubt(
    () => {},
    () => null,
  );

/** The upstreams of the tests: 10.0.0.1:53, 10.0.0.2:53, … */
export function server(number: number): Endpoint {
  return { address: `10.0.0.${number}`, port: 53 };
}

export function targets(...numbers: number[]): ForwardConfig['to'] {
  return numbers.map((number) => ({ kind: 'endpoint', endpoint: server(number) }));
}

export function wireName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.of(0)]);
}

/** A question of class IN. */
export function question(name: string, type = 1): Buffer {
  return Buffer.concat([wireName(name), Buffer.of(type >> 8, type & 0xff, 0, 1)]);
}

export function request(name: string, settings: Partial<Request> = {}): Request {
  return {
    question: question(name),
    recursionDesired: true,
    checkingDisabled: false,
    dnssecOk: false,
    clientTransport: 'udp',
    ...settings,
  };
}

export interface AnswerSettings {
  readonly rcode?: number;
  readonly id?: number;
  readonly truncated?: boolean;
  /** Instead of the question that was asked; null: none. */
  readonly question?: Uint8Array | null;
  /** Address records. */
  readonly addresses?: readonly string[];
  readonly opt?: boolean;
  /** Bits of the flags word on top. */
  readonly flags?: number;
}

/** Answers a query as a resolver would, or as `settings` want it. */
export function answerTo(query: Query, settings: AnswerSettings = {}): Buffer {
  const { rcode = 0, id = query.id, truncated = false, addresses = rcode === 0 ? ['10.1.2.3'] : [] } = settings;
  const asked = settings.question === undefined ? query.question : settings.question;
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x8180 | (truncated ? 0x0200 : 0) | rcode | (settings.flags ?? 0), 2);
  header.writeUInt16BE(asked === null ? 0 : 1, 4);
  header.writeUInt16BE(addresses.length, 6);
  header.writeUInt16BE(settings.opt ? 1 : 0, 10);
  const records = addresses.map((address) =>
    Buffer.concat([Buffer.from('c00c000100010000001e0004', 'hex'), Buffer.from(address.split('.').map(Number))]),
  );
  const opt = settings.opt ? [Buffer.from('00002904d0000000000000', 'hex')] : [];
  return Buffer.concat([header, ...(asked === null ? [] : [asked]), ...records, ...opt]);
}

/** A query that has reached the upstream. */
export interface Query {
  readonly transport: 'udp' | 'tcp';
  readonly id: number;
  readonly flags: number;
  readonly bytes: Buffer;
  readonly question: Buffer;
  readonly name: string;
  readonly hasOpt: boolean;
  readonly atMs: number;
  /** Who asked: one number per connection, or per port. */
  readonly from: Endpoint;
  /** The connection it came on; null over UDP. */
  readonly stream: Stream | null;
  reply(message: Uint8Array): void;
}

/** Serves UDP and TCP on one endpoint; what it does with a query is `onQuery`, which a test sets. */
export class ScriptedUpstream {
  readonly queries: Query[] = [];
  readonly streams: Stream[] = [];
  /** Queries per `data` event. */
  readonly reads: number[] = [];
  onQuery: (query: Query) => void = (query) => query.reply(answerTo(query));
  readonly #world: Pick<TestWorld, 'network' | 'clock'>;
  readonly #endpoint: Endpoint;
  #close: () => void = () => {};

  constructor(world: Pick<TestWorld, 'network' | 'clock'>, endpoint: Endpoint) {
    this.#world = world;
    this.#endpoint = endpoint;
  }

  static async start(world: Pick<TestWorld, 'network' | 'clock'>, endpoint = server(1)): Promise<ScriptedUpstream> {
    const upstream = new ScriptedUpstream(world, endpoint);
    await upstream.listen();
    return upstream;
  }

  async listen(...transports: ('udp' | 'tcp')[]): Promise<void> {
    const { network } = this.#world;
    const all = transports.length === 0;
    let isOpen = true;
    const listener: Listener | null =
      all || transports.includes('tcp')
        ? await network.listenStreams(this.#endpoint, (stream) => this.#accept(stream))
        : null;
    const socket =
      all || transports.includes('udp')
        ? await network.openDatagrams(this.#endpoint, {
            datagram: (bytes, from) => {
              const reply = (message: Uint8Array): void => {
                if (isOpen) socket?.send(message, from);
              };
              this.#take(bytes, { transport: 'udp', from, stream: null, reply });
            },
            error: () => {},
          })
        : null;
    this.#close = () => {
      isOpen = false;
      listener?.close();
      socket?.close();
    };
  }

  /** Nobody listens any more; with `connections` those that are open are reset. */
  die(): void {
    this.#close();
    this.#world.network.resetConnections(this.#endpoint);
  }

  names(): string[] {
    return this.queries.map(({ name }) => name);
  }

  #accept(accepted: Stream): { data(bytes: Uint8Array): void; ended(): void; closed(): void } {
    const unframer = new Unframer();
    const stream = forgiving(accepted);
    this.streams.push(stream);
    return {
      data: (bytes) => {
        const messages = unframer.push(bytes);
        this.reads.push(messages.length);
        const reply = (message: Uint8Array): void => stream.write(framed(message));
        for (const message of messages) this.#take(message, { transport: 'tcp', from: stream.remote, stream, reply });
      },
      ended: () => stream.end(),
      closed: () => {},
    };
  }

  #take(bytes: Uint8Array, rest: Pick<Query, 'transport' | 'from' | 'stream' | 'reply'>): void {
    const copy = Buffer.from(bytes);
    let end = 12;
    const labels: string[] = [];
    for (; copy[end] !== 0; end += copy[end] + 1) labels.push(copy.toString('latin1', end + 1, end + 1 + copy[end]));
    const query: Query = {
      ...rest,
      id: copy.readUInt16BE(0),
      flags: copy.readUInt16BE(2),
      bytes: copy,
      question: copy.subarray(12, end + 5),
      name: labels.join('.'),
      hasOpt: copy.readUInt16BE(10) === 1,
      atMs: this.#world.clock.nowMs(),
    };
    this.queries.push(query);
    this.onQuery(query);
  }
}

/** A stream that takes no notice of what is written after its end. */
function forgiving(stream: Stream): Stream {
  let hasEnded = false;
  return {
    remote: stream.remote,
    get unsentBytes() {
      return stream.unsentBytes;
    },
    write(bytes) {
      if (!hasEnded) stream.write(bytes);
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    end() {
      hasEnded = true;
      stream.end();
    },
    destroy() {
      hasEnded = true;
      stream.destroy();
    },
  };
}

/** An outcome with its message copied, as text that is easy to compare. */
export interface Got {
  readonly text: string;
  readonly message: Buffer;
  readonly atMs: number;
  readonly from: string;
}

/** Asks and collects outcomes; a second outcome of one question is an error. */
export class Asking {
  readonly got: Got[] = [];
  readonly #world: TestWorld;
  readonly #forwards: Forwards;

  constructor(world: TestWorld, forwards: Forwards) {
    this.#world = world;
    this.#forwards = forwards;
  }

  ask(name: string, settings: Partial<Request> = {}): { got: Got | null } {
    const asked: { got: Got | null } = { got: null };
    let hasReturned = false;
    this.#forwards.ask(request(name, settings), (outcome) => {
      if (!hasReturned) throw new Error('the outcome came before the call had returned');
      if (asked.got !== null) throw new Error(`a second outcome for ${name}`);
      asked.got = this.#note(outcome);
    });
    hasReturned = true;
    return asked;
  }

  #note(outcome: Outcome): Got {
    const atMs = this.#world.clock.nowMs();
    const got: Got = outcome.ok
      ? { text: `rcode ${outcome.message[3] & 15}`, message: Buffer.from(outcome.message), atMs, from: outcome.from }
      : { text: `${outcome.why}: ${outcome.text}`, message: Buffer.alloc(0), atMs, from: '' };
    this.got.push(got);
    return got;
  }
}

/** The servers 1 to `count`, listening. */
export async function startUpstreams(world: TestWorld, count: number): Promise<ScriptedUpstream[]> {
  const upstreams: ScriptedUpstream[] = [];
  for (let number = 1; number <= count; number++) upstreams.push(await ScriptedUpstream.start(world, server(number)));
  return upstreams;
}
