/**
 * What an open page is told, as data for JSON: at first who we are, the history and the configuration; every second the
 * present numbers; every few seconds the lists. Names from packets are text here, in the presentation format of the DNS.
 */
import type { Report } from '../config/check.js';
import { eventNames } from '../counters.js';
import { pageCorefileCharactersMax, pagePointMs, pagePointsMax } from '../limits.js';
import type { MetricsSource } from '../observe/metrics-source.js';
import type { Top } from '../observe/top.js';
import type { RecentFailures } from './failures.js';
import type { SampledSource, Sampler } from './sampler.js';

/** The configuration in force. */
export interface CorefileShown {
  readonly source: string;
  readonly sha512: string;
  /** Since when: milliseconds since 1970. */
  readonly sinceMs: number;
  /** The file has been changed since, and what it says now is invalid. */
  readonly isLastRefused: boolean;
  readonly pieces: readonly { readonly file: string; readonly text: string }[];
  /** Of `zerohop check`. */
  readonly findings: Report['findings'];
}

/** As the doctor gives it. */
interface DoctorShown {
  readonly code: string;
  readonly verdict: 'ok' | 'info' | 'warn' | 'fail' | 'skipped';
  readonly seen: string;
  readonly meaning: string;
  readonly command: string | null;
}

/** What the page is about. */
export interface PageSource
  extends SampledSource,
    Pick<MetricsSource, 'gauges' | 'instance' | 'build' | 'startedAtMs'> {
  /** Of the machine. */
  readonly hostName: string;
  readonly failures: Pick<RecentFailures, 'shown' | 'unnoted'>;
  top(countMax: number): ReturnType<Top['talkers']>;
  corefile(): CorefileShown;
  /** Of the last minute's run; null if there has been none. */
  findings(): readonly DoctorShown[] | null;
}

/** What a page gets when it connects. */
export function helloOf(source: PageSource, { history }: Pick<Sampler, 'history'>) {
  const { build, startedAtMs, hostName } = source;
  return {
    hostName,
    version: build.version,
    nodeVersion: build.nodeVersion,
    startedAtMs,
    pointSeconds: pagePointMs / 1000,
    pointsMax: pagePointsMax,
    history: history.shown(),
    corefile: cutCorefile(source.corefile()),
  };
}

/** The present numbers. */
export function presentOf(source: PageSource, sampler: Pick<Sampler, 'present'>, wallMs: number) {
  const { role, standBys } = source.instance();
  const lane = source.kernelLane?.() ?? null;
  const { sinceMs, isLastRefused, sha512 } = source.corefile();
  return {
    atMs: wallMs,
    role,
    standBys,
    lane: lane === null ? null : { isOn: lane.isOn, why: lane.why, entries: lane.entries, links: lane.links },
    corefile: { sha512, sinceMs, isLastRefused },
    gauges: source.gauges(),
    troubles: troublesOf(source),
    ...sampler.present(),
  };
}

/** What changes less. */
export function listsOf(source: PageSource) {
  const { names, clients, seconds } = source.top(rowsMax);
  return {
    top: { names, clients, seconds },
    failures: source.failures.shown(),
    unnoted: source.failures.unnoted,
    findings: source.findings(),
  };
}

/** Of names, and of clients. */
const rowsMax = 12;

const troubleEvents = ['upstreamTimeouts', 'upstreamConnectFailures', 'upstreamRetries', 'upstreamHedges'] as const;

/** Since the start, of all upstreams together. */
function troublesOf({ pages }: Pick<PageSource, 'pages'>): Readonly<Record<(typeof troubleEvents)[number], number>> {
  const places = troubleEvents.map((name) => [name, eventNames.indexOf(name)] as const);
  const sums = places.map(([name, place]) => [name, pages().reduce((sum, { events }) => sum + events[place], 0)]);
  return Object.fromEntries(sums) as ReturnType<typeof troublesOf>;
}

function cutCorefile(corefile: CorefileShown): CorefileShown & { readonly isCut: boolean } {
  let left = pageCorefileCharactersMax;
  const pieces = corefile.pieces.map(({ file, text }) => {
    const shown = text.slice(0, left);
    left -= shown.length;
    return { file, text: shown };
  });
  return { ...corefile, pieces, isCut: left === 0 };
}
