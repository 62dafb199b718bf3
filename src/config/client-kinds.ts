/**
 * Kinds of clients, as `acl` distinguishes them: clients of one kind match the same rules, so every answer that one of them
 * may get, the others may get as well. Pure functions over the rules of one listener's blocks.
 */

import { addressBytes } from '../os/addresses.js';
import { type IpNetwork, isInNetwork } from './addresses.js';
import type { AccessRules } from './config.js';

/** The matching rules as text: the same text means the same verdict on every name and type. */
type ClientKind = string;

/** The kind of a client; `address` as `addressBytes` gives it. */
export function kindOf(acls: readonly AccessRules[], address: Uint8Array): ClientKind {
  return kind(acls, (network) => isInNetwork(address, network));
}

/** All possible kinds. Networks contain each other or are disjoint, so each client matches like one of them, or none. */
export function clientKinds(acls: readonly AccessRules[]): readonly ClientKind[] {
  const networks = acls.flatMap(({ rules }) => rules.flatMap((rule) => rule.networks ?? []));
  const ofNetworks = networks.map((inner) => kind(acls, (outer) => holds(outer, inner)));
  return [...new Set([kind(acls, () => false), ...ofNetworks])];
}

function kind(acls: readonly AccessRules[], isIn: (network: IpNetwork) => boolean): ClientKind {
  const ofEach = acls.map(({ rules }) => {
    const fitting = rules.filter(({ networks }) => networks === null || networks.some(isIn));
    const last = fitting.findIndex(({ types }) => types === null);
    const counting = last === -1 ? fitting : fitting.slice(0, last + 1);
    // A rule after an equal one changes nothing.
    return [...new Set(counting.map(({ action, types }) => `${action} ${types?.join() ?? '*'}`))].join(', ');
  });
  return ofEach.join('; ');
}

function holds(outer: IpNetwork, inner: IpNetwork): boolean {
  return outer.prefixBits <= inner.prefixBits && isInNetwork(Uint8Array.from(inner.bytes), outer);
}

/** A client's address without its scope. */
export function clientBytes(remote: string): Uint8Array {
  return addressBytes(remote.replace(/%.*$/u, ''));
}
