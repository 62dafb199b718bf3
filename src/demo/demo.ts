/**
 * `zerohop demo`, without cluster, root or network: opens a stand-in for the cluster DNS, starts the real server in
 * front of it on 127.0.0.1 with the built-in configuration, asks as a pod would, and prints where answers came from.
 */
import { formatEndpoint } from '../config/addresses.js';
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
      { name: '_postgres._tcp.db.default.svc.cluster.local.', type: 'SRV' },
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
export async function runDemo({ network, clock, write, serve }: DemoParts): Promise<Demo> {
  const watch: Watch = { wanted: '', seen: false };
  const asked = (name: string, type: number): void => {
    if (demoKey({ name, type: typeName(type) }) === watch.wanted) watch.seen = true;
  };
  const standIn = await openStandIn({ network, lookup: lookupIn(demoRecords), asked }, demoAddress);
  try {
    const ports = await choosePorts({ network, clock, write });
    const server = await serve(demoCorefile(formatEndpoint(standIn.at), ports), ports);
    write(
      `zerohop on ${demoAddress}:${ports.dns}, in front of a stand-in for the cluster DNS on port ${standIn.at.port}.`,
    );
    write('');
    const ask = newAsk({ network, clock }, ports.dns, server, watch);
    const sections: Section[] = [];
    for (const { caption, questions } of scenes) {
      const rows: Row[] = [];
      for (const question of questions) rows.push(await ask(question));
      sections.push({ caption, rows });
    }
    for (const line of [...tableLines(sections), ...whatNext(ports)]) write(line);
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

async function choosePorts({ network, clock, write }: Omit<DemoParts, 'serve'>): Promise<DemoPorts> {
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
    const text = `${question.name} ${question.type}`;
    if (answer === null) return { question: text, rcode: 'no answer', answer: '', source: '', microseconds: '' };
    const made = server.synthesized() > synthesizedBefore ? 'synthesized' : 'cache';
    return {
      question: text,
      rcode: answer.rcode,
      answer: answer.data.join(', '),
      source: watch.seen ? 'upstream' : made,
      microseconds: String(Math.round(answer.afterMs * 1000)),
    };
  };
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

function whatNext({ dns, health, metrics }: DemoPorts): string[] {
  return [
    '',
    'µs: time from query to answer, measured by a client in this process, warm-up included.',
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

interface Row {
  readonly question: string;
  readonly rcode: string;
  readonly answer: string;
  readonly source: string;
  readonly microseconds: string;
}

interface Section {
  readonly caption: string;
  readonly rows: readonly Row[];
}

const columns = ['question', 'rcode', 'answer', 'source', 'microseconds'] as const satisfies readonly (keyof Row)[];
const heading: Row = { question: 'QUESTION', rcode: 'RCODE', answer: 'ANSWER', source: 'SOURCE', microseconds: 'µs' };
const answerColumnsMax = 36;

/** The table's lines; long answers end in an ellipsis. */
export function tableLines(sections: readonly Section[]): string[] {
  const cut = sections.map(({ caption, rows }) => ({ caption, rows: rows.map(withShortAnswer) }));
  const all = [heading, ...cut.flatMap(({ rows }) => rows)];
  const widths = columns.map((column) => Math.max(...all.map((row) => row[column].length)));
  return [
    line(heading, widths),
    ...cut.flatMap(({ caption, rows }) => ['', `# ${caption}`, ...rows.map((row) => line(row, widths))]),
  ];
}

function withShortAnswer(row: Row): Row {
  if (row.answer.length <= answerColumnsMax) return row;
  return { ...row, answer: `${row.answer.slice(0, answerColumnsMax - 1)}…` };
}

function line(row: Row, widths: readonly number[]): string {
  const cells = columns.map((column, index) =>
    column === 'microseconds' ? row[column].padStart(widths[index]) : row[column].padEnd(widths[index]),
  );
  return cells.join('  ').trimEnd();
}
