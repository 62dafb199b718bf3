/**
 * The program in a world of chance, and what must hold in it at every step. The story of a run, which of its many
 * misfortunes comes when, is whole.test.ts's.
 */
import assert from 'node:assert/strict';
import type { Config } from '../../../src/config/config.js';
import { parseConfig } from '../../../src/config/load.js';
import {
  cacheBytesLeast,
  connectionsPerUpstreamMax,
  udpSocketsPerUpstreamMax,
  waitersMax,
} from '../../../src/limits.js';
import type { HttpRoutes } from '../../../src/observe/http.js';
import { checkLogFormat } from '../../../src/observe/log-format.js';
import { newSetupErrors } from '../../../src/observe/process-numbers.js';
import type { Clock } from '../../../src/os/clock.js';
import type { Endpoint } from '../../../src/os/network.js';
import type { Random } from '../../../src/os/random.js';
import { type App, startApp } from '../../../src/process/app.js';
import { readMessage, types } from '../../conformance/message.js';
import { loadOptions } from '../../resolve/context-fixture.js';
import { ManualClock } from '../clock.js';
import { MemoryNetwork } from '../network.js';
import { Border } from './border.js';
import type { Watcher } from './conversation.js';
import { metricsPlace, randomResolvConf, resolvConf, upstreamPlaces } from './corefile.js';
import { blockOf, History } from './history.js';
import { Judge, latestMs } from './judge.js';
import { Book } from './said.js';
import { describe, nameOf, questionIn } from './telling.js';
import { SimulatedUpstream } from './upstreams.js';

const nobody = { method: 'GET', host: '', remote: { address: '', port: 0 }, local: { address: '', port: 0 } };

/** An answer that came in by an older configuration may be kept by a newer one. */
const takenInWithinMs = latestMs;

export class World {
  readonly clock = new ManualClock();
  readonly random: Random;
  readonly network: MemoryNetwork;
  readonly book: Book;
  readonly history = new History();
  readonly judge: Judge;
  readonly border: Border;
  readonly upstreams: readonly SimulatedUpstream[];
  app!: App;
  /** Timers of the program that have run. */
  timersRun = 0;
  /** Queries that have had an answer. */
  answers = 0;
  readonly #http = new Map<string, HttpRoutes>();
  readonly #tell: (line: string) => void;
  readonly #wrongs: string[] = [];
  readonly #log: string[] = [];
  #corefile = '';
  #resolvConf = '';
  /** Packets that should have been dropped; those that came to a closing listener may not have been looked at. */
  readonly #drops = { least: 0, most: 0 };
  #isStopping = false;

