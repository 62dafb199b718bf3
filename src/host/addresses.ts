/** Which addresses of -localip are the node's to set up, and how link and rules write them. */
import { isIPv6 } from 'node:net';

export type Family = 'ipv4' | 'ipv6';

export function familyOf(address: string): Family {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

/** `169.254.20.10/32`, `fd00::10/128`. */
export function withPrefix(address: string): string {
  return `${address}/${isIPv6(address) ? 128 : 32}`;
}

/**
 * Without those that are on every host already, or on a link that they name: loopback, all addresses, link-local
 * ones with a scope. There is nothing to set up for them, and nobody but this host could ask there.
 */
export function nodeAddresses(addresses: readonly string[]): string[] {
  return addresses.filter((address) => !/^(?:127\.|0\.0\.0\.0$|::1?$|.*%)/u.test(address));
}
