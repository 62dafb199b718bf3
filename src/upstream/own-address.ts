/**
 * Whether what is sent to an endpoint comes to ourselves: an upstream that is one of our own listeners would be asked
 * by us, and ask us, for ever. A pure function over what we listen on and what addresses the host has.
 */
import { isIPv4 } from 'node:net';
import type { Endpoint } from '../outside/network.js';

export interface OwnPlaces {
  /** `::` is all addresses of both families, `0.0.0.0` all of IPv4. */
  readonly listening: readonly Endpoint[];
  /** Addresses of the host's interfaces; read when an unspecified address is listened on. */
  hostAddresses(): readonly string[];
}

/** True when a listener of ours takes what is sent to `to`. */
export function isOwnEndpoint({ address, port }: Endpoint, { listening, hostAddresses }: OwnPlaces): boolean {
  const here = listening.filter((each) => each.port === port).map((each) => each.address);
  if (here.length === 0) return false;
  if (here.includes(address)) return true;
  const takesAll = here.includes('::') || (here.includes('0.0.0.0') && isIPv4(address));
  if (!takesAll) return isUnspecified(address);
  // As a destination the unspecified address is the host itself.
  if (isUnspecified(address) || address === '::1' || (isIPv4(address) && address.startsWith('127.'))) return true;
  return hostAddresses().includes(address);
}

function isUnspecified(address: string): boolean {
  return address === '::' || address === '0.0.0.0';
}
