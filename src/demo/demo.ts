/**
 * `zerohop demo`: the program without cluster, root or network. It opens a stand-in for the cluster DNS, has the real
 * server started on 127.0.0.1 in front of it with the built-in configuration, asks it a few questions as a pod would,
 * and prints where each answer came from. It starts nothing of the server itself: `serve` is handed in.
 */
import { formatEndpoint } from '../config/addresses.js';
import { builtinCorefile } from '../config/generated-corefile.js';
import { lowerCaseName, typeName } from '../dns/names.js';
import type { Clock } from '../os/clock.js';
import type { Network } from '../os/network.js';
import { openStandIn } from './cluster-dns.js';
import { freePort } from './ports.js';
import { askOnce, type Question } from './question.js';
import { type Row, type Section, tableLines } from './table.js';
import { demoRecords, lookupIn } from './zones.js';

/** Where the demo's server listens on 127.0.0.1. */
export interface DemoPorts {
  readonly dns: number;
  readonly health: number;
  readonly ready: number;
  readonly metrics: number;
}

/** The running server, as far as the demo needs to know it. */
export interface DemoServer {
  /** Answers made by the AAAA policy so far, over all threads. */
  synthesized(): number;
}

interface DemoParts {
  readonly network: Network;
  readonly clock: Clock;
  /** Takes one line for the terminal, without its end. */
  write(line: string): void;
  /** Starts the server with this Corefile, which names these ports; resolves when it answers on UDP. */
  serve(corefile: string, ports: DemoPorts): Promise<DemoServer>;
}

export interface Demo {
  /** Closes the stand-in; the server is closed by who started it. */
  stop(): void;
}

const address = '127.0.0.1';
const wantedPorts: DemoPorts = { dns: 1053, health: 8080, ready: 8181, metrics: 9253 };
const answerTimeoutMs = 3_000;
const service = 'web.default.svc.cluster.local.';

/** Whether a question has reached the stand-in. Others reach it too, loop's probe among them, and do not count. */
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
    questions: searchPath('www.example.com'),
  },
  { caption: '... and once more.', questions: searchPath('www.example.com') },
];

/** Runs the demo up to the point where it only serves. Rejects when a socket cannot be opened or `serve` does. */
export async function runDemo({ network, clock, write, serve }: DemoParts): Promise<Demo> {
  const watch: Watch = { wanted: '', seen: false };
  const asked = (name: string, type: number): void => {
    if (keyOf({ name, type: typeName(type) }) === watch.wanted) watch.seen = true;
  };
  const standIn = await openStandIn({ network, lookup: lookupIn(demoRecords), asked }, address);
  try {
    const ports = await choosePorts({ network, clock, write });
    const server = await serve(demoCorefile(formatEndpoint(standIn.at), ports), ports);
    write(`zerohop on ${address}:${ports.dns}, in front of a stand-in for the cluster DNS on port ${standIn.at.port}.`);
    write('');
    const ask = asker({ network, clock }, ports.dns, server, watch);
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

/** The built-in configuration, with the stand-in in the place of the cluster DNS and of everything else. */
export function demoCorefile(standIn: string, ports: DemoPorts): string {
  return builtinCorefile({
    localAddresses: [address],
    port: ports.dns,
    clusterDns: standIn,
    healthPort: ports.health,
    prometheusAddress: `${address}:${ports.metrics}`,
    readyAddress: `${address}:${ports.ready}`,
    outside: standIn,
  });
}

async function choosePorts({ network, clock, write }: Omit<DemoParts, 'serve'>): Promise<DemoPorts> {
  const ports: { -readonly [Use in keyof DemoPorts]: number } = { ...wantedPorts };
  for (const use of Object.keys(wantedPorts) as (keyof DemoPorts)[]) {
    const wanted = wantedPorts[use];
    ports[use] = await freePort({ network, clock }, { address, port: wanted });
    if (ports[use] !== wanted) write(`Port ${wanted} is in use; ${use} is on ${ports[use]} instead.`);
  }
  return ports;
}

function asker(
  parts: { readonly network: Network; readonly clock: Clock },
  port: number,
  server: DemoServer,
  watch: Watch,
): (question: Question) => Promise<Row> {
  let id = 0;
  return async (question) => {
    watch.wanted = keyOf(question);
    watch.seen = false;
    const synthesizedBefore = server.synthesized();
    const answer = await askOnce(parts, { address, port }, question, { id: ++id, timeoutMs: answerTimeoutMs });
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

function keyOf({ name, type }: Question): string {
  return `${lowerCaseName(name)} ${type}`;
}

function repeated(question: Question): readonly Question[] {
  return [question, question, question];
}

/** What a pod's resolver asks with the search path of the namespace `default`; the last one is the name itself. */
function searchPath(name: string): Question[] {
  const suffixes = ['default.svc.cluster.local.', 'svc.cluster.local.', 'cluster.local.', ''];
  return suffixes.map((suffix) => ({ name: `${name}.${suffix}`, type: 'A' }));
}

function whatNext({ dns, health, metrics }: DemoPorts): string[] {
  return [
    '',
    'µs: time from query to answer, measured by a client in this process, warm-up included.',
    'zerohop serves until Ctrl-C. Try:',
    `  dig @${address} -p ${dns} ${service} A`,
    `  dig @${address} -p ${dns} +tcp www.example.com A`,
    `  curl -s http://${address}:${metrics}/metrics | grep coredns_cache`,
    `  curl http://${address}:${health}/health`,
  ];
}
