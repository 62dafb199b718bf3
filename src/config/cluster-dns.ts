/**
 * Where the cluster DNS is, from the value of -upstreamsvc: an address as it is written, or a Service whose address
 * Kubernetes put into the environment of this process when it started (so the Service must be of the same namespace
 * and older than the pod). Nothing is asked over the network: this program is what names are asked of.
 */
import { isIP } from 'node:net';
import type { Endpoint } from '../os/network.js';
import { canonicalAddress, portNumber, readEndpoint } from './addresses.js';
import { UsageError } from './flag-reader.js';

export type ClusterDns =
  | { readonly endpoint: Endpoint; readonly missing: null }
  /** `missing` is one sentence on what was looked for and what to do. */
  | { readonly endpoint: null; readonly missing: string };

export type Environment = Readonly<Record<string, string | undefined>>;

const dnsPort = 53;

/** Throws a UsageError for text that can be neither an address nor the name of a Service. */
export function findClusterDns(upstreamService: string, environment: Environment): ClusterDns {
  const literal = readEndpoint(upstreamService, dnsPort);
  if (literal !== undefined) return { endpoint: literal, missing: null };
  if (!/^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/iu.test(upstreamService) || isDottedNumber(upstreamService)) {
    throw new UsageError(
      `-upstreamsvc "${upstreamService}" is neither a Service name nor an address; write for example kube-dns-upstream, 10.96.0.10 or 10.96.0.10:53.`,
    );
  }
  return fromEnvironment(upstreamService, environment);
}

function fromEnvironment(service: string, environment: Environment): ClusterDns {
  const prefix = service.replaceAll('-', '_').toUpperCase();
  const hostName = `${prefix}_SERVICE_HOST`;
  const host = environment[hostName] ?? '';
  if (host === '') {
    const what = `${hostName} is not set, so the address of the Service "${service}" is unknown`;
    const remedy = 'create the Service in the namespace of this pod before the pod, or give -upstreamsvc an address';
    return { endpoint: null, missing: `${what}; ${remedy}.` };
  }
  const address = canonicalAddress(host);
  if (address === undefined) {
    const what = `${hostName} is "${host}", which is not an IP address`;
    return { endpoint: null, missing: `${what}; give -upstreamsvc an address instead.` };
  }
  const portName = `${prefix}_SERVICE_PORT_DNS`;
  const portText = environment[portName] ?? '';
  const port = portText === '' ? dnsPort : portNumber(portText, 1);
  if (port === undefined) {
    const what = `${portName} is "${portText}", which is not a port`;
    return { endpoint: null, missing: `${what}; give -upstreamsvc an address and port instead.` };
  }
  return { endpoint: { address, port }, missing: null };
}

/** `10` is a name that a Service could not have and a slip for an address. */
function isDottedNumber(text: string): boolean {
  return /^[\d.]+$/u.test(text) && isIP(text) === 0;
}
