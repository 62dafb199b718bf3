/**
 * What kube-proxy's nftables rules do with packets to a Service's address: parsers over what `nft list` prints of the
 * table kube-proxy, of Kubernetes 1.29 to 1.36. As text, because a list of all Services as JSON is one line that cannot
 * be read in part. The shapes:
 *
 *     map service-ips            ADDRESS . udp . 53 : goto service-X
 *     map no-endpoint-services   ADDRESS . udp . 53 comment "…" : goto reject-chain
 *     chain service-X            [ip saddr @affinity-Y goto endpoint-Y]  numgen random mod 2 vmap { 0 : goto endpoint-Y, … }
 *     chain endpoint-Y           meta l4proto udp dnat to ENDPOINT
 *     chain service-X            (1.36, without affinity)  dnat ip to numgen random mod 2 map { 0 : ADDRESS . PORT, … }
 */
import { canonicalAddress, readEndpoint } from '../config/addresses.js';
import type { Endpoint } from '../os/network.js';
import type { Affinity } from './kube-proxy-iptables.js';
import type { ProbeTransport } from './probe.js';

/** An element of a verdict map of kube-proxy. */
interface VerdictElement {
  readonly over: ProbeTransport;
  /** The chain that packets go to; null where they are dropped at once. */
  readonly chain: string | null;
  /** `kube-system/kube-dns`; null where the element has no comment. */
  readonly service: string | null;
}

const elementShape =
  /([0-9a-f.:]+) \. (udp|tcp) \. (\d+|domain)\b(?: comment "((?:[^"\\]|\\.)*)")? : (?:goto ([^\s,}]+)|drop|reject)/giu;

/** The elements for this address and port. */
export function elementsFor(text: string, { address, port }: Endpoint): VerdictElement[] {
  return [...text.matchAll(elementShape)].flatMap(([, at, over, to, comment, chain = null]) => {
    const isMeant = canonicalAddress(at) === address && (to === 'domain' ? 53 : Number(to)) === port;
    const [service = null] = comment?.split(':') ?? [];
    return isMeant ? [{ over: over as ProbeTransport, chain, service }] : [];
  });
}

/** What a chain of a Service does: the chains of endpoints that it goes to, or destinations of its own. */
export function serviceChainIn(text: string): {
  chains: string[];
  destinations: Endpoint[];
  affinitySet: string | null;
} {
  const chains = [...text.matchAll(/\bgoto (endpoint-[^\s,}]+)/gu)].map(([, name]) => name);
  const [, affinitySet = null] = /\bsaddr @(affinity-\S+)/u.exec(text) ?? [];
  return { chains: [...new Set(chains)], destinations: dnatDestinationsIn(text), affinitySet };
}

/** Where the rules in this text send packets, as one destination or as a map of them. */
export function dnatDestinationsIn(text: string): Endpoint[] {
  return text.split('\n').flatMap((line) => {
    const [, to] = /\bdnat (?:ip6? )?(?:addr \. port )?to (.*)$/u.exec(line) ?? [];
    if (to === undefined) return [];
    const inMap = [...to.matchAll(/: ([0-9a-f.:]+) \. (\d+|domain)/giu)].map(
      ([, address, port]) => `[${address}]:${port}`,
    );
    const written = inMap.length > 0 ? inMap : [to.split(' ')[0]];
    return written.flatMap((each) => readEndpoint(plainPort(each), 53) ?? []);
  });
}

/** `[10.0.0.1]:domain` becomes `10.0.0.1:53`. */
function plainPort(text: string): string {
  return text.replace(/:domain$/u, ':53').replace(/^\[([\d.]+)\]/u, '$1');
}

/** The time after which a set of kube-proxy's forgets a client: `timeout 3h`. */
export function affinityOf(text: string): Affinity {
  const [, written] = /\btimeout ((?:\d+(?:ms|[dhms]))+)/u.exec(text) ?? [];
  if (written === undefined) return { seconds: null };
  const units: Readonly<Record<string, number>> = { d: 86_400, h: 3_600, m: 60, s: 1, ms: 0.001 };
  const parts = [...written.matchAll(/(\d+)(ms|[dhms])/gu)];
  return { seconds: Math.round(parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * units[unit], 0)) };
}
