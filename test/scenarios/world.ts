/**
 * The whole program in a world of its own: network in memory, clock in the test's hands, upstream scripted, HTTP
 * endpoints as functions. Scenarios read like scripts:
 *
 *     const world = await newWorld();
 *     world.upstream.answers('a.example.', 'A', ['192.0.2.1'], { ttlSeconds: 30 });
 *     const answer = await world.asks('a.example.', 'A');
 *     await world.passSeconds(29);
 */
import assert from 'node:assert/strict';
import { basename, dirname } from 'node:path';
import { Readable } from 'node:stream';
import { readFlags } from '../../src/config/flag-reader.js';
import type { ConfigFiles } from '../../src/config/imports.js';
import { parseConfig } from '../../src/config/load.js';
import { serveOptions } from '../../src/config/serve-options.js';
import { Source } from '../../src/config/source.js';
import type { HostOptions } from '../../src/host/host.js';
import type { HttpAnswer, HttpRoutes } from '../../src/observe/http.js';
import { checkLogFormat } from '../../src/observe/log-format.js';
import { newSetupErrors } from '../../src/observe/process-numbers.js';
import type { RunCommand } from '../../src/os/commands.js';
import type { Endpoint } from '../../src/os/network.js';
import { newPage } from '../../src/page/page.js';
import { type App, startApp } from '../../src/process/app.js';
import type { OpenControl } from '../../src/process/control-handlers.js';
import { loadOptions } from '../resolve/context-fixture.js';
import { type AskOptions, Client, type ClientAnswer } from '../simulation/client.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';
import { Upstream } from '../simulation/upstream.js';

const nobody = { method: 'GET', host: 'localhost', remote: { address: '', port: 0 }, local: { address: '', port: 0 } };

const pageAddress: Endpoint = { address: '127.0.0.1', port: 9254 };
export const server: Endpoint = { address: '169.254.20.10', port: 53 };
export const clusterDns: Endpoint = { address: '10.96.0.10', port: 53 };
export const outsideDns: Endpoint = { address: '192.0.2.53', port: 53 };

/** One zone, everything cached, asked over TCP. */
export const simpleCorefile = `. {
  bind 169.254.20.10
  errors
  cache
  forward . 10.96.0.10 {
    force_tcp
  }
}
`;

export interface WorldOptions {
  readonly corefile?: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Where the Corefile lies, for its relative imports. */
  readonly path?: string;
  /** `files`: the template, the ConfigMap and -conf are read from `files`, where node-cache has them. */
  readonly configuration?: 'text' | 'files';
  /** `closed`: they are not started, for configurations that name others or listen at their addresses. */
  readonly upstreams?: 'closed';
  readonly seed?: number;
  /** The node's programs, and what is wanted of them; without them the node is left as it is. */
  readonly run?: RunCommand;
  readonly host?: HostOptions;
  /** With the live page at 127.0.0.1:9254. */
  readonly page?: 'on';
  /** Gets what commands may ask; without it there is no control socket. */
  readonly control?: OpenControl;
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'query';
  readonly message: string;
}

export interface World {
  readonly clock: ManualClock;
  readonly network: MemoryNetwork;
  readonly upstream: Upstream;
  readonly outside: Upstream;
  readonly app: App;
  readonly log: readonly LogLine[];
  /** Files that the program may read; change them at will. */
  readonly files: Map<string, string>;
  /** Asks our server from a pod; time passes by itself until the answer is there. */
  asks(name: string, type: string, options?: AskOptions): Promise<ClientAnswer>;
  /** The same without waiting. */
  asking(name: string, type: string, options?: AskOptions): Promise<ClientAnswer>;
  client(address?: string, asks?: Endpoint): Client;
  pass(ms: number): Promise<void>;
  passSeconds(seconds: number): Promise<void>;
  /** Puts another Corefile in place and reloads. */
  reload(corefile: string): Promise<string>;
  get(endpoint: string, path: string): Promise<HttpAnswer>;
  /** Lines of this level that contain the text. */
  said(text: string): readonly LogLine[];
  stop(): Promise<void>;
}

