/** The doctor of this process: the facts for those who ask, and the minute run. Part of the composition root. */
import type { Cache } from '../cache/cache.js';
import { type ControlHandler, controlHandler } from '../control/server.js';
import { prospectOf, wireQuestion } from '../control/serving.js';
import type { Counters } from '../counters.js';
import { typeA } from '../dns/wire.js';
import type { DoctorOutsides, Finding } from '../doctor/check.js';
import type { ServerFacts } from '../doctor/facts.js';
import { fetchOver } from '../doctor/fetch.js';
import { type MinuteRun, startMinuteRun, watchedCodes } from '../doctor/minute.js';
import { nodeChecks } from '../doctor/node-checks.js';
import type { SocketsOfHost } from '../host/host.js';
import { topShownMax } from '../limits.js';
import type { Top } from '../observe/top.js';
import type { Log } from '../os/log.js';
import type { ActiveConfiguration } from './active-configuration.js';
import { clusterDomainOf, type DoctorFlags, serverFacts } from './doctor-facts.js';
import { type Endpoints, metricsOf } from './endpoints.js';
import { countQueries, type QueryCounts, RecentCounts } from './recent-counts.js';

export interface DoctorSettings extends DoctorFlags {
  /** `-doctor`: whether the cheap checks run once a minute. */
  readonly isWatching: boolean;
  readonly environment: DoctorOutsides['environment'];
  readonly networkNamespace: string;
  readonly pid: number;
}

interface DoctorParts extends Omit<DoctorOutsides, 'facts' | 'fetchText' | 'environment' | 'networkNamespace'> {
  readonly log: Log;
  readonly sockets: SocketsOfHost;
  readonly version: string;
  readonly cache: Pick<Cache, 'blocks'>;
  pages(): readonly Counters[];
  active(): Pick<ActiveConfiguration, 'generation' | 'config' | 'isLastRefused'>;
  watching(): Pick<Endpoints, 'readiness'>;
  instance(): { readonly role: 'starting' | 'serving' | 'standing by'; readonly standBys: number };
  /** The most frequent names and most active clients. */
  talkers: Top['talkers'];
  panicked(): void;
}

export interface ProcessDoctor {
  readonly handlers: Readonly<Record<'facts', ControlHandler>>;
  /** By code, 1 for a fault; null without the minute run. */
  readonly failed: MinuteRun['failed'] | null;
  /** Of the last minute run; null before the first, and without any. */
  findings(): readonly Finding[] | null;
  facts(): ServerFacts;
  stop(): void;
}

/** Everything is read later, when the parts that are made after it are there. */
export function openDoctor(settings: DoctorSettings, parts: DoctorParts): ProcessDoctor {
  const { clock, network } = parts;
  const startedMs = clock.nowMs();
  const recent = new RecentCounts(clock, () => readCounts(settings, parts));
  const facts = (): ServerFacts =>
    factsOf(settings, parts, { upSeconds: (clock.nowMs() - startedMs) / 1000, recent: recent.latest });
  const fetchText = fetchOver(network, clock);
  const { environment, networkNamespace, isWatching } = settings;
  const run = isWatching
    ? startMinuteRun({
        ...parts,
        checks: nodeChecks,
        codes: watchedCodes,
        outsides() {
          if (parts.instance().role !== 'serving') return null;
          return { ...parts, fetchText, environment, networkNamespace, facts: facts() };
        },
      })
    : null;
  return {
    handlers: {
      facts: controlHandler(
        () => null,
        (_, answering) => {
          answering.item(facts());
          answering.end();
        },
      ),
    },
    failed: run?.failed ?? null,
    findings: () => run?.findings ?? null,
    facts,
    stop() {
      run?.stop();
      recent.stop();
    },
  };
}

function readCounts({ flags }: DoctorSettings, { active, pages }: DoctorParts): QueryCounts {
  const { generation, config } = active();
  const domain = clusterDomainOf(config, flags.clusterDns);
  return countQueries(metricsOf(() => generation).zones(), pages(), domain === null ? null : `${domain}.`);
}

type NowFacts = Pick<Parameters<typeof serverFacts>[0], 'upSeconds' | 'recent'>;

function factsOf(settings: DoctorSettings, parts: DoctorParts, now: NowFacts): ServerFacts {
  const { generation, config, isLastRefused } = parts.active();
  const pages = parts.pages();
  const retried = (['upstreamRetries', 'upstreamHedges', 'upstreamTcpRetries'] as const).map((event) =>
    pages.reduce((sum, page) => sum + page.total(event), 0),
  );
  return serverFacts({
    ...settings,
    ...parts.sockets,
    ...parts.instance(),
    ...now,
    version: parts.version,
    isLastReloadRefused: isLastRefused,
    config,
    upstreams: generation.blocks.map(({ forwards }) => forwards.upstreams()),
    retries: retried.reduce((sum, each) => sum + each, 0),
    talkers: parts.talkers(topShownMax),
    exists: (name) => isCached(parts, name),
    notReady: parts.watching().readiness.missing,
    readFile: parts.readFile,
  });
}

/** Whether a client would get data for the name's A from the cache now. */
function isCached({ active, cache, clock }: DoctorParts, name: string): boolean {
  const { listeners, blocks } = active().generation;
  const question = wireQuestion(name, typeA);
  const serving = { listeners, blocks, cached: cache.blocks, nowMs: clock.nowMs() };
  const tables = listeners.map(({ table }) => table);
  return question !== null && tables.some((table) => prospectOf(serving, table, question, 0).known === 'exists');
}
