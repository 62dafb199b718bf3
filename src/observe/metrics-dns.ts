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
import { counter, countOf, type Family, former, histogram, type Labels, type Sample, sample } from './exposition.js';
import type { Scrape, ZoneTotals } from './metrics-source.js';

const transportLabels = ['udp', 'tcp'] as const;
/** Go's address families as CoreDNS labels them. */
const addressFamilies = ['1', '2'] as const;

export const dnsFamilies: readonly Family<Scrape>[] = [
  perZone('coredns_dns_requests_total', 'Counter of DNS requests made per zone, protocol and family.', (zone) =>
    requests(zone)
      .filter(({ count }) => count > 0)
      .map(({ proto, family, type, count }) => sample({ ...withView(zone), proto, family, type }, count)),
  ),
  former(
    'coredns_dns_requests_total',
    perZone('coredns_dns_request_count_total', 'Counter of DNS requests made per zone, protocol and family.', (zone) =>
      sumBy(requests(zone), zone, ['proto', 'family']),
    ),
  ),
  former(
    'coredns_dns_requests_total',
    perZone('coredns_dns_request_type_count_total', 'Counter of DNS requests per type, per zone.', (zone) =>
      sumBy(requests(zone), zone, ['type']),
    ),
  ),
  perZone(
    'coredns_dns_responses_total',
    'Counter of response status codes, by the directive that wrote the answer.',
    (zone) =>
      responses(zone)
        .filter(({ count }) => count > 0)
        .map(({ rcode, plugin, count }) => sample({ ...withView(zone), rcode, plugin }, count)),
  ),
  former(
    'coredns_dns_responses_total',
    perZone('coredns_dns_response_rcode_count_total', 'Counter of response status codes.', (zone) =>
      sumBy(responses(zone), zone, ['rcode']),
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
    ({ served }) =>
      served.map((zone) => ({ labels: withView(zone), numbers: zone.numbers, first: zonePlaces.duration })),
  ),
  sizes('coredns_dns_request_size_bytes', 'Size of the queries in bytes.', zonePlaces.requestBytes),
  sizes('coredns_dns_response_size_bytes', 'Size of the answers in bytes.', zonePlaces.responseBytes),
];

function perZone(name: string, help: string, read: (zone: ZoneTotals) => Sample[]): Family<Scrape> {
  return counter(name, help, ({ served }) => served.flatMap(read));
}

function withView(zone: ZoneTotals): Labels {
  return { ...zone.labels, view: '' };
}

interface CountedQueries {
  readonly count: number;
}

function requests(zone: ZoneTotals): (CountedQueries & Record<'proto' | 'family' | 'type', string>)[] {
  return transportLabels.flatMap((proto, transport) =>
    addressFamilies.flatMap((family, familyIndex) =>
      countedTypes.map((type, index) => {
        const place = (transport * addressFamilies.length + familyIndex) * countedTypes.length + index;
        return { proto, family, type, count: zone.numbers[zonePlaces.requests + place] };
      }),
    ),
  );
}

function responses(zone: ZoneTotals): (CountedQueries & Record<'rcode' | 'plugin', string>)[] {
  return answerers.flatMap((plugin, answerer) =>
    Array.from({ length: rcodesCounted }, (_, rcode) => ({
      plugin,
      rcode: rcodeLabel(rcode),
      count: zone.numbers[zonePlaces.responses + answerer * rcodesCounted + rcode],
    })),
  );
}

/** The last place counts all rcodes that have no place of their own. */
function rcodeLabel(rcode: number): string {
  if (rcode === rcodesCounted - 1) return 'other';
  const name = rcodeName(rcode);
  return name === String(rcode) ? `RCODE${rcode}` : name;
}

/** The counts added up over all labels but `names`, without those that are 0. */
function sumBy<Name extends string>(
  counts: readonly (CountedQueries & Record<Name, string>)[],
  zone: ZoneTotals,
  names: readonly Name[],
): Sample[] {
  const sums = new Map<string, { labels: Record<string, string>; value: number }>();
  for (const counted of counts) {
    if (counted.count === 0) continue;
    const own = Object.fromEntries(names.map((name) => [name, counted[name]]));
    const key = Object.values(own).join('/');
    const sum = sums.get(key) ?? { labels: { ...zone.labels, ...own }, value: 0 };
    sum.value += counted.count;
    sums.set(key, sum);
  }
  return [...sums.values()];
}

function sizes(name: string, help: string, base: number): Family<Scrape> {
  return histogram(name, help, sizeBucketsBytes, ({ served }) =>
    served.flatMap((zone) =>
      transportLabels.flatMap((proto, transport) => {
        const counted = { numbers: zone.numbers, first: base + transport * histogramPlaces.size };
        const isEmpty = countOf({ ...counted, bounds: sizeBucketsBytes }) === 0;
        return isEmpty ? [] : { ...counted, labels: { ...withView(zone), proto } };
      }),
    ),
  );
}