export async function newWorld(options: WorldOptions = {}): Promise<World> {
  const clock = new ManualClock();
  const random = seededRandom(options.seed ?? 1);
  const network = new MemoryNetwork(clock, random);
  const upstream = new Upstream(clock, clusterDns);
  const outside = new Upstream(clock, outsideDns);
  for (const each of options.upstreams === 'closed' ? [] : [upstream, outside]) {
    await opening(clock, each.start(network));
  }
  const log: LogLine[] = [];
  const say = (level: LogLine['level']) => (message: string) => void log.push({ level, message });
  const files = new Map(Object.entries(options.files ?? {}));
  const http = new Map<string, HttpRoutes>();
  let corefile = options.corefile ?? simpleCorefile;
  const outsides = {
    network: () => network,
    clock,
    random,
    log: {
      debug: say('debug'),
      info: say('info'),
      warn: say('warn'),
      error: say('error'),
      queryLine: say('query'),
      linesLost: 0,
    },
    startHttp: async (at: Endpoint, routes: HttpRoutes) => {
      const key = `${at.address}:${at.port}`;
      if (http.has(key)) throw Object.assign(new Error('in use'), { code: 'EADDRINUSE' });
      http.set(key, routes);
      return { local: at, close: async () => void http.delete(key) };
    },
    pprofAskers: { mayAsk: [0], userOfPeer: async () => 0 },
    profiler: { record: async () => ({ finish: async () => '{}' }), heapSnapshot: async () => Readable.from(['{}']) },
    run: options.run ?? (async ({ program }) => assert.fail(`${program} was run`)),
    sockets: { socketsAt: () => [], ownSockets: () => new Set<number>() },
    readFile: (path: string) => files.get(path),
    readPieces: async (path: string) => piecesOf(files.get(path)),
    control: options.control,
    look: { stat: (path: string) => files.get(path), digest: (path: string) => files.get(path) },
    pageWish: options.page && { at: pageAddress, hostName: 'node-a', newPage, findingsOn: () => [] },
  };
  const setupErrors = newSetupErrors();
  const understand = { ...loadOptions, files: inMemory(files), checkLogFormat };
  const source = new Source(serveOptions(readFlags(['-upstreamsvc', clusterDns.address]), {}), {
    load: understand,
    log: outsides.log,
    write: (path, text) => void files.set(path, text),
    wrong: () => setupErrors.count('configmap'),
  });
  const settings = {
    load:
      options.configuration === 'files'
        ? () => source.read()
        : () => parseConfig(corefile, options.path ?? 'Corefile', understand),
    metricsAddress: null,
    formerMetricNames: true,
    version: '0.0.0',
    setupErrors,
    host: options.host ?? null,
    lookEveryMs: null,
    inForce() {},
  };
  const app = await opening(clock, startApp(outsides, settings));

  const client = (address = '10.244.0.7', at = server) =>
    new Client({ network: network.from(address), clock, random }, at);
  const asking: World['asking'] = (name, type, how) => client().asks(name, type as never, how);
  return {
    ...{ clock, network, upstream, outside, app, log, files, client, asking },
    asks: (name, type, how) => opening(clock, asking(name, type, how)),
    pass: (ms) => clock.pass(ms),
    passSeconds: (seconds) => clock.pass(seconds * 1000),
    async reload(next) {
      corefile = next;
      return opening(clock, app.reload('test'));
    },
    async get(endpoint, path) {
      const [name, query] = path.split('?');
      const route = http.get(endpoint)?.[name];
      return route === undefined
        ? { status: 404, body: '' }
        : opening(clock, route({ query: new URLSearchParams(query), isLocal: true, ...nobody }));
    },
    said: (text) => log.filter(({ message }) => message.includes(text)),
    stop: () => opening(clock, app.stop()),
  };
}

function piecesOf(text: string | undefined): Uint8Array[] | undefined {
  return text === undefined ? undefined : [Buffer.from(text)];
}

function inMemory(files: ReadonlyMap<string, string>): ConfigFiles {
  const read = (file: string): string => files.get(file) ?? assert.fail(`there is no ${file}`);
  return {
    read,
    readBytes: (file) => Buffer.from(read(file)),
    exists: (file) => files.has(file),
    list: (folder) => [...files.keys()].filter((file) => dirname(file) === folder).map((file) => basename(file)),
  };
}

/** Lets time pass, a millisecond at a time, until the promise is settled; ten seconds of it at most. */
export async function opening<Value>(clock: ManualClock, promise: Promise<Value>): Promise<Value> {
  let settled = false;
  const watched = promise.finally(() => {
    settled = true;
  });
  watched.catch(() => {});
  for (let passedMs = 0; !settled && passedMs < 10_000; passedMs++) await clock.pass(1);
  return watched;
}
