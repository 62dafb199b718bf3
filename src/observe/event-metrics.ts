/**
 * The Prometheus name and HELP text of every event of `counters.ts`, CoreDNS's where it counts the same. The table's type
 * makes an event without a name a compile error.
 */
import { type EventName, eventNames } from '../counters.js';
import { counter, type Family, labelText, sample } from './exposition.js';
import type { Scrape } from './metrics-source.js';

interface EventMetric {
  readonly name: string;
  readonly help: string;
  readonly labels?: Readonly<Record<string, string>>;
}

function of(name: string, help: string): EventMetric {
  return { name, help };
}

const refused = of('zerohop_refused_total', 'Queries refused because of their header or question, by cause.');
const droppedFamily = of('zerohop_dropped_packets_total', 'Packets dropped without an answer, by cause.');
const overloaded = of('zerohop_overloaded_total', 'Queries given up because a limit was reached, by limit.');
const stale = of('zerohop_stale_answers_total', 'Answers served after their TTL expired, by cause.');
const rejectedFamily = of('zerohop_upstream_answers_rejected_total', 'Upstream answers rejected, by cause.');
const direct = of(
  'zerohop_direct_queries_total',
  'Misses that workers asked upstream about by themselves, by outcome.',
);
const cutQuestions = of(
  'zerohop_nxdomain_cut_queries_total',
  'Upstream queries for names whose denial answers many names, by reason.',
);
const ahead = of(
  'zerohop_walks_ahead_total',
  'Last queries of walks along a search path that were sent ahead of the client, by outcome.',
);
const retries = of('zerohop_upstream_retries_total', 'Upstream queries retried, by cause.');
const entries = of(
  'zerohop_handover_entries_total',
  'Cached answers given to, or taken from, other instances or a snapshot.',
);
const takeovers = of(
  'zerohop_takeovers_total',
  'Times that this instance began to receive packets, by what happened to the previous instance.',
);
const tcpClosed = of('zerohop_tcp_clients_closed_total', 'TCP clients disconnected by the server, by cause.');

