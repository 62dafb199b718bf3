/**
 * Both halves of the spine over an empty cache, with an upstream in the test's hands: what is asked is collected, and
 * the test says when and how each question ends.
 */
import packets from 'dns-packet';
import type { Store } from '../../src/cache/cache.js';
import { type EventName, overTcp, overUdp } from '../../src/counters.js';
import type { Slot } from '../../src/dns/answer.js';
import { wireToName } from '../../src/dns/names.js';
import { Query } from '../../src/dns/query.js';
import { u16 } from '../../src/dns/wire.js';
import type { Client, Serve } from '../../src/listen/client.js';
import { keepRoute } from '../../src/resolve/cacheability.js';
import { DenialCuts } from '../../src/resolve/cut.js';
import { Denials } from '../../src/resolve/denials.js';
import { Misses } from '../../src/resolve/miss.js';
import type { RespondDeps } from '../../src/resolve/respond.js';
import type { Route } from '../../src/resolve/route.js';
import { serveFrom } from '../../src/resolve/serve.js';
import { lookUpIn } from '../../src/resolve/subquery.js';
import type { AnswerFacts, QueryLogRecord } from '../../src/resolve/worker-context.js';
import { type ServedZone, zoneOfQuestion } from '../../src/resolve/zones.js';
import type { Failure, Outcome, Request } from '../../src/upstream/ask.js';
import { ManualClock } from '../simulation/clock.js';
import { type Decoded, type Fixture, fixture } from './context-fixture.js';

/** A client's question and what came back: one entry per reply, so that a second one is seen. */
export class AskedBy implements Client {
  readonly replies: (Buffer | null)[] = [];

  constructor(
    readonly transport: Client['transport'],
    readonly remote: Client['remote'],
  ) {}

  readonly local = { address: '169.254.20.10', port: 53 };

  reply(answer: Uint8Array | null): void {
    this.replies.push(answer === null ? null : Buffer.from(answer));
  }

  /** The one answer, decoded. */
  get answer(): Decoded {
    if (this.replies.length !== 1) throw new Error(`${this.replies.length} replies`);
    return packets.decode(this.replies[0] as Buffer) as Decoded;
  }

  get rcode(): string {
    return this.answer.rcode;
  }

  get ttls(): (number | undefined)[] {
    return (this.answer.answers as packets.StringAnswer[]).map(({ ttl }) => ttl);
  }

  get data(): unknown[] {
    return (this.answer.answers as packets.StringAnswer[]).map(({ data }) => data);
  }

  /** Info codes of extended errors (RFC 8914). */
  get extendedErrors(): number[] {
    const [opt] = (this.answer.additionals ?? []).filter(({ type }) => type === 'OPT') as packets.OptAnswer[];
    const options = (opt?.options ?? []) as { code: number; data: Buffer }[];
    return options.filter(({ code }) => code === 15).map(({ data }) => data.readUInt16BE());
  }
}

/** A question as it reached the upstream. */
export interface AskedUpstream {
  readonly request: Request;
  /** Lower-case, with the closing dot. */
  readonly name: string;
  ends(outcome: Outcome): void;
  answers(reply?: Reply): void;
  fails(why?: Failure): void;
}

export interface Reply {
  readonly rcode?: number;
  readonly extendedRcode?: number;
  readonly flags?: number;
  readonly answers?: packets.Answer[];
  readonly authorities?: packets.Answer[];
}

/** The answer section of most tests. */
export function addresses(name: string, ttl = 30, count = 1): packets.Answer[] {
  return Array.from({ length: count }, (_, index) => ({ name, type: 'A', ttl, data: `192.0.2.${index & 0xff}` }));
}

/** An authority section that lets a denial be kept. */
export function soa(ttl = 5): packets.Answer[] {
  const data = { mname: 'ns.test', rname: 'h.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: ttl };
  return [{ name: 'test', type: 'SOA', ttl, data }];
}

export function message(question: Uint8Array, reply: Reply = {}): Buffer {
  const name = wireToName(question, 0);
  const { rcode = 0, flags = 0, extendedRcode, answers = addresses(name), authorities = [] } = reply;
  const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, extendedRcode, flags: 0, options: [] };
  const type = u16(question, question.length - 4) === 28 ? 'AAAA' : 'A';
  return packets.encode({
    type: 'response',
    flags: packets.RECURSION_AVAILABLE | flags | rcode,
    questions: [{ name, type, class: 'IN' }],
    answers,
    authorities,
    additionals: extendedRcode === undefined ? [] : [opt as unknown as packets.Answer],
  });
}

