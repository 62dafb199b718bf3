/**
 * The kinds of work that are measured, as data: what warms a process up, what is asked, how hard, and what a right
 * answer is. A workload is for every server that is able to do it; a server that has another way of doing it (zerohop's
 * AAAA policy) is told so by `aaaa`.
 */
import type { Load } from './dnsperf.js';
import type { Repeated } from './questions.js';

/** Questions a second, or as fast as answers come. */
export type Rate = number | 'saturated';

/** What servers are able to do, each including those before it. */
export const abilities = ['packets', 'names', 'cache', 'misses'] as const;
/**
 * packets: sends something back; names: knows what exists; cache: asks others and remembers; misses: asks them over
 * TCP.
 */
export type Ability = (typeof abilities)[number];

/** Asked again and again, or names that are new to the process. */
type Asked = Repeated | 'once';

/** What goes on meanwhile; its answers count for the CPU, not for the latency. */
export interface Beside {
  readonly missesPerSecond: number;
  readonly tcpPerSecond: number;
  readonly scrapeEverySeconds: number;
}

/** One row of the tables: a measured run. */
export interface Run {
  readonly name: string;
  readonly title: string;
  readonly rate: Rate;
  /** The first questions of a process, asked before it is warmed up. */
  readonly isCold: boolean;
  /** It lasts at least so long, however short other runs are. */
  readonly secondsMin: number;
  readonly beside: Beside | null;
}

/** Asked as fast as answers come, until the process is warm. */
export interface WarmUp {
  readonly questions: Asked;
  readonly transport: Load['transport'];
  readonly seconds: number;
}

export interface Workload {
  /** As `--only` has it. */
  readonly name: string;
  readonly needs: Ability;
  readonly questions: Asked;
  readonly transport: Load['transport'];
  /** The rcodes of right answers; any other is counted as wrong. */
  readonly rcodes: readonly string[];
  /** Who says no to AAAA: the upstream, whose denial is cached, or zerohop itself; other servers always ask. */
  readonly aaaa: 'upstream' | 'policy';
  /** Sockets of the load. */
  readonly clients: number;
  /** One after the other. */
  readonly warmUp: readonly WarmUp[];
  /** One after the other in one process; the cold ones come first. */
  readonly runs: readonly Run[];
}

/**
 * How long each kind of question is asked until a process of ours costs the same from second to second: a just-in-time
 * compiler has then seen everything. Servers without one need their caches filled, which takes less.
 */
const warmSeconds = { hits: 1, tcp: 1.5, misses: 4 } as const;
const warmMisses: WarmUp = { questions: 'once', transport: 'udp', seconds: warmSeconds.misses };
const warmTcp: WarmUp = { questions: 'positive', transport: 'tcp', seconds: warmSeconds.tcp };

/** Misses of a cold process, and their rate: slow enough that a cold process follows and none waits for another. */
export const coldQuestions = 1000;
const coldRate = 2000;

function run(name: string, title: string, rate: Rate, rest: Partial<Run> = {}): Run {
  return { name, title, rate, isCold: false, secondsMin: 0, beside: null, ...rest };
}

/** Cached answers over UDP, unless `rest` says otherwise. */
function workload(
  name: string,
  questions: Asked,
  runs: readonly Run[],
  rest: Partial<Omit<Workload, 'name' | 'questions' | 'runs'>> = {},
): Workload {
  const warmUp: readonly WarmUp[] = [{ questions, transport: 'udp', seconds: warmSeconds.hits }];
  const usual = { needs: 'names', transport: 'udp', rcodes: ['NOERROR'], aaaa: 'upstream', clients: 8 } as const;
  return { name, questions, runs, warmUp, ...usual, ...rest };
}

const hits = 'cached answer over UDP';
const miss = 'uncached answer, TCP upstream';
/** The other work of a node, by the second: names that its cache lacks, clients that ask over TCP. */
const besides = { missesPerSecond: 1000, tcpPerSecond: 500 } as const;
const scrapedOften = { ...besides, scrapeEverySeconds: 0.5 } as const;
/** Prometheus' usual interval; a run is as long, so that one scrape falls into it. */
const scrapedAsUsual = { ...besides, scrapeEverySeconds: 15 } as const;

