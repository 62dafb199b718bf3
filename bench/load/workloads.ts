/**
 * The kinds of work that are measured, as data: what is asked, how hard, and what a right answer is. A workload is
 * for every server that is able to do it; a server that has another way of doing it (zerohop's AAAA policy) is told so
 * by `aaaa`.
 */
import type { Load } from './dnsperf.js';
import type { QuestionFiles } from './questions.js';

/** Questions a second, or as fast as answers come. */
export type Rate = number | 'saturated';

/** What servers are able to do, each including those before it. */
export const abilities = ['packets', 'names', 'cache', 'misses'] as const;
/**
 * packets: sends something back; names: knows what exists; cache: asks others and remembers; misses: asks them over
 * TCP.
 */
export type Ability = (typeof abilities)[number];

export interface Workload {
  /** As `--only` has it. */
  readonly name: string;
  /** As the table has it. */
  readonly title: string;
  readonly needs: Ability;
  readonly questions: keyof QuestionFiles;
  readonly transport: Load['transport'];
  /** One measured run each, one after the other in the same process; only one where nothing is to be asked twice. */
  readonly rates: readonly Rate[];
  /** The rcodes of right answers; any other is counted as wrong. */
  readonly rcodes: readonly string[];
  /** Who says no to AAAA: the upstream, whose denial is cached, or zerohop itself; other servers always ask. */
  readonly aaaa: 'upstream' | 'policy';
  /** Whether misses, TCP clients and scrapes go on meanwhile; their answers count for the CPU, not for the latency. */
  readonly beside: 'nothing' | 'everything';
  /** Sockets of the load. */
  readonly clients: number;
}

const clients = 8;

const plain = {
  needs: 'names',
  transport: 'udp',
  rates: ['saturated'],
  rcodes: ['NOERROR'],
  aaaa: 'upstream',
  beside: 'nothing',
  clients,
} as const satisfies Partial<Workload>;

export const workloads: readonly Workload[] = [
  {
    ...plain,
    name: 'cached',
    title: 'cached answer over UDP',
    needs: 'packets',
    questions: 'positive',
    rates: ['saturated', 20_000, 1000],
  },
  {
    ...plain,
    name: 'nxdomain',
    title: 'cached NXDOMAIN (search path) over UDP',
    questions: 'negative',
    rcodes: ['NXDOMAIN'],
  },
  { ...plain, name: 'aaaa', title: 'AAAA by policy; others: cached NODATA', questions: 'aaaa', aaaa: 'policy' },
  {
    ...plain,
    name: 'mix',
    title: 'cached, 7,500 names by Zipf',
    questions: 'mix',
    rcodes: ['NOERROR', 'NXDOMAIN'],
  },
  {
    ...plain,
    name: 'walk',
    title: 'search-path walk, A and AAAA',
    questions: 'walk',
    rcodes: ['NOERROR', 'NXDOMAIN'],
    aaaa: 'policy',
  },
  { ...plain, name: 'tcp', title: 'cached answer to TCP clients', questions: 'positive', transport: 'tcp' },
  { ...plain, name: 'uncached', title: 'uncached answer, TCP upstream', needs: 'misses', questions: 'distinct' },
  {
    ...plain,
    name: 'busy',
    title: 'cached, beside misses, TCP clients and scrapes',
    needs: 'misses',
    questions: 'positive',
    rates: [20_000],
    beside: 'everything',
  },
];

/**
 * Less in flight than fits in a socket's receive buffer at the kernel's default size (212,992 bytes; 200 small packets
 * can be too many for it), so that a loss is the server's doing.
 */
const saturatingOutstanding = 128;
/** At a given rate the load must not wait for a server that pauses, or nobody would see the pause: 50 ms at 20,000. */
const pacedOutstanding = 1000;

export function loadOf({ transport, clients }: Pick<Workload, 'transport' | 'clients'>, rate: Rate): Load {
  return rate === 'saturated'
    ? { transport, clients, outstanding: saturatingOutstanding, queriesPerSecond: null }
    : { transport, clients, outstanding: pacedOutstanding, queriesPerSecond: rate };
}

/** Slow rates are measured longer, for enough answers to speak of the slowest of a thousand. */
const slowRate = 5000;
export const slowFactor = 3;

export function secondsAt(rate: Rate, seconds: number): number {
  return rate !== 'saturated' && rate <= slowRate ? slowFactor * seconds : seconds;
}

export function rateText(rate: Rate): string {
  return rate === 'saturated' ? 'saturated' : `${rate.toLocaleString('en-US')} q/s`;
}