export const eventMetrics: Readonly<Record<EventName, EventMetric>> = {
  droppedShort: { ...droppedFamily, labels: { cause: 'short' } },
  droppedResponse: { ...droppedFamily, labels: { cause: 'response' } },
  refusedFormerr: { ...refused, labels: { cause: 'formerr' } },
  refusedNotimp: { ...refused, labels: { cause: 'notimp' } },
  refusedBadvers: { ...refused, labels: { cause: 'badvers' } },
  refusedTransfer: { ...refused, labels: { cause: 'transfer' } },
  refusedNoZone: { ...refused, labels: { cause: 'no_zone' } },
  answersTruncated: of('zerohop_truncated_answers_total', 'Answers truncated and sent with TC.'),
  sendFailed: of('zerohop_send_failures_total', 'Answers that the kernel refused to send.'),
  tcpAccepted: of('zerohop_tcp_clients_accepted_total', 'TCP clients accepted.'),
  tcpRejected: of('zerohop_tcp_clients_rejected_total', 'TCP clients rejected because of the connection limit.'),
  tcpClosedIdle: { ...tcpClosed, labels: { cause: 'idle' } },
  tcpClosedCrowded: { ...tcpClosed, labels: { cause: 'crowded' } },
  tcpClosedSlow: { ...tcpClosed, labels: { cause: 'slow' } },
  directAnswered: { ...direct, labels: { outcome: 'answered' } },
  directGivenUp: { ...direct, labels: { outcome: 'given_up' } },
  coalesced: of('zerohop_coalesced_queries_total', 'Queries that joined an identical upstream query in progress.'),
  overloadedPending: { ...overloaded, labels: { bound: 'questions' } },
  overloadedClient: { ...overloaded, labels: { bound: 'client' } },
  overloadedWaiters: { ...overloaded, labels: { bound: 'waiters' } },
  overloadedHandOver: { ...overloaded, labels: { bound: 'hand_over' } },
  staleOnFailure: { ...stale, labels: { cause: 'failure' } },
  stalePatience: { ...stale, labels: { cause: 'patience' } },
  staleImmediate: { ...stale, labels: { cause: 'immediate' } },
  answersRejectedId: { ...rejectedFamily, labels: { cause: 'id' } },
  answersRejectedQuestion: { ...rejectedFamily, labels: { cause: 'question' } },
  answersRejectedMalformed: { ...rejectedFamily, labels: { cause: 'malformed' } },
  storeFailed: of('zerohop_cache_store_failures_total', 'Answers not cached for lack of memory or index space.'),
  storeCrowded: of(
    'zerohop_cache_crowded_chains_total',
    'Answers not cached because their index chain has 32 entries.',
  ),
  storeEvictedSlab: of(
    'zerohop_cache_memory_evictions_total',
    'Cache entries evicted to make room for another size class.',
  ),
  upstreamConnects: of('zerohop_upstream_connects_total', 'TCP connections opened to upstreams.'),
  upstreamConnectFailures: of(
    'zerohop_upstream_connect_failures_total',
    'TCP connections to upstreams that failed to open.',
  ),
  upstreamRetries: { ...retries, labels: { cause: 'error' } },
  upstreamHedges: { ...retries, labels: { cause: 'silence' } },
  upstreamHedgesDenied: of(
    'zerohop_upstream_hedges_denied_total',
    'Overdue upstream queries not retried because of the retry budget.',
  ),
  upstreamScouts: of(
    'zerohop_upstream_scouts_total',
    'Probes sent on new connections or ports to find an endpoint that answers.',
  ),
  upstreamLateAnswers: of(
    'zerohop_upstream_late_answers_total',
    'Upstream answers that arrived after their query had failed, and were cached.',
  ),
  upstreamSuspectsClosed: of(
    'zerohop_upstream_suspects_closed_total',
    'Upstream connections closed because answers were overdue.',
  ),
  upstreamTimeouts: of('zerohop_upstream_timeouts_total', 'Upstream queries that timed out.'),
  upstreamTcpRetries: { ...retries, labels: { cause: 'truncated' } },
  upstreamCutAnswers: of(
    'zerohop_upstream_cut_answers_total',
    'Truncated answers passed on to clients with TC because the upstream has no TCP.',
  ),
  upstreamDisturbedRetries: { ...retries, labels: { cause: 'disturbed' } },
  upstreamEdnsRetries: { ...retries, labels: { cause: 'edns' } },
  cutsAsked: { ...cutQuestions, labels: { reason: 'new' } },
  cutsRefreshed: { ...cutQuestions, labels: { reason: 'in_use' } },
  cutsDenied: of(
    'zerohop_nxdomain_cut_queries_denied_total',
    'Upstream queries for NXDOMAIN cuts that were not sent because of their budget.',
  ),
  walksSeen: of(
    'zerohop_walks_total',
    'Queries that began a walk along a search path, as far as the main thread saw them.',
  ),
  walksAskedAhead: { ...ahead, labels: { outcome: 'asked' } },
  walksAheadUsed: { ...ahead, labels: { outcome: 'used' } },
  walksAheadInVain: { ...ahead, labels: { outcome: 'in_vain' } },
  aaaaSynthesized: of('zerohop_aaaa_synthesized_total', 'AAAA queries answered by policy, without an upstream query.'),
  panics: of('coredns_panics_total', 'A metrics that counts the number of panics.'),
  reloadFailed: of('coredns_reload_failed_total', 'Counter of the number of failed reload attempts.'),
  healthFailures: of('coredns_health_request_failures_total', 'The number of times the self health check failed.'),
  queryLogDropped: of('zerohop_query_log_dropped_lines_total', 'Query log lines dropped because of the rate limit.'),
  dnstapDropped: of(
    'zerohop_dnstap_dropped_messages_total',
    'Messages dropped because a dnstap collector was unreachable or too slow.',
  ),
  upstreamOneWay: of(
    'zerohop_upstream_one_transport_total',
    'Times that an upstream was found to answer over UDP only or TCP only.',
  ),
  endpointsLearned: of('zerohop_upstream_endpoint_changes_total', 'Changes of the addresses of a name in a forward.'),
  endpointsFailed: of(
    'zerohop_upstream_endpoint_failures_total',
    'Failed lookups of the addresses of a name in a forward.',
  ),
  takeoverStart: { ...takeovers, labels: { cause: 'start' } },
  takeoverLeft: { ...takeovers, labels: { cause: 'left' } },
  takeoverGone: { ...takeovers, labels: { cause: 'gone' } },
  takeoverSilent: { ...takeovers, labels: { cause: 'silent' } },
  handovers: of('zerohop_handovers_total', 'Times that another instance took over from this one.'),
  entriesGiven: { ...entries, labels: { direction: 'given' } },
  entriesTaken: { ...entries, labels: { direction: 'taken' } },
  forwardHealthcheckBroken: of(
    'coredns_forward_healthcheck_broken_total',
    'Counter of the number of complete failures of the healthchecks.',
  ),
  forwardMaxConcurrentRejects: of(
    'coredns_forward_max_concurrent_rejects_total',
    'Counter of the number of queries rejected because the concurrent queries were at maximum.',
  ),
  localhostRequests: of('coredns_local_localhost_requests_total', 'Counter of localhost.<domain> requests.'),
};

/** A family per name; events that share one differ in their labels. */
export const eventFamilies: readonly Family<Scrape>[] = [
  ...new Set(eventNames.map((event) => eventMetrics[event].name)),
].map(familyNamed);

function familyNamed(name: string): Family<Scrape> {
  const events = eventNames.filter((event) => eventMetrics[event].name === name);
  const labelled = events.map((event) => ({ event, labels: labelText(eventMetrics[event].labels ?? {}) }));
  return counter(name, eventMetrics[events[0]].help, (scrape) =>
    labelled.map(({ event, labels }) => sample(labels, scrape.event(event))),
  );
}
