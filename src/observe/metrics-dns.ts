/**
 * coredns_dns_*: queries and answers by server and zone, under CoreDNS's present names and under those from before 1.7,
 * which dashboards still read. A series over a closed set of values (type, rcode) appears with its first event, as in
 * CoreDNS; single series of a zone exist from the start, so that rate() sees the first event too.
 */
import {
  answerers,
  countedTypes,
  durationBucketsSeconds,
  histogramPlaces,
  rcodesCounted,
  sizeBucketsBytes,
  zonePlaces,
} from '../counters.js';
import { rcodeName } from '../dns/names.js';
import {
  counter,
  countOf,
  type Family,
  former,
  histogram,
  inParts,
  joinLabels,
  type Labels,
  labelText,
  noView,
  type Sample,
  sample,
} from './exposition.js';
import type { Scrape, ZoneTotals } from './metrics-source.js';

const transportNames = ['udp', 'tcp'] as const;
const transportLabels = transportNames.map((proto) => labelText({ proto }));
/** By [transport][family]; Go's address families as CoreDNS labels them. */
const pathLabels = transportNames.flatMap((proto) => ['1', '2'].map((family) => labelText({ proto, family })));
const typeLabels = countedTypes.map((type) => labelText({ type }));
/** By [transport][family][type], as the numbers. */
const requestLabels = pathLabels.flatMap((path) => typeLabels.map((type) => joinLabels(path, type)));
const rcodeLabels = Array.from({ length: rcodesCounted }, (_, rcode) => labelText({ rcode: rcodeLabel(rcode) }));

export const dnsFamilies: readonly Family<Scrape>[] = [
  perZone('coredns_dns_requests_total', 'Counter of DNS requests made per zone, protocol and family.', (zone) =>
    nonZero(requestLabels, withView(zone), (index) => zone.numbers[zonePlaces.requests + index]),
  ),
  former(
    'coredns_dns_requests_total',
    perZone('coredns_dns_request_count_total', 'Counter of DNS requests made per zone, protocol and family.', (zone) =>
      nonZero(pathLabels, zone.labels, (path) =>
        sumUp(zone, { first: zonePlaces.requests + path * countedTypes.length, count: countedTypes.length, step: 1 }),
      ),
    ),
  ),
  former(
    'coredns_dns_requests_total',
    perZone('coredns_dns_request_type_count_total', 'Counter of DNS requests per type, per zone.', (zone) =>
      nonZero(typeLabels, zone.labels, (type) =>
        sumUp(zone, { first: zonePlaces.requests + type, count: pathLabels.length, step: countedTypes.length }),
      ),
    ),
  ),
  perZone(
    'coredns_dns_responses_total',
    'Counter of response status codes, by the directive that wrote the answer.',
    (zone) =>
      answerers.flatMap((plugin, answerer) =>
        nonZero(
          rcodeLabels,
          withView(zone),
          (rcode) => zone.numbers[zonePlaces.responses + answerer * rcodesCounted + rcode],
          `,plugin="${plugin}"`,
        ),
      ),
  ),
  former(
    'coredns_dns_responses_total',
    perZone('coredns_dns_response_rcode_count_total', 'Counter of response status codes.', (zone) =>
      nonZero(rcodeLabels, zone.labels, (rcode) =>
        sumUp(zone, { first: zonePlaces.responses + rcode, count: answerers.length, step: rcodesCounted }),
      ),
    ),
  ),
  perZone('coredns_dns_do_requests_total', 'Counter of DNS requests with DO bit set per zone.', (zone) => [
    sample(withView(zone), zone.numbers[zonePlaces.dnssecOk]),
  ]),
  former(
    'coredns_dns_do_requests_total',
    perZone('coredns_dns_request_do_count_total', 'Counter of DNS requests with DO bit set per zone.', (zone) => [
      sample(zone.labels, zone.numbers[zonePlaces.dnssecOk]),
    ]),
  ),
  histogram(
    'coredns_dns_request_duration_seconds',
    'Histogram of the time (in seconds) each request took per zone.',
    durationBucketsSeconds,
    function* ({ served }) {
      for (const zone of served) yield { labels: withView(zone), numbers: zone.numbers, first: zonePlaces.duration };
    },
  ),
  counter(
    'zerohop_requests_by_address_total',
    'Queries by the listening address that they came to, in zones of all server blocks and in none.',
    ({ listening }) => inParts(listening, addressSamples),
  ),
  sizes('coredns_dns_request_size_bytes', 'Size of the queries in bytes.', zonePlaces.requestBytes),
  sizes('coredns_dns_response_size_bytes', 'Size of the answers in bytes.', zonePlaces.responseBytes),
];

function perZone(name: string, help: string, read: (zone: ZoneTotals) => Sample[]): Family<Scrape> {
  return counter(name, help, ({ served }) => inParts(served, read));
}

/** From the start, so that an address that nobody asks is at 0; an address of one family gets no queries of the other. */
function addressSamples(zone: ZoneTotals): Sample[] {
  const { address } = zone.first;
  const families = address === '::' ? [0, 1] : [address.includes(':') ? 1 : 0];
  return transportNames.flatMap((_, transport) =>
    families.map((family) => {
      const path = transport * 2 + family;
      const first = zonePlaces.requests + path * countedTypes.length;
      return sample(joinLabels(zone.labels, pathLabels[path]), zone.total(first, countedTypes.length));
    }),
  );
}

function withView(zone: ZoneTotals): Labels {
  return joinLabels(zone.labels, noView);
}

/** A sample for each of `own` whose number is not 0. */
function nonZero(own: readonly Labels[], ofZone: Labels, read: (index: number) => number, more = ''): Sample[] {
  const samples: Sample[] = [];
  for (let index = 0; index < own.length; index++) {
    const count = read(index);
    if (count !== 0) samples.push(sample(joinLabels(ofZone, own[index]) + more, count));
  }
  return samples;
}

/** The sum of `count` numbers of a zone, each `step` behind the one before. */
function sumUp({ numbers }: ZoneTotals, { first, count, step }: Record<'first' | 'count' | 'step', number>): number {
  let total = 0;
  for (let index = 0; index < count; index++) total += numbers[first + index * step];
  return total;
}

/** The last place counts all rcodes that have no place of their own. */
function rcodeLabel(rcode: number): string {
  if (rcode === rcodesCounted - 1) return 'other';
  const name = rcodeName(rcode);
  return name === String(rcode) ? `RCODE${rcode}` : name;
}

function sizes(name: string, help: string, base: number): Family<Scrape> {
  return histogram(name, help, sizeBucketsBytes, function* ({ served }) {
    for (const { labels, numbers } of served) {
      for (const [transport, proto] of transportLabels.entries()) {
        const first = base + transport * histogramPlaces.size;
        if (countOf({ numbers, first, bounds: sizeBucketsBytes }) === 0) continue;
        yield { labels: joinLabels(labels, `${noView},${proto}`), numbers, first };
      }
    }
  });
}