  /** `tell` is given a line for everything that happens. */
  constructor(random: Random, tell: (line: string) => void) {
    this.random = random;
    this.#tell = tell;
    this.network = new MemoryNetwork(this.clock, random);
    this.book = new Book(random, this.clock);
    this.judge = new Judge(this.book, this.history);
    this.border = new Border(this.network, this.#watcher());
    const { clock, network, book } = this;
    this.upstreams = upstreamPlaces.map(
      (at, number) => new SimulatedUpstream({ clock, network, random, book }, number, at),
    );
  }

  async start(corefile: string): Promise<void> {
    this.#corefile = corefile;
    this.namesServers(randomResolvConf(this.random));
    this.#note(`start:\n${corefile}`);
    for (const upstream of this.upstreams) await upstream.start();
    const say = (level: string) => (message: string) => void this.#log.push(`${level} ${message}`);
    this.history.begins(this.#load(), this.clock.nowMs());
    const outsides = {
      network: () => this.border.network(),
      clock: this.#countedClock(),
      random: this.random,
      run: async ({ program }: { readonly program: string }) => assert.fail(`${program} was run`),
      log: { debug() {}, info() {}, warn() {}, error: say('error'), queryLine() {}, linesLost: 0 },
      startHttp: async (at: Endpoint, routes: HttpRoutes) => {
        const key = `${at.address}:${at.port}`;
        this.#http.set(key, routes);
        return { local: at, close: async () => void this.#http.delete(key) };
      },
      pprofAskers: { mayAsk: [0], userOfPeer: async () => 0 },
      profiler: { record: async () => null, heapSnapshot: () => assert.fail('nobody asks for one') },
      sockets: { socketsAt: () => [], ownSockets: () => new Set<number>() },
      readFile: (path: string) => this.#fileAt(path),
      readPieces: async (path: string) => {
        const text = this.#fileAt(path);
        return text === undefined ? undefined : [Buffer.from(text)];
      },
      look: { stat: (path: string) => this.#fileAt(path), digest: (path: string) => this.#fileAt(path) },
    };
    const node = { metricsAddress: null, setupErrors: newSetupErrors(), host: null, lookEveryMs: null, inForce() {} };
    const settings = { load: () => this.#load(), version: '0.0.0', formerMetricNames: true, ...node };
    this.app = await this.clock.until(startApp(outsides, settings));
  }

  /** Reloads with this Corefile, while time passes; `expected` is what must come of it. */
  async reload(corefile: string, expected: 'reloaded' | 'unchanged' | 'refused'): Promise<void> {
    const before = this.#corefile;
    this.#corefile = corefile;
    if (expected === 'reloaded') this.history.begins(this.#load(), this.clock.nowMs());
    this.#note(`reload, ${expected}:\n${corefile}`);
    const result = await this.clock.until(this.app.reload('the simulation'));
    assert.equal(result, expected, `${result}, not ${expected}: ${this.#log.at(-1)}\n${corefile}`);
    if (expected === 'refused') this.#corefile = before;
    if (expected !== 'reloaded') return;
    this.history.settled(this.clock.nowMs());
    this.judge.settled(this.history.current);
  }

  /** From now on the resolv.conf has this text. */
  namesServers(text: string): void {
    this.#resolvConf = text;
    this.#note(`the resolv.conf is ${JSON.stringify(text)}`);
  }

  #fileAt(path: string): string | undefined {
    return path === resolvConf ? this.#resolvConf : undefined;
  }

  get corefile(): string {
    return this.#corefile;
  }

  #note(line: string): void {
    this.#tell(`${this.clock.nowMs().toFixed(1)} ${line}`);
  }

  /** Lets time pass, and looks whether all is as it must be. */
  async pass(ms: number): Promise<void> {
    await this.clock.pass(ms);
    this.#note(`${ms} ms have passed`);
    this.check();
  }

  check(): void {
    const { app, clock } = this;
    const nowMs = clock.nowMs();
    for (const { takenAtMs, isExcused, bytes, transport } of this.border.owed()) {
      if (takenAtMs === null || isExcused || nowMs - takenAtMs <= latestMs) continue;
      this.#wrongs.push(`no answer over ${transport} within ${nowMs - takenAtMs} ms to ${bytes.toString('hex')}`);
    }
    const dropped = app.counters.total('droppedShort') + app.counters.total('droppedResponse');
    const { least, most } = this.#drops;
    if (dropped < least || dropped > most) this.#wrongs.push(`${dropped} packets are counted as dropped, not ${most}`);
    if (app.counters.total('panics') > 0) this.#wrongs.push(`an exception: ${this.#log.at(-1)}`);
    if (app.waiting > waitersMax) this.#wrongs.push(`${app.waiting} clients wait`);
    this.#checkOpen(this.border.open.streams, connectionsPerUpstreamMax);
    this.#checkOpen(this.border.open.datagrams, udpSocketsPerUpstreamMax);
    assert(this.#wrongs.length === 0, `${this.#wrongs.slice(0, 3).join('\n')}\nwith\n${this.#corefile}`);
  }

  /** Every forward of every configuration that still works may have so many, and a probe. */
  #checkOpen(open: ReadonlyMap<string, number>, eachMax: number): void {
    const forwards = this.history
      .during(this.clock.nowMs() - 10_000, this.clock.nowMs())
      .reduce((sum, { blocks }) => sum + blocks.reduce((of, block) => of + block.forwards.length, 0), 0);
    for (const [place, count] of open) {
      if (count > forwards * (eachMax + 1)) this.#wrongs.push(`${count} sockets are open to ${place}`);
    }
  }

  /** A number of /metrics; NaN when it is not there. */
  async metric(name: string): Promise<number> {
    const scrape = this.#http.get(metricsPlace)?.['/metrics'];
    assert(scrape !== undefined, 'there is no /metrics');
    const { body } = await this.clock.until(scrape({ query: new URLSearchParams(), isLocal: true, ...nobody }));
    const line = body.split('\n').find((text) => text.startsWith(`${name} `));
    return line === undefined ? Number.NaN : Number(line.slice(name.length + 1));
  }

  /** After a while in which nobody asked: nothing waits, nothing is open, nothing goes round. */
  async checkRest(): Promise<void> {
    assert(this.border.isNothingOwed, 'somebody is owed an answer');
    assert.equal(this.app.waiting, 0);
    assert.equal(await this.metric('zerohop_pending_questions'), 0);
    assert.equal(await this.metric('zerohop_waiting_clients'), 0);
    assert.equal(await this.metric('zerohop_tcp_clients'), 0);
    const usedBytes = await this.metric('zerohop_cache_used_bytes');
    assert(usedBytes >= 0 && usedBytes <= cacheBytesLeast, `${usedBytes} bytes in use`);
    assert.equal(this.network.open.connections, 0, 'connections open at rest');
    assert.deepEqual(
      [...this.border.open.datagrams].filter(([place, count]) => count > 0 && !place.startsWith('169.254')),
      [],
      'sockets to upstreams open at rest',
    );
    const before = this.timersRun;
    await this.pass(10_000);
    assert(this.timersRun - before <= 25, `${this.timersRun - before} timers in ten quiet seconds`);
  }

  /** Stops the program, which must be done in time and leave nothing. */
  async stop(): Promise<void> {
    const startedMs = this.clock.nowMs();
    const lameduckMs = this.history.current.health?.lameduckMs ?? 0;
    this.#isStopping = true;
    await this.clock.until(this.app.stop(), lameduckMs + 3_100);
    this.check();
    assert(this.clock.nowMs() - startedMs <= lameduckMs + 3_100, 'stopped in time');
    assert.equal(this.#http.size, 0, 'HTTP servers left');
  }

  #load(): Config {
    return parseConfig(this.#corefile, 'Corefile', { ...loadOptions, checkLogFormat });
  }

  #countedClock(): Clock {
    const { clock } = this;
    const counted = (run: () => void) => () => {
      this.timersRun++;
      run();
    };
    return {
      nowMs: () => clock.nowMs(),
      wallMs: () => clock.wallMs(),
      rest: () => clock.rest(),
      after: (delayMs, run) => clock.after(delayMs, counted(run)),
      every: (periodMs, run) => clock.every(periodMs, counted(run)),
    };
  }

  #watcher(): Watcher {
    // Until an address that comes back is open again, whoever asks there asks a socket that is being closed.
    const isLeaving = ({ address }: Endpoint): boolean => {
      const nowMs = this.clock.nowMs();
      const isServed = this.history
        .during(nowMs, nowMs)
        .every(({ blocks }) => blocks.some(({ addresses }) => addresses.includes(address)));
      return this.#isStopping || !isServed;
    };
    return {
      nowMs: () => this.clock.nowMs(),
      isLeaving,
      tcpQueriesMax: ({ address }) => this.#tcpQueriesMax(address),
      dropped: (isExcused) => {
        this.#drops.most++;
        if (!isExcused) this.#drops.least++;
      },
      answered: (query, answer) => {
        this.answers++;
        this.#note(
          `answered after ${(this.clock.nowMs() - query.arrivedAtMs).toFixed(1)} ms: ${describe(query, answer)}`,
        );
        const why = this.judge.whyNot(query, answer, this.clock.nowMs());
        if (why !== null)
          this.#wrongs.push(
            `at ${this.clock.nowMs()}, asked at ${query.arrivedAtMs}, ${why}: ${describe(query, answer)}`,
          );
      },
      requested: (upstream, message) => this.#requested(upstream, message),
      heard: (upstream, message) => {
        const statement = this.book.of(message);
        this.#note(`${upstream.address} said ${nameOf(statement)}`);
        if (statement === undefined || statement.arrivedAtMs !== null) return;
        statement.arrivedAtMs = this.clock.nowMs();
        statement.configs = this.history.during(this.clock.nowMs() - takenInWithinMs, this.clock.nowMs());
      },
      brokeOff: (owed) => {
        const wronged = owed.filter(({ isExcused }) => !isExcused);
        const isCounted = this.app.counters.total('tcpClosedSlow') > 0;
        if (wronged.length > 0 && !isCounted)
          this.#wrongs.push(`a client was dropped that was owed ${wronged.length} answers`);
      },
      wrong: (what) => void this.#wrongs.push(what),
    };
  }

  /** The fewest queries after which a connection to this address was ever to be closed. */
  #tcpQueriesMax(address: string): number {
    const blocks = this.history.configs.flatMap((config) => config.blocks);
    const limits = blocks.filter(({ addresses }) => addresses.includes(address)).map((block) => block.timeouts);
    return Math.min(...limits.map(({ tcpQueriesMax }) => (tcpQueriesMax > 0 ? tcpQueriesMax : Infinity)));
  }

  /** What policy answers is asked of nobody. */
  #requested({ address, port }: Endpoint, message: Buffer): void {
    if (!upstreamPlaces.some((place) => place.address === address && place.port === port)) return;
    const { questions } = readMessage(message);
    this.#note(`${address} is asked ${questionIn(message)}`);
    if (questions.length !== 1) return void this.#wrongs.push(`a request with ${questions.length} questions`);
    const [{ name, type }] = questions;
    if (type !== types.AAAA) return;
    const configs = this.history.during(this.clock.nowMs() - takenInWithinMs, this.clock.nowMs());
    const mayAsk = configs.some((config) =>
      ['169.254.20.10', '169.254.20.11'].some((own) => {
        const here = blockOf(config, own, name);
        return here !== null && (here.block.aaaa === null || here.block.aaaa === 'forward');
      }),
    );
    if (!mayAsk) this.#wrongs.push(`AAAA of ${name} was asked, against the policy`);
  }
}
