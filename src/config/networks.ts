/** Networks as people write them, `10.0.0.0/8`, `fd00::/8` or one address, and whether an address is in one. */
import { isIP } from 'node:net';

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

/** An address (without scope) as its four bytes, or sixteen. */
export function addressBytes(address: string): Uint8Array {
  return address.includes(':') ? allSixteenBytes(address) : Uint8Array.from(address.split('.').map(Number));
}

function allSixteenBytes(address: string): Uint8Array {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/u.exec(address);
  const plain =
    dotted === null
      ? address
      : `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`;
  const [head, tail] = plain.split('::');
  const groups = (text: string | undefined) => (text ? text.split(':').map((group) => Number.parseInt(group, 16)) : []);
  const before = groups(head);
  const after = groups(tail);
  const middle = tail === undefined ? [] : new Array<number>(8 - before.length - after.length).fill(0);
  return Uint8Array.from([...before, ...middle, ...after].flatMap((group) => [group >> 8, group & 255]));
}
