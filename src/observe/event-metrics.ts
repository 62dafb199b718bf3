/**
 * The Prometheus name and HELP text of every event of `counters.ts`: CoreDNS's where it counts the same thing, ours
 * otherwise. The table's type makes an event without a name a compile error.
 */
import { type EventName, eventNames } from '../counters.js';
import { type Family, type Labels, sample } from './exposition.js';
import type { Scrape } from './metrics-source.js';

interface EventMetric {
  readonly name: string;
  readonly help: string;
  readonly labels?: Labels;
}

const refused = {
  name: 'zerohop_refused_total',
  help: 'Queries refused because of their header or question, by cause.',
};
const dropped = { name: 'zerohop_dropped_packets_total', help: 'Packets dropped without an answer, by cause.' };
const overloaded = {
  name: 'zerohop_overloaded_total',
  help: 'Queries given up because a limit was reached, by limit.',
};
const stale = { name: 'zerohop_stale_answers_total', help: 'Answers served after their TTL expired, by cause.' };
const rejected = { name: 'zerohop_upstream_answers_rejected_total', help: 'Upstream answers rejected, by cause.' };
const retries = { name: 'zerohop_upstream_retries_total', help: 'Upstream queries retried, by cause.' };
const entries = {
  name: 'zerohop_handover_entries_total',
  help: 'Cached answers given to, or taken from, other instances or a snapshot.',
};
const takeovers = {
  name: 'zerohop_takeovers_total',
  help: 'Times that this instance began to receive packets, by what happened to the previous instance.',
};
const tcpClosed = {
  name: 'zerohop_tcp_clients_closed_total',
  help: 'TCP clients disconnected by the server, by cause.',
};

