/**
 * Which client sent a packet, as a number: rings and queues have a place for each, and reading an address as text would cost
 * more than the packet. It is taken from the bytes of the socket address, as the kernel wrote them.
 */
import { type HashKey, hashWords } from '../dns/hash.js';
import { linux } from '../os/system-calls.js';

/** The second half of the third word of an IPv4 address on an IPv6 socket, as a little-endian machine reads it. */
const mappedWord = -0x1_0000;

/**
 * A number for the address in these words of a socket address, whatever the port and the socket's family. Two addresses
 * have the same by chance alone: nobody without the key finds one that has the number of another client.
 */
export function clientNumber(words: Int32Array, at: number, key: HashKey): number {
  // The family is the first half of the first word on the little-endian machines that threads run on.
  if ((words[at] & 0xffff) === linux.familyIpv4) return hashWords(words, at + 1, 1, key);
  const isMapped = words[at + 2] === 0 && words[at + 3] === 0 && words[at + 4] === mappedWord;
  return isMapped ? hashWords(words, at + 5, 1, key) : hashWords(words, at + 2, 4, key);
}
