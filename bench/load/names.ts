/**
 * The names that are asked and the zones in which they are answered: names as pods use them, derived from a few
 * numbers, so that every run asks the same. What is asked in which order is questions.ts's business.
 */

/** A zone of the upstream. */
export interface Zone {
  readonly name: string;
  /** Its zone file. */
  readonly text: string;
}

export const clusterZone = 'cluster.local';
export const outsideZone = 'example.com';
export const namespaces = 20;
export const services = 1000;
export const outsideNames = 500;
/** Nothing expires during a run. */
export const ttlSeconds = 3600;

/** A Service, which has an address and no other. */
export function serviceName(number: number): string {
  return `svc-${number}.ns-${number % namespaces}.svc.${clusterZone}`;
}

/** A name outside the cluster, which has an address and no other. */
export function outsideName(number: number): string {
  return `api-${number}.${outsideZone}`;
}

/** A pod's name, of which there are as many as one likes: `word` keeps those of one purpose apart. */
export function podName(word: string, number: number): string {
  return `${word}-${number.toString(36)}.pod.${clusterZone}`;
}

/** The suffixes that a pod of this namespace tries before the name itself (ndots:5). */
export function searchPath(namespace: number): readonly string[] {
  return [`ns-${namespace}.svc.${clusterZone}`, `svc.${clusterZone}`, clusterZone];
}

/** A question that every server of the bench answers with NOERROR once it serves. */
export const firstQuestion = serviceName(0);

/** The zones that answer all of them: addresses for services and outside names, a wildcard for pods, else NXDOMAIN. */
export function zones(): readonly Zone[] {
  const addresses = range(services, (number) => {
    const owner = serviceName(number).slice(0, -clusterZone.length - 1);
    return `${owner} ${ttlSeconds} A 10.96.${1 + (number >> 8)}.${number & 0xff}`;
  });
  const outside = range(outsideNames, (number) => {
    const owner = outsideName(number).slice(0, -outsideZone.length - 1);
    return `${owner} ${ttlSeconds} A 198.51.100.${number & 0xff}`;
  });
  return [
    { name: clusterZone, text: zoneText('10.96.0.10', [...addresses, `*.pod ${ttlSeconds} A 10.244.0.1`]) },
    { name: outsideZone, text: zoneText('198.51.100.53', outside) },
  ];
}

function zoneText(serverAddress: string, records: readonly string[]): string {
  const soa = `@ ${ttlSeconds} SOA ns.dns hostmaster 1 7200 1800 86400 ${ttlSeconds}`;
  const server = [`@ ${ttlSeconds} NS ns.dns`, `ns.dns ${ttlSeconds} A ${serverAddress}`];
  return `${[soa, ...server, ...records].join('\n')}\n`;
}

export function range<T>(count: number, make: (number: number) => T): T[] {
  return Array.from({ length: count }, (_, number) => make(number));
}
