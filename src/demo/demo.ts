/**
 * `zerohop demo`, without cluster, root or network: opens a stand-in for the cluster DNS, starts the real server in
 * front of it on 127.0.0.1 with the built-in configuration, asks as a pod would, and prints where answers came from, in 80
 * columns.
 */
import { canonicalAddress, formatEndpoint } from '../config/addresses.js';
import { builtinCorefile } from '../config/generated-corefile.js';
import { lowerCaseName, typeName } from '../dns/names.js';
import type { Clock } from '../os/clock.js';
import type { Endpoint, Network } from '../os/network.js';
import { demoRecords, lookupIn, openStandIn } from './cluster-dns.js';
import { askOnce, type Question } from './question.js';

export interface DemoPorts {
  readonly dns: number;
  readonly health: number;
  readonly ready: number;
  readonly metrics: number;
}

/** The part of the running server that the demo needs. */
export interface DemoServer {
  /** Answers of the AAAA policy so far, over all threads. */
  synthesized(): number;
}

interface DemoParts {
  readonly network: Network;
  readonly clock: Clock;
  write(line: string): void;
  readonly isColored: boolean;
  /** Starts the server with this Corefile, which names these ports; resolves when it answers over UDP. */
  serve(corefile: string, ports: DemoPorts): Promise<DemoServer>;
}

export interface Demo {
  /** Closes the stand-in; the caller closes the server. */
  stop(): void;
}

const demoAddress = '127.0.0.1';
const wantedPorts: DemoPorts = { dns: 1053, health: 8080, ready: 8181, metrics: 9253 };
const answerTimeoutMs = 3_000;
const service = 'web.default.svc.cluster.local.';

/** Whether the stand-in got the wanted question, unlike others such as loop's probe. */
interface Watch {
  wanted: string;
  seen: boolean;
}

interface Scene {
  readonly caption: string;
  readonly questions: readonly Question[];
}

const scenes: readonly Scene[] = [
  {
    caption: 'A Service: one query to the cluster DNS, then answers from the cache.',
    questions: repeated({ name: service, type: 'A' }),
  },
  {
    caption: 'AAAA in a cluster without IPv6: answered without an upstream query.',
    questions: [{ name: service, type: 'AAAA' }],
  },
  {
    caption: 'A headless Service, its SRV records, and a reverse lookup.',
    questions: [
      { name: 'db.default.svc.cluster.local.', type: 'A' },
      { name: '_pg._tcp.db.default.svc.cluster.local.', type: 'SRV' },
      { name: '80.20.96.10.in-addr.arpa.', type: 'PTR' },
    ],
  },
  {
    caption: 'A name that does not exist is cached as well.',
    questions: repeated({ name: 'nothing.default.svc.cluster.local.', type: 'A' }),
  },
  {
    caption: 'www.example.com as a pod with ndots:5 resolves it, along its search path ...',
    questions: demoSearchPath('www.example.com'),
  },
  { caption: '... and once more.', questions: demoSearchPath('www.example.com') },
];

/** Resolves when the demo only serves. Rejects when a socket cannot be opened or `serve` rejects. */
export async function runDemo({ network, clock, write, isColored, serve }: DemoParts): Promise<Demo> {
  const watch: Watch = { wanted: '', seen: false };
  const asked = (name: string, type: number): void => {
    if (demoKey({ name, type: typeName(type) }) === watch.wanted) watch.seen = true;
  };
  const standIn = await openStandIn({ network, lookup: lookupIn(demoRecords), asked }, demoAddress);
  try {
    const ports = await choosePorts({ network, clock, write });
    const server = await serve(demoCorefile(formatEndpoint(standIn.at), ports), ports);
    write(`zerohop on ${demoAddress}:${ports.dns} asks a stand-in for the cluster DNS on port ${standIn.at.port}.`);
    write('');
    const ask = newAsk({ network, clock }, ports.dns, server, watch);
    await warmUp(ask);
    const sections: Section[] = [];
    for (const { caption, questions } of scenes) {
      const rows: Row[] = [];
      for (const question of questions) rows.push(await ask(question));
      sections.push({ caption, rows });
    }
    const rows = sections.flatMap((each) => each.rows);
    const point = pointOf(rows);
    const lines = [...tableLines(sections, isColored), '', ...(point === '' ? [] : [bold(point, isColored)])];
    for (const line of [...lines, ...whatNext(ports)]) write(line);
    return { stop: () => standIn.close() };
  } catch (error) {
    standIn.close();
    throw error;
  }
}

