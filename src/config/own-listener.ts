/**
 * Which of our own listeners takes what is sent to an endpoint. A pure function over what we listen on and what addresses
 * the host has.
 */
import { isIPv4 } from 'node:net';
import { hostAddressesMs } from '../limits.js';
import type { Endpoint } from '../os/network.js';

export interface OwnPlaces {
  /** `::` is all addresses of both families, `0.0.0.0` all of IPv4. */
  readonly listening: readonly Endpoint[];
  /** Addresses of the host's interfaces; read when an unspecified address is listened on. */
  hostAddresses(): readonly string[];
}

/** The host's addresses by `read`, which is called at most so often: they change seldom, and are asked for with each question. */
export function rememberedAddresses(read: () => readonly string[], nowMs: () => number): () => readonly string[] {
  let addresses: readonly string[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (nowMs() - readAtMs >= hostAddressesMs) {
      addresses = read();
      readAtMs = nowMs();
    }
    return addresses;
  };
}

/** The address on which the listener is that takes what is sent to `to`; null when none of ours does. */
export function ownListener(to: Endpoint, { listening, hostAddresses }: OwnPlaces): string | null {
  const here = listening.filter(({ port }) => port === to.port).map(({ address }) => address);
  if (here.length === 0 || here.includes(to.address)) return here.length === 0 ? null : to.address;
  // As a destination the unspecified address is the host itself.
  const address = to.address === '0.0.0.0' ? '127.0.0.1' : to.address === '::' ? '::1' : to.address;
  // A socket on the address itself takes the packet from one on all.
  const candidates = isIPv4(address) ? [address, '0.0.0.0', '::'] : [address, '::'];
  const taking = candidates.find((each) => here.includes(each));
  if (taking === undefined || taking === address) return taking ?? null;
  const isLoopback = address === '::1' || (isIPv4(address) && address.startsWith('127.'));
  return isLoopback || hostAddresses().includes(address) ? taking : null;
}
