/** Networks as people write them, `10.0.0.0/8`, `fd00::/8` or one address, and whether an address is in one. */
import { isIP } from 'node:net';
import { addressBytes } from '../os/addresses.js';

export interface Network {
  /** Four bytes or sixteen. */
  readonly bytes: readonly number[];
  readonly prefixBits: number;
}

/** Undefined for anything that is neither an address nor a network; bits behind the prefix do not matter. */
export function readNetwork(text: string): Network | undefined {
  const [, address, bits] = /^([^/%]+)(?:\/(\d{1,3}))?$/u.exec(text) ?? [];
  const family = isIP(address ?? '');
  const bitsMax = family === 4 ? 32 : 128;
  const prefixBits = bits === undefined ? bitsMax : Number(bits);
  if (family === 0 || prefixBits > bitsMax) return undefined;
  return { bytes: [...addressBytes(address)], prefixBits };
}

/** Whether the address (as `addressBytes` gives it) is in the network; one of another family is not. */
export function isInNetwork(address: Uint8Array, { bytes, prefixBits }: Network): boolean {
  if (address.length !== bytes.length) return false;
  for (let bit = 0; bit < prefixBits; bit += 8) {
    const mask = bit + 8 <= prefixBits ? 0xff : (0xff00 >> (prefixBits - bit)) & 0xff;
    if (((address[bit >> 3] ^ bytes[bit >> 3]) & mask) !== 0) return false;
  }
  return true;
}
