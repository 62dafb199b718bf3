/**
 * Clients as `acl` tells them apart: two whose addresses come to the same rules are of one kind, and what one of them may
 * be told, however it was found, the other may be told as well. Pure functions over the rules of one listener's blocks.
 */

import { addressBytes, isInNetwork, type Network } from './addresses.js';
import type { AccessRules } from './config.js';

/** What the rules come to, as text: the same text, the same verdict on every name and type. */
type ClientKind = string;

/** The kind of a client; `address` as `addressBytes` gives it. */
export function kindOf(acls: readonly AccessRules[], address: Uint8Array): ClientKind {
  return kind(acls, (network) => isInNetwork(address, network));
}

/** Every kind that there can be. Networks hold each other or are apart, so each client is like one of them, or in none. */
export function clientKinds(acls: readonly AccessRules[]): readonly ClientKind[] {
  const networks = acls.flatMap(({ rules }) => rules.flatMap((rule) => rule.networks ?? []));
  const ofNetworks = networks.map((inner) => kind(acls, (outer) => holds(outer, inner)));
  return [...new Set([kind(acls, () => false), ...ofNetworks])];
}

function kind(acls: readonly AccessRules[], isIn: (network: Network) => boolean): ClientKind {
  const ofEach = acls.map(({ rules }) => {
    const fitting = rules.filter(({ networks }) => networks === null || networks.some(isIn));
    const last = fitting.findIndex(({ types }) => types === null);
    const counting = last === -1 ? fitting : fitting.slice(0, last + 1);
    // A rule that an equal one stands before changes nothing.
    return [...new Set(counting.map(({ action, types }) => `${action} ${types?.join() ?? '*'}`))].join(', ');
  });
  return ofEach.join('; ');
}

function holds(outer: Network, inner: Network): boolean {
  return outer.prefixBits <= inner.prefixBits && isInNetwork(Uint8Array.from(inner.bytes), outer);
}

/** A client's address as rules look at it: a scope is no part of it. */
export function clientBytes(remote: string): Uint8Array {
  return addressBytes(remote.replace(/%.*$/u, ''));
}
