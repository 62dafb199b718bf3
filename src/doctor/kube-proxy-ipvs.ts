/**
 * The kernel's table of virtual servers, as kube-proxy's IPVS mode fills it: a parser of /proc/net/ip_vs, in which
 * addresses are hexadecimal, and behind `persistent` stands the kernel's ticks, whose number in a second it does not say.
 */
import { canonicalAddress } from '../config/addresses.js';
import type { Endpoint } from '../os/network.js';
import type { Affinity } from './kube-proxy-iptables.js';
import type { ProbeTransport } from './probe.js';

interface VirtualServer {
  readonly over: ProbeTransport;
  readonly at: Endpoint;
  readonly affinity: Affinity | null;
  /** Those with a weight above 0; kube-proxy gives 0 to an endpoint that ends. */
  readonly endpoints: readonly Endpoint[];
}

/** Ticks in a second that kernels are built with; 1 is there for kernels that print seconds. */
const ticksPerSecond = [1, 100, 250, 300, 1000];
/** What Kubernetes sets unless the Service says otherwise. */
const affinitySecondsByDefault = 10_800;

/** The virtual servers for UDP and TCP; lines that are not understood are left out. */
export function virtualServersIn(text: string): VirtualServer[] {
  const servers: { over: ProbeTransport; at: Endpoint; affinity: Affinity | null; endpoints: Endpoint[] }[] = [];
  let isOurs = false;
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/u);
    if (words[0] === '->') {
      const endpoint = hexEndpoint(words[1] ?? '');
      if (isOurs && endpoint !== undefined && Number(words[3]) > 0) servers.at(-1)!.endpoints.push(endpoint);
      continue;
    }
    const over = words[0] === 'UDP' ? 'udp' : words[0] === 'TCP' ? 'tcp' : null;
    const at = hexEndpoint(words[1] ?? '');
    isOurs = over !== null && at !== undefined;
    if (over === null || at === undefined) continue;
    const persistent = words.indexOf('persistent');
    const affinity = persistent === -1 ? null : { seconds: secondsOfTicks(Number(words[persistent + 1])) };
    servers.push({ over, at, affinity, endpoints: [] });
  }
  return servers;
}

/** `0A60000A:0035`, `[fd00:0000:…:000a]:0035`. */
function hexEndpoint(text: string): Endpoint | undefined {
  const [, bytes, groups, port] = /^(?:([0-9A-F]{8})|\[([0-9a-f:]+)\]):([0-9A-F]{4})$/iu.exec(text) ?? [];
  if (port === undefined) return undefined;
  const written = bytes === undefined ? groups : Buffer.from(bytes, 'hex').join('.');
  const address = canonicalAddress(written);
  return address === undefined ? undefined : { address, port: Number.parseInt(port, 16) };
}

function secondsOfTicks(ticks: number): number | null {
  const isDefault = ticksPerSecond.some((rate) => ticks === rate * affinitySecondsByDefault);
  return isDefault ? affinitySecondsByDefault : null;
}
