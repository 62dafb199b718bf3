/**
 * Everything that can happen, as plain numbers: the packet path increments, the scrape adds up. Each thread has its own
 * page, without locks, in shared memory so that the main thread can read the workers' pages. observe/ gives the numbers
 * their Prometheus names.
 */
import { answerersMax, assert } from './limits.js';

/** Events of the process; the comments are for operators. */
export const eventNames = [
  'droppedShort', // packets under 12 bytes
  'droppedResponse', // packets with QR=1
  'refusedFormerr', // answered FORMERR from the header or the question
  'refusedNotimp', // answered NOTIMP
  'refusedBadvers', // answered BADVERS
  'refusedTransfer', // AXFR, IXFR
  'refusedNoZone', // no server block is responsible
  'answersTruncated', // sent with TC
  'sendFailed', // the kernel would not take an answer
  'tcpAccepted', // TCP clients accepted
  'tcpRejected', // TCP clients turned away: too many
  'tcpClosedIdle',
  'tcpClosedCrowded', // the longest idle of an address that has many, for another client
  'tcpClosedSlow', // a client that did not read its answers
  'directAnswered', // queries that a worker asked upstream by itself, and answered
  'directGivenUp', // … and deferred to the main thread after all
  'coalesced', // questions that joined one already asked
  'overloadedPending', // too many distinct questions in flight
  'overloadedClient', // one client had more than its share of the questions in flight
  'overloadedWaiters', // too many clients waiting
  'overloadedHandOver', // the main thread does not keep up with what workers defer
  'staleOnFailure', // stale answers because the upstream failed
  'stalePatience', // stale answers because the upstream was slow
  'staleImmediate', // stale answers given at once by serve_stale immediate
  'answersRejectedId', // upstream answers with an id nobody waits for
  'answersRejectedQuestion', // upstream answers to another question
  'answersRejectedMalformed', // upstream answers that do not parse
  'storeFailed', // answers not kept: no memory of the right size, no place in the index, no room on the way from a worker
  'storeCrowded', // of these, those whose chain in the index was full
  'storeEvictedSlab', // entries thrown out to give their memory to another size
  'upstreamConnects', // TCP connections opened
  'upstreamConnectFailures',
  'upstreamRetries', // questions asked again after an error
  'upstreamHedges', // questions asked again beside a silent try
  'upstreamHedgesDenied', // questions that would have been, had the share allowed it
  'upstreamScouts', // questions of our own, to find a connection or port that leads to an endpoint that answers
  'upstreamLateAnswers', // answers that came after their question had failed, and were kept
  'upstreamSuspectsClosed', // connections that owed answers and stayed silent
  'upstreamTimeouts', // questions nobody answered in time
  'upstreamTcpRetries', // questions asked again over TCP because their answer was cut
  'upstreamCutAnswers', // answers cut over UDP passed on with TC, because TCP led nowhere
  'upstreamDisturbedRetries', // questions asked again as something came to their UDP port that was not asked for
  'upstreamEdnsRetries', // questions asked again without OPT, which may be why they failed
  'cutsAsked', // names asked about because their denial would be one for many
  'cutsRefreshed', // … again, because their denial is in use, or queries wait for it
  'cutsDenied', // … that were not: too many questions of our own
  'walksSeen', // first questions of a search path that were denied
  'walksAskedAhead', // … whose last question was asked at once
  'walksAheadUsed', // … and then by its client
  'walksAheadInVain', // … and by nobody
  'aaaaSynthesized', // AAAA questions answered by policy
  'panics', // exceptions that reached the outermost handler
  'reloadFailed',
  'healthFailures', // self-queries without an answer
  'queryLogDropped', // query-log lines not written: too many a second
  'dnstapDropped', // dnstap messages not sent: the collector is not there or too slow
  'upstreamOneWay', // upstreams found to answer over UDP alone or TCP alone
  'endpointsLearned', // names in a forward that have other addresses than before
  'endpointsFailed', // names in a forward whose addresses could not be had
  'takeoverStart', // packets began to come to this instance: it has just started
  'takeoverLeft', // … the one that served ended in order
  'takeoverGone', // … the one that served died
  'takeoverSilent', // … the one that served hangs
  'handovers', // packets began to go to another instance
  'entriesGiven', // cached answers sent to other instances, or written to -cachefile
  'entriesTaken', // cached answers taken from there and kept
  'forwardHealthcheckBroken', // every upstream of a forward was down
  'forwardMaxConcurrentRejects',
  'localhostRequests', // questions about names below `localhost.` or behind it
] as const;
export type EventName = (typeof eventNames)[number];

