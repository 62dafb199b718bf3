/**
 * What is asked, and the zone in which it is answered: names as pods use them, and as many distinct ones as a run of
 * misses needs. Everything is derived from a few numbers, so that every run asks the same.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files of dnsperf's input. */
export interface Questions {
  /** Asked before the measurement, until the cache holds what is to be held and the code is compiled. */
  readonly warmUp: string;
  readonly measured: string;
}

export interface QuestionFiles {
  readonly positive: Questions;
  readonly negative: Questions;
  readonly aaaa: Questions;
  /** Every name once: nothing is asked twice of one process. */
  readonly distinct: Questions;
}

export const zone = 'cluster.local';
/** A question that every server of the bench answers with NOERROR once it serves. */
export const firstQuestion = `svc-0.ns-0.svc.${zone}`;

const services = 1000;
const namespaces = 20;
const ttlSeconds = 3600;

/** More than any server answers in a second over one upstream; dnsperf stops where they end. */
const distinctPerSecond = 60_000;

/** Writes the files for runs of so many seconds. */
export function writeQuestions(
  folder: string,
  seconds: { readonly warmUp: number; readonly measured: number },
): QuestionFiles {
  const write = (name: string, lines: readonly string[]): string => {
    const path = join(folder, `${name}.txt`);
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  };
  const same = (path: string): Questions => ({ warmUp: path, measured: path });
  const distinct = (name: string, count: number): string =>
    write(
      name,
      range(count, (number) => `${name}-${number.toString(36)}.pod.${zone} A`),
    );
  return {
    positive: same(
      write(
        'positive',
        range(services, (number) => `${serviceName(number)} A`),
      ),
    ),
    negative: same(
      write(
        'negative',
        range(services, (number) => `${searchedName(number)} A`),
      ),
    ),
    aaaa: same(
      write(
        'aaaa',
        range(services, (number) => `${serviceName(number)} AAAA`),
      ),
    ),
    distinct: {
      warmUp: distinct('warm', Math.ceil(seconds.warmUp * distinctPerSecond)),
      measured: distinct('cold', Math.ceil(seconds.measured * distinctPerSecond)),
    },
  };
}

/** The zone file that answers all of them: addresses for services, a wildcard for pods, NXDOMAIN for the rest. */
export function zoneFile(): string {
  const soa = `@ ${ttlSeconds} SOA ns.dns hostmaster 1 7200 1800 86400 ${ttlSeconds}`;
  const server = [`@ ${ttlSeconds} NS ns.dns`, `ns.dns ${ttlSeconds} A 10.96.0.10`];
  const addresses = range(services, (number) => {
    const owner = serviceName(number).slice(0, -zone.length - 1);
    return `${owner} ${ttlSeconds} A 10.96.${1 + (number >> 8)}.${number & 0xff}`;
  });
  return `${[soa, ...server, ...addresses, `*.pod ${ttlSeconds} A 10.244.0.1`].join('\n')}\n`;
}

function serviceName(number: number): string {
  return `svc-${number}.ns-${number % namespaces}.svc.${zone}`;
}

/** An outside name with the first suffix of a pod's search path, which is tried before the name itself. */
function searchedName(number: number): string {
  return `api-${number}.example.com.ns-${number % namespaces}.svc.${zone}`;
}

function range<T>(count: number, make: (number: number) => T): T[] {
  return Array.from({ length: count }, (_, number) => make(number));
}