export const workloads: readonly Workload[] = [
  workload(
    'cached',
    'positive',
    (['saturated', 20_000, 1000] as const).map((rate) => run('cached', hits, rate)),
    { needs: 'packets' },
  ),
  workload('nxdomain', 'negative', [run('nxdomain', 'cached NXDOMAIN (search path) over UDP', 'saturated')], {
    rcodes: ['NXDOMAIN'],
  }),
  workload('aaaa', 'aaaa', [run('aaaa', 'AAAA by policy; others: cached NODATA', 'saturated')], { aaaa: 'policy' }),
  workload('mix', 'mix', [run('mix', 'cached, 7,500 names by Zipf', 'saturated')], { rcodes: ['NOERROR', 'NXDOMAIN'] }),
  workload('walk', 'walk', [run('walk', 'search-path walk, A and AAAA', 'saturated')], {
    rcodes: ['NOERROR', 'NXDOMAIN'],
    aaaa: 'policy',
  }),
  workload('tcp', 'positive', [run('tcp', 'cached answer to TCP clients', 'saturated')], {
    transport: 'tcp',
    warmUp: [warmTcp],
  }),
  workload(
    'uncached',
    'once',
    [
      run('cold', 'uncached answer, the first 1,000 of a process', coldRate, { isCold: true }),
      ...(['saturated', coldRate, 1000] as const).map((rate) => run('uncached', miss, rate)),
    ],
    { needs: 'misses', warmUp: [warmMisses] },
  ),
  workload(
    'busy',
    'positive',
    [
      run('busy', 'cached, beside misses, TCP clients and two scrapes a second', 20_000, { beside: scrapedOften }),
      run('mixed', 'cached, beside 1,000 misses and 500 TCP queries a second and a scrape in 15 s', 20_000, {
        secondsMin: scrapedAsUsual.scrapeEverySeconds,
        beside: scrapedAsUsual,
      }),
    ],
    // Hits come last, because the misses have thrown their names out of the cache.
    {
      needs: 'misses',
      warmUp: [warmMisses, warmTcp, { questions: 'positive', transport: 'udp', seconds: warmSeconds.hits }],
    },
  ),
];

/** The workloads of this name, or of a run of this name with that run alone; all for null. */
export function chosen(name: string | null): readonly Workload[] {
  const named = workloads.filter((workload) => name === null || workload.name === name);
  if (named.length > 0) return named;
  return workloads
    .map((workload) => ({ ...workload, runs: workload.runs.filter((run) => run.name === name) }))
    .filter(({ runs }) => runs.length > 0);
}

/** What `chosen` knows. */
export const choices: readonly string[] = [
  ...new Set(workloads.flatMap(({ name, runs }) => [name, ...runs.map((run) => run.name)])),
];

/** The workload with each of its warm runs at this rate alone. */
export function atRate(workload: Workload, rate: Rate): Workload {
  const warm = workload.runs.filter(({ isCold }) => !isCold);
  const runs = warm.filter(({ name }, index) => warm.findIndex((each) => each.name === name) === index);
  return { ...workload, runs: runs.map((each) => ({ ...each, rate })) };
}

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
const slowRate = 1000;
const slowFactor = 3;
/** Runs that are shorter than they should be for figures, as in tests, have least times that are as much shorter. */
const leastFactorMax = 15;

export function secondsOf({ rate, secondsMin }: Pick<Run, 'rate' | 'secondsMin'>, seconds: number): number {
  const usual = rate !== 'saturated' && rate <= slowRate ? slowFactor * seconds : seconds;
  return Math.max(usual, Math.min(secondsMin, leastFactorMax * seconds));
}

/** The same for warming up: a run of a tenth of a second is a test of the bench, not of a server. */
const warmFactorMax = 10;

export function warmUpSecondsOf({ seconds: its }: Pick<WarmUp, 'seconds'>, seconds: number): number {
  return Math.min(its, warmFactorMax * seconds);
}

export function rateText(rate: Rate): string {
  return rate === 'saturated' ? 'saturated' : `${rate.toLocaleString('en-US')} q/s`;
}