const typesCounted = 'A AAAA CNAME DNSKEY DS HTTPS MX NS NSEC NSEC3 PTR RRSIG SOA SRV TXT AXFR IXFR ANY'.split(' ');
const countedTypeNumbers = [1, 28, 5, 48, 43, 65, 15, 2, 47, 50, 12, 46, 6, 33, 16, 252, 251, 255];
const otherType = typesCounted.length;
const typeIndexes = new Uint8Array(256).fill(otherType);
for (const [index, number] of countedTypeNumbers.entries()) typeIndexes[number] = index;
/** Query types with a series of their own, as in CoreDNS; the last is for all others. */
export const countedTypes: readonly string[] = [...typesCounted, 'other'];

export function countedType(type: number): number {
  return type < 256 ? typeIndexes[type] : otherType;
}

/** Which part of the program made an answer: a place in `answerers`. */
export type Answerer = number;

/** The values of the `plugin` label of coredns_dns_responses_total; plugins add theirs. */
export const answerers: string[] = ['cache', 'forward', 'template', '', 'acl'];
export const byCache = 0;
export const byForward = 1;
export const byTemplate = 2;
export const byNobody = 3;
export const byAcl = 4;

/** A place for a plugin that makes answers; all plugins are loaded before anything is counted. */
export function newAnswerer(name: string): Answerer {
  assert(answerers.length < answerersMax, 'limits.ts has room for all plugins that answer');
  return answerers.push(name) - 1;
}

/** Rcodes 0 to 23 and one place for all others. */
export const rcodesCounted = 25;

/** Upper bounds in seconds: 0.00025 doubled fifteen times (CoreDNS's TimeBuckets). */
export const durationBucketsSeconds = Array.from({ length: 16 }, (_, power) => 0.00025 * 2 ** power);
export const sizeBucketsBytes = [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3];

/** Datagrams per system call: powers of two up to `batchPacketsMax`. */
export const batchBuckets = [1, 2, 4, 8, 16, 32, 64] as const;
const batchPlaces = batchBuckets.length + 2;

/** A histogram has a place per bucket, one for +Inf, one for the sum. */
const durationPlaces = durationBucketsSeconds.length + 2;
const sizePlaces = sizeBucketsBytes.length + 2;

/** The place of each number of a zone, from the zone's first. */
export const zonePlaces = (() => {
  let next = 0;
  const take = (count: number): number => {
    const at = next;
    next += count;
    return at;
  };
  return {
    /** [transport][family][type] */
    requests: take(2 * 2 * countedTypes.length),
    /** [answerer][rcode] */
    responses: take(answerersMax * rcodesCounted),
    dnssecOk: take(1),
    duration: take(durationPlaces),
    /** [transport] */
    requestBytes: take(2 * sizePlaces),
    responseBytes: take(2 * sizePlaces),
    cacheRequests: take(1),
    hitsSuccess: take(1),
    hitsDenial: take(1),
    misses: take(1),
    prefetches: take(1),
    /** Answers to other questions, not cached. */
    drops: take(1),
    servedStale: take(1),
    /** Answers with AAAA records made from A records. */
    translated: take(1),
    /** Answers from the denial of a name above; hits of kind denial, too. */
    cutAnswers: take(1),
    count: next,
  };
})();

/** 0 is UDP, 1 is TCP. */
export type Transport = 0 | 1;
export const overUdp = 0;
export const overTcp = 1;
/** 0 is IPv4, 1 is IPv6. */
export type FamilyIndex = 0 | 1;

/** A cache line before and after the numbers, so that whatever memory lies beside a page shares no line with it. */
const pageMarginBytes = 64;

/** One thread's numbers: events, batches, then the places of each served zone by ordinal. */
export class Counters {
  events!: Float64Array;
  batches!: Float64Array;
  zones!: Float64Array;

