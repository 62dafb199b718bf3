/** Checks of what pods ask: AAAA in vain, or with an answer that breaks them, and search paths that multiply queries. */

import type { Check, DoctorOutsides, Finding } from './check.js';
import { noFacts } from './check-addresses.js';
import { fineFinding, howMany, percent, skippedFinding } from './found.js';
import { hasIpv6Route } from './kernel-tables.js';

/** Shares of fewer queries say nothing. */
const queriesLeast = 200;
/** Resolvers of pods ask A and AAAA alike, so about half is AAAA where IPv6 is asked for at all. */
const aaaaShareMany = 0.3;
/** With ndots:5 four of five queries for an outside name are in vain. */
const searchShareMany = 0.5;

type AskedFacts = NonNullable<DoctorOutsides['facts']>;

export const aaaaCheck: Check = {
  about: 'AAAA queries',
  isCheap: true,
  async run({ facts, readFile }) {
    const codes = ['aaaa-nxdomain', 'aaaa-useless'];
    if (facts === null) return codes.map((code) => skippedFinding(code, noFacts));
    return [nxdomainFinding(facts), uselessFinding(facts, readFile('/proc/net/ipv6_route'))];
  },
};

/** A warning where pods are seen to suffer from it: many have no resolver that does. */
function nxdomainFinding(facts: AskedFacts): Finding {
  const { aaaaPolicies, recent } = facts;
  const code = 'aaaa-nxdomain';
  if (!aaaaPolicies.includes('nxdomain'))
    return fineFinding(code, `AAAA: ${aaaaPolicies.join(', ') || 'asked upstream'}`);
  const givenUp = givenUpName(facts);
  const said = `AAAA queries get NXDOMAIN (${recent.aaaa.toLocaleString('en-US')} of ${howMany(recent.queries, 'query', 'queries')})`;
  return {
    code,
    verdict: givenUp === undefined ? 'info' : 'warn',
    seen: givenUp === undefined ? said : `${said}, and pods go on after ${givenUp}, which exists`,
    meaning:
      'NXDOMAIN says that the name has no address at all, so pods with musl (Alpine) may give up a name that has an IPv4 address.',
    command: 'kubectl -n kube-system edit configmap node-local-dns  # "aaaa nodata" in place of the template ANY AAAA',
  };
}

/**
 * A Service's name that exists, though the next name of its search path is asked for as well: a resolver stops at the
 * first name that exists, unless it takes the NXDOMAIN of one type for the whole name.
 */
function givenUpName({ topNames, clusterDomain }: AskedFacts): string | undefined {
  const suffix = `.svc.${clusterDomain}.`;
  const names = new Set(topNames.map(({ name }) => name));
  return topNames.find(({ name, exists }) => {
    const [service, , ...rest] = name.split('.');
    return exists === true && `.${rest.join('.')}` === suffix && names.has(`${service}${suffix}`);
  })?.name;
}

function uselessFinding({ aaaaPolicies, recent }: AskedFacts, routes: string | undefined): Finding {
  const code = 'aaaa-useless';
  if (routes === undefined) return skippedFinding(code, '/proc/net/ipv6_route cannot be read');
  if (hasIpv6Route(routes)) return fineFinding(code, 'this node has an IPv6 route');
  const isForwarded = aaaaPolicies.includes('forward');
  const isMuch = recent.queries >= queriesLeast && recent.aaaa >= aaaaShareMany * recent.queries;
  const said = `${percent(recent.aaaa, recent.queries)} of the queries are AAAA, and this node has no IPv6 route`;
  if (!isForwarded || !isMuch) return fineFinding(code, said);
  return {
    code,
    verdict: 'info',
    seen: said,
    meaning: 'No pod can use these addresses; "aaaa nodata" answers the queries here, and Alpine images stay well.',
    command: 'kubectl -n kube-system edit configmap node-local-dns  # "aaaa nodata" in each server block',
  };
}

export const searchPathCheck: Check = {
  about: 'search paths',
  isCheap: true,
  async run({ facts }) {
    const codes = ['search-path', 'autopath'];
    if (facts === null) return codes.map((code) => skippedFinding(code, noFacts));
    if (facts.clusterDomain === null)
      return codes.map((code) => skippedFinding(code, 'no zone of the Corefile goes to the cluster DNS'));
    const { queries, nxdomainBelowClusterDomain: misses } = facts.recent;
    const said = `${percent(misses, queries)} of ${howMany(queries, 'query', 'queries')} are names of search paths that do not exist`;
    if (queries < queriesLeast || misses < searchShareMany * queries)
      return codes.map((code) => fineFinding(code, said));
    const most = mostSearched(facts);
    const example = most === undefined ? '' : ` (most: ${most})`;
    return [
      {
        code: 'search-path',
        verdict: 'info',
        seen: `${said}${example}`,
        meaning:
          'With ndots:5 a pod asks each domain of its search path before the name itself. A final dot, or ndots:2, saves these queries.',
        command: `kubectl patch deployment NAME -p '{"spec":{"template":{"spec":{"dnsConfig":{"options":[{"name":"ndots","value":"2"}]}}}}}'`,
      },
      autopathFinding(facts),
    ];
  },
};

function autopathFinding({ hasAutopath }: AskedFacts): Finding {
  if (hasAutopath) return fineFinding('autopath', 'autopath walks the search paths here');
  return {
    code: 'autopath',
    verdict: 'info',
    seen: 'the Corefile has no autopath',
    meaning:
      'autopath answers the first query of a search path with the name that the last one would find, and saves the others.',
    command: 'kubectl -n kube-system edit configmap node-local-dns  # "autopath", see docs/REFERENCE.md',
  };
}

/** The most frequent name that a search path has made: one with more labels below the domain than a Service's or a pod's. */
export function mostSearched({
  topNames,
  clusterDomain,
}: Pick<AskedFacts, 'topNames' | 'clusterDomain'>): string | undefined {
  const end = `.${clusterDomain}.`;
  return topNames.find(({ name }) => {
    const written = name.endsWith('.') ? name : `${name}.`;
    if (!written.toLowerCase().endsWith(end)) return false;
    const labels = written.slice(0, -end.length).split('.');
    return labels.at(-1)?.toLowerCase() === 'svc' ? labels.length > labelsOfPod : labels.length > 1;
  })?.name;
}

/** `web-0.web.default.svc` */
const labelsOfPod = 4;
