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

const refused = { name: 'zerohop_refused_total', help: 'Queries refused from the header or the question, by cause.' };
const dropped = { name: 'zerohop_dropped_packets_total', help: 'Packets not answered at all, by cause.' };
const overloaded = { name: 'zerohop_overloaded_total', help: 'Queries given up because a bound was reached.' };
const stale = { name: 'zerohop_stale_answers_total', help: 'Answers given after their TTL, by cause.' };
const rejected = { name: 'zerohop_upstream_answers_rejected_total', help: 'Upstream answers not used, by cause.' };
const retries = { name: 'zerohop_upstream_retries_total', help: 'Questions asked upstream once more, by cause.' };
const entries = {
  name: 'zerohop_handover_entries_total',
  help: 'Cached answers given to other instances or a snapshot, and taken from there and kept.',
};
const takeovers = {
  name: 'zerohop_takeovers_total',
  help: 'Times that packets began to come to this instance, by what became of the one before.',
};
const tcpClosed = { name: 'zerohop_tcp_clients_closed_total', help: 'TCP clients that we disconnected, by cause.' };

export const eventMetrics: Readonly<Record<EventName, EventMetric>> = {
  droppedShort: { ...dropped, labels: { cause: 'short' } },
  droppedResponse: { ...dropped, labels: { cause: 'response' } },
  refusedFormerr: { ...refused, labels: { cause: 'formerr' } },
  refusedNotimp: { ...refused, labels: { cause: 'notimp' } },
  refusedBadvers: { ...refused, labels: { cause: 'badvers' } },
  refusedTransfer: { ...refused, labels: { cause: 'transfer' } },
  refusedNoZone: { ...refused, labels: { cause: 'no_zone' } },
  answersTruncated: {
    name: 'zerohop_truncated_answers_total',
    help: 'Answers sent with TC because they were too long.',
  },
  sendFailed: { name: 'zerohop_send_failures_total', help: 'Answers that the kernel did not take.' },
  tcpAccepted: { name: 'zerohop_tcp_clients_accepted_total', help: 'TCP clients accepted.' },
  tcpRejected: { name: 'zerohop_tcp_clients_rejected_total', help: 'TCP clients turned away: there were too many.' },
  tcpClosedIdle: { ...tcpClosed, labels: { cause: 'idle' } },
  tcpClosedCrowded: { ...tcpClosed, labels: { cause: 'crowded' } },
  tcpClosedSlow: { ...tcpClosed, labels: { cause: 'slow' } },
  coalesced: { name: 'zerohop_coalesced_queries_total', help: 'Queries that joined a question already being asked.' },
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
    help: 'Answers not cached: no memory of their size, or no place in the index.',
  },
  storeCrowded: {
    name: 'zerohop_cache_crowded_chains_total',
    help: 'Answers not cached because 32 others share their place in the index.',
  },
  storeEvictedSlab: {
    name: 'zerohop_cache_memory_evictions_total',
    help: 'Cache entries thrown out to give their memory to answers of another size.',
  },
  upstreamConnects: { name: 'zerohop_upstream_connects_total', help: 'TCP connections opened to upstreams.' },
  upstreamConnectFailures: {
    name: 'zerohop_upstream_connect_failures_total',
    help: 'TCP connections to upstreams that could not be opened.',
  },
  upstreamRetries: { ...retries, labels: { cause: 'error' } },
  upstreamHedges: { ...retries, labels: { cause: 'silence' } },
  upstreamHedgesDenied: {
    name: 'zerohop_upstream_hedges_denied_total',
    help: 'Silent questions not asked again at once: a tenth of the questions had been already.',
  },
  upstreamScouts: {
    name: 'zerohop_upstream_scouts_total',
    help: 'Probes sent on new connections or ports to find one that leads to an endpoint that answers.',
  },
  upstreamLateAnswers: {
    name: 'zerohop_upstream_late_answers_total',
    help: 'Answers that came after their question had failed; they are cached for its repetition.',
  },
  upstreamSuspectsClosed: {
    name: 'zerohop_upstream_suspects_closed_total',
    help: 'Connections to upstreams closed because they owed answers and stayed silent.',
  },
  upstreamTimeouts: { name: 'zerohop_upstream_timeouts_total', help: 'Questions that no upstream answered in time.' },
  upstreamTcpRetries: { ...retries, labels: { cause: 'truncated' } },
  upstreamCutAnswers: {
    name: 'zerohop_upstream_cut_answers_total',
    help: 'Answers cut over UDP passed on to clients with TC, because the upstream has no TCP.',
  },
  upstreamDisturbedRetries: { ...retries, labels: { cause: 'disturbed' } },
  upstreamEdnsRetries: { ...retries, labels: { cause: 'edns' } },
  aaaaSynthesized: { name: 'zerohop_aaaa_synthesized_total', help: 'AAAA queries answered by policy, without asking.' },
  panics: { name: 'coredns_panics_total', help: 'A metrics that counts the number of panics.' },
  reloadFailed: { name: 'coredns_reload_failed_total', help: 'Counter of the number of failed reload attempts.' },
  healthFailures: {
    name: 'coredns_health_request_failures_total',
    help: 'The number of times the self health check failed.',
  },
  queryLogDropped: {
    name: 'zerohop_query_log_dropped_lines_total',
    help: 'Lines of the query log not written: too many a second.',
  },
  dnstapDropped: {
    name: 'zerohop_dnstap_dropped_messages_total',
    help: 'Messages not sent to dnstap collectors that were not there or too slow.',
  },
  upstreamOneWay: {
    name: 'zerohop_upstream_one_transport_total',
    help: 'Times that an upstream was found to answer over UDP alone or over TCP alone.',
  },
  endpointsLearned: {
    name: 'zerohop_upstream_endpoint_changes_total',
    help: 'Times that the addresses behind a name in a forward were others than before.',
  },
  endpointsFailed: {
    name: 'zerohop_upstream_endpoint_failures_total',
    help: 'Times that the addresses behind a name in a forward could not be had.',
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