  /** `memory` is from `countersMemory`; several threads may view the same numbers. */
  constructor(public memory: SharedArrayBuffer) {
    this.use(memory);
  }

  use(memory: SharedArrayBuffer): void {
    this.memory = memory;
    const zonesFrom = pageMarginBytes + (eventNames.length + batchPlaces) * 8;
    this.events = new Float64Array(memory, pageMarginBytes, eventNames.length);
    this.batches = new Float64Array(memory, pageMarginBytes + eventNames.length * 8, batchPlaces);
    this.zones = new Float64Array(memory, zonesFrom, (memory.byteLength - pageMarginBytes - zonesFrom) / 8);
  }

  /** Adds a page that is no longer used and has no more zones than this one. */
  add(page: Counters): void {
    for (let index = 0; index < page.events.length; index++) this.events[index] += page.events[index];
    for (let index = 0; index < page.batches.length; index++) this.batches[index] += page.batches[index];
    for (let index = 0; index < page.zones.length; index++) this.zones[index] += page.zones[index];
  }

  /** Zeroes a zone's numbers, if it has a place; nothing may count under this ordinal meanwhile. */
  clearZone(ordinal: number): void {
    this.zones.fill(0, this.zoneBase(ordinal), this.zoneBase(ordinal + 1));
  }

  count(event: EventName): void {
    this.events[eventIndexes[event]]++;
  }

  countTimes(event: EventName, times: number): void {
    this.events[eventIndexes[event]] += times;
  }

  /** `count`: datagrams of one system call, at least one. */
  countBatch(packets: number): void {
    this.batches[32 - Math.clz32(packets - 1)]++;
    this.batches[batchPlaces - 1] += packets;
  }

  /** System calls that brought datagrams. */
  batchesTotal(): number {
    let sum = 0;
    for (let place = 0; place < batchPlaces - 1; place++) sum += this.batches[place];
    return sum;
  }

  total(event: EventName): number {
    return this.events[eventIndexes[event]];
  }

  zoneBase(ordinal: number): number {
    return ordinal * zonePlaces.count;
  }

  /** Makes room for so many zones, in new memory if needed; keeps the numbers. */
  growTo(zones: number): void {
    if (this.zones.length >= zones * zonePlaces.count) return;
    const { events, batches, zones: before } = this;
    this.use(countersMemory(zones));
    this.events.set(events);
    this.batches.set(batches);
    this.zones.set(before);
  }
}

/** Memory for the events and so many served zones. */
export function countersMemory(zones: number): SharedArrayBuffer {
  return new SharedArrayBuffer((eventNames.length + batchPlaces + zones * zonePlaces.count) * 8 + 2 * pageMarginBytes);
}

export function observeDuration(numbers: Float64Array, base: number, seconds: number): void {
  let bucket = 0;
  while (bucket < durationBucketsSeconds.length && seconds > durationBucketsSeconds[bucket]) bucket++;
  numbers[base + bucket]++;
  numbers[base + durationPlaces - 1] += seconds;
}

export function observeBytes(numbers: Float64Array, base: number, transport: Transport, bytes: number): void {
  let bucket = 0;
  while (bucket < sizeBucketsBytes.length && bytes > sizeBucketsBytes[bucket]) bucket++;
  const first = base + transport * sizePlaces;
  numbers[first + bucket]++;
  numbers[first + sizePlaces - 1] += bytes;
}

/** Answers that took next to no time. */
export function addDurations(numbers: Float64Array, base: number, times: number): void {
  numbers[base] += times;
}

/** `observeBytes` of UDP for so many messages of one size. */
export function addBytes(numbers: Float64Array, base: number, bytes: number, times: number): void {
  let bucket = 0;
  while (bucket < sizeBucketsBytes.length && bytes > sizeBucketsBytes[bucket]) bucket++;
  numbers[base + bucket] += times;
  numbers[base + sizePlaces - 1] += bytes * times;
}

export const histogramPlaces = { duration: durationPlaces, size: sizePlaces } as const;

const eventIndexes = Object.fromEntries(eventNames.map((name, index) => [name, index])) as Record<EventName, number>;