/** The built-in configuration, with the stand-in as every upstream. */
export function demoCorefile(standIn: string, ports: DemoPorts): string {
  return builtinCorefile({
    localAddresses: [demoAddress],
    port: ports.dns,
    clusterDns: standIn,
    healthPort: ports.health,
    prometheusAddress: `${demoAddress}:${ports.metrics}`,
    readyAddress: `${demoAddress}:${ports.ready}`,
    outside: standIn,
  });
}

async function choosePorts({ network, clock, write }: Omit<DemoParts, 'serve' | 'isColored'>): Promise<DemoPorts> {
  const ports: { -readonly [Use in keyof DemoPorts]: number } = { ...wantedPorts };
  for (const use of Object.keys(wantedPorts) as (keyof DemoPorts)[]) {
    const wanted = wantedPorts[use];
    ports[use] = await freePort({ network, clock }, { address: demoAddress, port: wanted });
    if (ports[use] !== wanted) write(`Port ${wanted} is in use; ${use} is on ${ports[use]} instead.`);
  }
  return ports;
}

function newAsk(
  parts: { readonly network: Network; readonly clock: Clock },
  port: number,
  server: DemoServer,
  watch: Watch,
): (question: Question) => Promise<Row> {
  let id = 0;
  return async (question) => {
    watch.wanted = demoKey(question);
    watch.seen = false;
    const synthesizedBefore = server.synthesized();
    const answer = await askOnce(parts, { address: demoAddress, port }, question, {
      id: ++id,
      timeoutMs: answerTimeoutMs,
    });
    const asked = { type: question.type, name: question.name.replace(/\.$/u, '') };
    if (answer === null) return { ...asked, answer: 'no answer', source: '', microseconds: null };
    const made = server.synthesized() > synthesizedBefore ? 'policy' : 'cache';
    return {
      ...asked,
      answer: answer.rcode === 'NOERROR' ? answerText(answer.data) : answer.rcode,
      source: watch.seen ? 'upstream' : made,
      microseconds: Math.round(answer.afterMs * 1000),
    };
  };
}

/** Misses, hits and synthesized answers in turns, for names that the scenes do not have. */
const warmUpQuestions: readonly Question[] = Array.from({ length: 100 }, (_, round): readonly Question[] => {
  const missed = { name: `warm-up-${round}.default.svc.cluster.local.`, type: 'A' };
  const found = { name: 'kubernetes.default.svc.cluster.local.', type: 'A' };
  const hits = Array.from({ length: 5 }, () => [missed, found]);
  return [missed, ...hits.flat(), { ...found, type: 'AAAA' }];
}).flat();

/**
 * Asks until the code on the way of each kind of answer is compiled, as in a server that has run for a second. Ends with the
 * first query that gets no answer.
 */
async function warmUp(ask: (question: Question) => Promise<Row>): Promise<void> {
  for (const question of warmUpQuestions) if ((await ask(question)).microseconds === null) return;
}

/** The addresses without their aliases, or whatever else there is: the first, and the number of others. */
function answerText(data: readonly string[]): string {
  const addresses = data.filter((each) => canonicalAddress(each) !== undefined);
  const [first = '', ...others] = addresses.length > 0 ? addresses : data;
  return others.length === 0 ? first : `${first} +${others.length}`;
}

function demoKey({ name, type }: Question): string {
  return `${lowerCaseName(name)} ${type}`;
}

function repeated(question: Question): readonly Question[] {
  return [question, question, question];
}

/** The queries of a pod's resolver in the namespace `default`; the last is the name itself. */
function demoSearchPath(name: string): Question[] {
  const suffixes = ['default.svc.cluster.local.', 'svc.cluster.local.', 'cluster.local.', ''];
  return suffixes.map((suffix) => ({ name: `${name}.${suffix}`, type: 'A' }));
}

/** What the rows show, in one sentence; empty if there is nothing to compare. */
export function pointOf(rows: readonly Row[]): string {
  const answered = rows.filter(({ microseconds }) => microseconds !== null);
  const [upstream, here] = [true, false].map((isUpstream) =>
    answered.filter(({ source }) => (source === 'upstream') === isUpstream).map(({ microseconds }) => microseconds!),
  );
  if (upstream.length === 0 || here.length === 0) return '';
  const took = (each: readonly number[]): string => `took ${(medianOf(each) / 1000).toFixed(2)} ms`;
  const others = `the other ${upstream.length}`;
  return `${here.length} of ${answered.length} queries never left the node and ${took(here)}, ${others} ${took(upstream)}.`;
}