export interface WaitingFixture extends Fixture {
  readonly clock: ManualClock;
  readonly world: RespondDeps;
  readonly misses: Misses;
  readonly routes: RespondDeps['routes'];
  readonly serve: Serve;
  /** What was asked upstream and has not ended, oldest first. */
  readonly asked: AskedUpstream[];
  /** How often anything was asked upstream. */
  readonly askedTimes: number;
  /** Questions that ended badly, as the errors log is told: name, rcode, text. */
  readonly failed: [string, number, string][];
  /** What the query log was told. */
  readonly logged: QueryLogRecord[];
  /** What those who watch were told after `isWatched`: where answers came from, and how long they took. */
  readonly told: [AnswerFacts['origin'], number][];
  isWatched(): void;
  /** Errors that the program has logged. */
  readonly errors: string[];
  /** How often an upstream has answered. */
  readonly upstreamAnswers: number;
  total(event: EventName): number;
  /** Sends a packet to the server as a listener does; from a client of its own. */
  asks(packet: Uint8Array, how?: { readonly transport?: 'udp' | 'tcp'; readonly address?: string }): AskedBy;
  /** As if a reload had taken the zones and their caches away. */
  takeStoreAway(): void;
}

export function waiting(corefile: string, parts: Partial<Route> = {}): WaitingFixture {
  const base = fixture(corefile);
  const { context, cache, listener } = base;
  const clock = new ManualClock();
  const asked: AskedUpstream[] = [];
  const failed: [string, number, string][] = [];
  const logged: QueryLogRecord[] = [];
  const errors: string[] = [];
  let askedTimes = 0;
  let upstreamAnswers = 0;
  let store: Store | null = base.store;

  const ask: Route['ask'] = (request, done) => {
    askedTimes++;
    const one: AskedUpstream = {
      request,
      name: wireToName(request.question, 0).toLowerCase(),
      ends(outcome) {
        asked.splice(asked.indexOf(one), 1);
        done(outcome);
      },
      answers: (reply) => one.ends({ ok: true, message: message(request.question, reply), from: 'test' }),
      fails: (why = 'timeout') => one.ends({ ok: false, why, text: why }),
    };
    asked.push(one);
  };
  const routes = {
    get({ cache: policy, block }: ServedZone): Route {
      const directive = policy === null || block !== 0 ? null : listener.block.cache;
      const keep = directive && keepRoute(directive);
      const logQuery = listener.block.log.length === 0 ? null : (record: QueryLogRecord) => void logged.push(record);
      return {
        ask,
        asksOurselves: false,
        lookUp: (...how) => lookUpIn({ context, clock, misses, routes }, listener.table)(...how),
        homeOf: (question) => zoneOfQuestion(listener.table, question, new Query()),
        judge: null,
        keep,
        guard: null,
        order: 'as sent',
        sections: 'all',
        plan: null,
        make: null,
        logQuery,
        failed: (question, rcode, text) => failed.push([wireToName(question, 0), rcode, text]),
        ...parts,
      };
    },
  };
  const told: [AnswerFacts['origin'], number][] = [];
  const answerWatch = {
    isWatched: false,
    answered: (_slot: Slot, _client: Client, { origin, durationMs }: AnswerFacts) =>
      void told.push([origin, durationMs]),
  };
  const world: RespondDeps = { clock, context, cache, routes, answerWatch, store: () => store };
  const denials = new Denials({
    ...{ clock, blocks: context.blocks, counters: context.counters, routes },
    own: { cut() {} },
    misses: () => misses,
  });
  const misses: Misses = new Misses({
    ...world,
    loops: { seen: () => false },
    denials,
    upstreamAnswered: () => upstreamAnswers++,
  });
  const log = { debug() {}, info() {}, warn() {}, error: (text: string) => void errors.push(text) };
  const serve = serveFrom(
    { clock, log, context, cuts: new DenialCuts(context), denials, misses, routes, answerWatch },
    () => listener.table,
  );

  let clients = 0;
  return {
    ...base,
    ...{ clock, world, misses, routes, serve, asked, failed, logged, errors, told },
    isWatched() {
      answerWatch.isWatched = true;
    },
    get askedTimes() {
      return askedTimes;
    },
    get upstreamAnswers() {
      return upstreamAnswers;
    },
    total: (event) => context.counters.total(event),
    asks(packet, { transport = 'udp', address = '10.244.0.7' } = {}) {
      const port = 1024 + (clients++ % 60_000);
      const client = new AskedBy(transport === 'tcp' ? overTcp : overUdp, { address, port });
      const borrowed = Buffer.from(packet);
      serve(borrowed, client);
      borrowed.fill(0xdd);
      return client;
    },
    takeStoreAway() {
      store = null;
    },
  };
}