export const eventMetrics: Readonly<Record<EventName, EventMetric>> = {
  droppedShort: { ...dropped, labels: { cause: 'short' } },
  droppedResponse: { ...dropped, labels: { cause: 'response' } },
  refusedFormerr: { ...refused, labels: { cause: 'formerr' } },
  refusedNotimp: { ...refused, labels: { cause: 'notimp' } },
  refusedBadvers: { ...refused, labels: { cause: 'badvers' } },
  refusedTransfer: { ...refused, labels: { cause: 'transfer' } },
  refusedNoZone: { ...refused, labels: { cause: 'no_zone' } },
  answersTruncated: { name: 'zerohop_truncated_answers_total', help: 'Answers truncated and sent with TC.' },
  sendFailed: { name: 'zerohop_send_failures_total', help: 'Answers that the kernel refused to send.' },
  tcpAccepted: { name: 'zerohop_tcp_clients_accepted_total', help: 'TCP clients accepted.' },
  tcpRejected: {
    name: 'zerohop_tcp_clients_rejected_total',
    help: 'TCP clients rejected because of the connection limit.',
  },
  tcpClosedIdle: { ...tcpClosed, labels: { cause: 'idle' } },
  tcpClosedCrowded: { ...tcpClosed, labels: { cause: 'crowded' } },
  tcpClosedSlow: { ...tcpClosed, labels: { cause: 'slow' } },
  coalesced: {
    name: 'zerohop_coalesced_queries_total',
    help: 'Queries that joined an identical upstream query in progress.',
  },
  overloadedPending: { ...overloaded, labels: { bound: 'questions' } },
  overloadedClient: { ...overloaded, labels: { bound: 'client' } },
  overloadedWaiters: { ...overloaded, labels: { bound: 'waiters' } },
  overloadedHandOver: { ...overloaded, labels: { bound: 'hand_over' } },
  staleOnFailure: { ...stale, labels: { cause: 'failure' } },
  stalePatience: { ...stale, labels: { cause: 'patience' } },
  staleImmediate: { ...stale, labels: { cause: 'immediate' } },
  answersRejectedId: { ...rejected, labels: { cause: 'id' } },
  answersRejectedQuestion: { ...rejected, labels: { cause: 'question' } },
  answersRejectedMalformed: { ...rejected, labels: { cause: 'malformed' } },
  storeFailed: {
    name: 'zerohop_cache_store_failures_total',
    help: 'Answers not cached for lack of memory or index space.',
  },
  storeCrowded: {
    name: 'zerohop_cache_crowded_chains_total',
    help: 'Answers not cached because their index chain has 32 entries.',
  },
  storeEvictedSlab: {
    name: 'zerohop_cache_memory_evictions_total',
    help: 'Cache entries evicted to make room for another size class.',
  },
  upstreamConnects: { name: 'zerohop_upstream_connects_total', help: 'TCP connections opened to upstreams.' },
  upstreamConnectFailures: {
    name: 'zerohop_upstream_connect_failures_total',
    help: 'TCP connections to upstreams that failed to open.',
  },
  upstreamRetries: { ...retries, labels: { cause: 'error' } },
  upstreamHedges: { ...retries, labels: { cause: 'silence' } },
  upstreamHedgesDenied: {
    name: 'zerohop_upstream_hedges_denied_total',
    help: 'Overdue upstream queries not retried because of the retry budget.',
  },
  upstreamScouts: {
    name: 'zerohop_upstream_scouts_total',
    help: 'Probes sent on new connections or ports to find an endpoint that answers.',
  },
  upstreamLateAnswers: {
    name: 'zerohop_upstream_late_answers_total',
    help: 'Upstream answers that arrived after their query had failed, and were cached.',
  },
  upstreamSuspectsClosed: {
    name: 'zerohop_upstream_suspects_closed_total',
    help: 'Upstream connections closed because answers were overdue.',
  },
  upstreamTimeouts: { name: 'zerohop_upstream_timeouts_total', help: 'Upstream queries that timed out.' },
  upstreamTcpRetries: { ...retries, labels: { cause: 'truncated' } },
  upstreamCutAnswers: {
    name: 'zerohop_upstream_cut_answers_total',
    help: 'Truncated answers passed on to clients with TC because the upstream has no TCP.',
  },
  upstreamDisturbedRetries: { ...retries, labels: { cause: 'disturbed' } },
  upstreamEdnsRetries: { ...retries, labels: { cause: 'edns' } },
  aaaaSynthesized: {
    name: 'zerohop_aaaa_synthesized_total',
    help: 'AAAA queries answered by policy, without an upstream query.',
  },
  panics: { name: 'coredns_panics_total', help: 'A metrics that counts the number of panics.' },
  reloadFailed: { name: 'coredns_reload_failed_total', help: 'Counter of the number of failed reload attempts.' },
  healthFailures: {
    name: 'coredns_health_request_failures_total',
    help: 'The number of times the self health check failed.',
  },
  queryLogDropped: {
    name: 'zerohop_query_log_dropped_lines_total',
    help: 'Query log lines dropped because of the rate limit.',
  },
  dnstapDropped: {
    name: 'zerohop_dnstap_dropped_messages_total',
    help: 'Messages dropped because a dnstap collector was unreachable or too slow.',
  },
  upstreamOneWay: {
    name: 'zerohop_upstream_one_transport_total',
    help: 'Times that an upstream was found to answer over UDP only or TCP only.',
  },
  endpointsLearned: {
    name: 'zerohop_upstream_endpoint_changes_total',
    help: 'Changes of the addresses of a name in a forward.',
  },
  endpointsFailed: {
    name: 'zerohop_upstream_endpoint_failures_total',
    help: 'Failed lookups of the addresses of a name in a forward.',
  },
  takeoverStart: { ...takeovers, labels: { cause: 'start' } },
  takeoverLeft: { ...takeovers, labels: { cause: 'left' } },
  takeoverGone: { ...takeovers, labels: { cause: 'gone' } },
  takeoverSilent: { ...takeovers, labels: { cause: 'silent' } },
  handovers: { name: 'zerohop_handovers_total', help: 'Times that another instance took over from this one.' },
  entriesGiven: { ...entries, labels: { direction: 'given' } },
  entriesTaken: { ...entries, labels: { direction: 'taken' } },
  forwardHealthcheckBroken: {
    name: 'coredns_forward_healthcheck_broken_total',
    help: 'Counter of the number of complete failures of the healthchecks.',
  },
  forwardMaxConcurrentRejects: {
    name: 'coredns_forward_max_concurrent_rejects_total',
    help: 'Counter of the number of queries rejected because the concurrent queries were at maximum.',
  },
  localhostRequests: {
    name: 'coredns_local_localhost_requests_total',
    help: 'Counter of localhost.<domain> requests.',
  },
};

/** A family per name; events that share one differ in their labels. */
export const eventFamilies: readonly Family<Scrape>[] = [
  ...new Set(eventNames.map((event) => eventMetrics[event].name)),
].map(familyNamed);

function familyNamed(name: string): Family<Scrape> {
  const events = eventNames.filter((event) => eventMetrics[event].name === name);
  return {
    name,
    help: eventMetrics[events[0]].help,
    type: 'counter',
    samples: (scrape) => events.map((event) => sample(eventMetrics[event].labels ?? {}, scrape.event(event))),
  };
}