function medianOf(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((one, other) => one - other);
  return sorted[sorted.length >> 1];
}

function whatNext({ dns, health, metrics }: DemoPorts): string[] {
  return [
    `(Medians, after a warm-up of ${warmUpQuestions.length} queries. The stand-in is in this process;`,
    'from a real node the cluster DNS is across the network.)',
    '',
    'zerohop serves until Ctrl-C. Try:',
    `  dig @${demoAddress} -p ${dns} ${service} A`,
    `  dig @${demoAddress} -p ${dns} +tcp www.example.com A`,
    `  curl -s http://${demoAddress}:${metrics}/metrics | grep coredns_cache`,
    `  curl http://${demoAddress}:${health}/health`,
  ];
}

type PortParts = Pick<DemoParts, 'network' | 'clock'>;

const portsTriedMax = 100;
/** A loopback connect succeeds or fails at once; on a timeout the port counts as taken. */
const knockTimeoutMs = 500;

/** The first port of `at.address` that is free for UDP and TCP, from `at.port` on. Throws an Error after a hundred. */
export async function freePort(parts: PortParts, at: Endpoint): Promise<number> {
  for (let port = at.port; port < at.port + portsTriedMax && port <= 65535; port++) {
    if (await isFree(parts, { address: at.address, port })) return port;
  }
  throw new Error(`No port of ${at.address} from ${at.port} on is free; stop the programs that use them.`);
}

async function isFree({ network, clock }: PortParts, at: Endpoint): Promise<boolean> {
  if (await somebodyListens({ network, clock }, at)) return false;
  try {
    const listener = await network.listenStreams(at, () => ({ data() {}, ended() {}, closed() {} }));
    listener.close();
    const datagrams = await network.openDatagrams(at, { datagram() {}, error() {} });
    datagrams.close();
    return true;
  } catch {
    return false;
  }
}

function somebodyListens({ network, clock }: PortParts, at: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(knockTimeoutMs, () => done(true));
    const stream = network.connectStream(at, {
      opened: () => done(true),
      data() {},
      ended() {},
      closed: () => done(false),
    });
    function done(listens: boolean): void {
      timer.stop();
      resolve(listens);
      stream.destroy();
    }
  });
}

export interface Row {
  readonly type: string;
  readonly name: string;
  /** Records, or the rcode. */
  readonly answer: string;
  readonly source: string;
  /** Null without an answer. */
  readonly microseconds: number | null;
}

interface Section {
  readonly caption: string;
  readonly rows: readonly Row[];
}

/** The longest name, of a search path, has 41 characters, so a line has 80. */
const answerColumnsMax = 14;
const headings = ['TYPE', 'NAME', 'ANSWER', 'FROM', 'µs'] as const;

/** The table's lines; long answers end in an ellipsis. */
export function tableLines(sections: readonly Section[], isColored: boolean): string[] {
  const cells = (row: Row): string[] => [
    row.type,
    row.name,
    row.answer.length > answerColumnsMax ? `${row.answer.slice(0, answerColumnsMax - 1)}…` : row.answer,
    row.source,
    row.microseconds === null ? '' : String(row.microseconds),
  ];
  const all = [[...headings], ...sections.flatMap(({ rows }) => rows.map(cells))];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const line = (row: readonly string[]): string => {
    const padded = row.map((cell, column) =>
      column === 4 ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
    );
    return padded.join('  ').trimEnd();
  };
  return [
    bold(line(headings), isColored),
    ...sections.flatMap(({ caption, rows }) => [
      '',
      bold(`# ${caption}`, isColored),
      ...rows.map((row) => tinted(line(cells(row)), row.source, isColored)),
    ]),
  ];
}

const tints: Readonly<Record<string, string>> = { upstream: '\u001b[33m', cache: '\u001b[32m', policy: '\u001b[36m' };

/** A line of the table in the color of its source, and so from one look how much stays on the node. */
function tinted(line: string, source: string, isColored: boolean): string {
  return isColored && Object.hasOwn(tints, source) ? `${tints[source]}${line}\u001b[0m` : line;
}

function bold(line: string, isColored: boolean): string {
  return isColored ? `\u001b[1m${line}\u001b[0m` : line;
}
