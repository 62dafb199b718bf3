/**
 * Memory for recvmmsg and sendmmsg: for each datagram a header, a slot for its bytes, and the peer (its address and, on
 * sockets bound to all addresses, ours). It is laid out once and read through views made once, so a datagram allocates
 * nothing.
 *
 *   | mmsghdr 64 B each | iovec 16 B each | peer 80 B each: sockaddr 32, control 48 | slots |
 */
import type { Counters, FamilyIndex, Transport } from '../counters.js';
import type { Slot } from '../dns/answer.js';
import { batchPacketsMax, sendSlotBytes } from '../limits.js';
import { socketAddressBytes } from '../os/addresses.js';
import { errors, linux, type SystemCalls } from '../os/system-calls.js';

const msgHeaderBytes = 64;
const vectorBytes = 16;
const peerAddressBytes = 32;
const controlBytes = 48;
export const peerWords = (peerAddressBytes + controlBytes) / 4;
/** Words of a peer without its control message, which holds our address. */
export const peerAddressWords = peerAddressBytes / 4;

// struct mmsghdr on 64-bit Linux, in words.
const atName = 0;
const msgAtNameBytes = 2;
const atVector = 4;
const atVectorCount = 6;
const atControl = 8;
const msgAtControlBytes = 10;
const msgAtLength = 14;
const wordsOfHeader = msgHeaderBytes / 4;

/** A received packet; one object, overwritten by the next. */
export interface Received {
  packet: Uint8Array;
  length: number;
  family: FamilyIndex;
  readonly transport: Transport;
  nowMs: number;
}

export class Datagrams {
  readonly slots: readonly Slot[];
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly headersAt: number;
  readonly #vectorsFrom: number;
  readonly #peersFrom: number;

  constructor(calls: Pick<SystemCalls, 'addressOf'>, slotBytes: number, count = batchPacketsMax) {
    const vectors = count * msgHeaderBytes;
    const peers = vectors + count * vectorBytes;
    // Slots begin on cache lines, an odd number of lines apart, so that their beginnings do not share cache sets.
    const slots = Math.ceil((peers + count * peerWords * 4) / 64) * 64;
    const stride = slotBytes + 64 * (1 + ((slotBytes / 64) & 1));
    const memory = new ArrayBuffer(slots + count * stride);
    const address = calls.addressOf(memory);
    this.words = new Int32Array(memory);
    this.bytes = new Uint8Array(memory);
    this.headersAt = address;
    this.#vectorsFrom = vectors / 4;
    this.#peersFrom = peers / 4;
    const pointers = new BigUint64Array(memory, 0, peers / 8);
    this.slots = Array.from({ length: count }, (_, index) => {
      const slot = slots + index * stride;
      const peer = peers + index * peerWords * 4;
      const header = index * (msgHeaderBytes / 8);
      const vector = (vectors + index * vectorBytes) / 8;
      pointers[header + atName / 2] = BigInt(address + peer);
      pointers[header + atVector / 2] = BigInt(address + vectors + index * vectorBytes);
      pointers[header + atVectorCount / 2] = 1n;
      pointers[header + atControl / 2] = BigInt(address + peer + peerAddressBytes);
      pointers[vector] = BigInt(address + slot);
      pointers[vector + 1] = BigInt(slotBytes);
      return { bytes: new Uint8Array(memory, slot, slotBytes), words: new Int32Array(memory, slot, slotBytes / 4) };
    });
  }

  /** Makes the first `count` headers ready for `receive`, with or without room for control messages. */
  prepare(count: number, withControl: number): void {
    const { words } = this;
    for (let index = 0; index < count; index++) {
      words[index * wordsOfHeader + msgAtNameBytes] = socketAddressBytes;
      words[index * wordsOfHeader + msgAtControlBytes] = withControl === 0 ? 0 : controlBytes;
    }
  }

  length(index: number): number {
    return this.words[index * wordsOfHeader + msgAtLength];
  }

  /** Bytes of the sender's address; 0 when nothing was received, as after the end of reading. */
  nameBytes(index: number): number {
    return this.words[index * wordsOfHeader + msgAtNameBytes];
  }

  controlBytes(index: number): number {
    return this.words[index * wordsOfHeader + msgAtControlBytes];
  }

  /** Bytes to be sent from slot `index`, as `address` has set them. */
  bytesOf(index: number): number {
    return this.words[this.#vectorsFrom + index * (vectorBytes / 4) + 2];
  }

  peerAt(index: number): number {
    return this.#peersFrom + index * peerWords;
  }

  /** Copies `length` bytes from elsewhere, and their sender's address, into slot `index`, as if they had been received. */
  receive(index: number, from: Uint8Array, at: number, length: number, peer: Int32Array, peerAt: number): void {
    const { words } = this;
    const header = index * wordsOfHeader;
    const to = this.peerAt(index);
    words[header + msgAtLength] = length;
    words[header + msgAtNameBytes] = socketAddressBytes;
    for (let word = 0; word < peerAddressWords; word++) words[to + word] = peer[peerAt + word];
    const { bytes } = this.slots[index];
    for (let byte = 0; byte < length; byte++) bytes[byte] = from[at + byte];
  }

  /** Copies a received datagram and its sender into slot `index`, which is at least as long. */
  take(index: number, from: Datagrams, fromIndex: number): void {
    const { words } = this;
    const length = from.length(fromIndex);
    const header = index * wordsOfHeader;
    const peer = from.peerAt(fromIndex);
    const to = this.peerAt(index);
    words[header + msgAtLength] = length;
    words[header + msgAtNameBytes] = from.nameBytes(fromIndex);
    words[header + msgAtControlBytes] = from.controlBytes(fromIndex);
    for (let word = 0; word < peerWords; word++) words[to + word] = from.words[peer + word];
    const { bytes } = this.slots[index];
    const packet = from.slots[fromIndex].bytes;
    for (let byte = 0; byte < length; byte++) bytes[byte] = packet[byte];
  }

  /** Addresses the datagram in slot `index`, `length` bytes, to the peer at `at` in `from`. */
  address(index: number, length: number, from: Int32Array, at: number, nameBytes: number, control: number): void {
    const { words } = this;
    const header = index * wordsOfHeader;
    const to = this.#peersFrom + index * peerWords;
    words[header + msgAtNameBytes] = nameBytes;
    words[header + msgAtControlBytes] = control;
    words[this.#vectorsFrom + index * (vectorBytes / 4) + 2] = length;
    const count = control === 0 ? peerAddressWords : peerWords;
    for (let word = 0; word < count; word++) words[to + word] = from[at + word];
    if (control !== 0) forgetLink(words, to + peerAddressWords);
  }
}

export function headerAt(datagrams: Datagrams, index: number): number {
  return datagrams.headersAt + index * msgHeaderBytes;
}

/** Sends the first `count` datagrams; counts those that fail. Waits for buffer room once, unless `flags` forbid it. */
export function sendAll(
  calls: SystemCalls,
  fd: number,
  datagrams: Datagrams,
  count: number,
  flags: number,
  counters: Counters,
): void {
  for (let sent = 0; sent < count; ) {
    const result = calls.send(fd, headerAt(datagrams, sent), count - sent, flags);
    if (result > 0) sent += result;
    else if (result !== errors.interrupted) {
      if (result === errors.tryAgain) flags = linux.dontWait;
      counters.count('sendFailed');
      sent++;
    }
  }
}

// struct cmsghdr: length (8 bytes), level, type; then in_pktinfo (link first) or in6_pktinfo (link last).
const atCmsgLevel = 2;
const atLinkIpv4 = 4;
const atLinkIpv6 = 8;

/** Clears the link in the control message: routing decides it, not the link on which the query came. */
function forgetLink(words: Int32Array, control: number): void {
  words[control + (words[control + atCmsgLevel] === linux.ipv6Level ? atLinkIpv6 : atLinkIpv4)] = 0;
}

/** An answer's destination, as the ring stored it. */
export interface Peer {
  readonly words: Int32Array;
  readonly nameBytes: number;
  readonly controlBytes: number;
}

export class SendBatch {
  readonly #calls: SystemCalls;
  readonly #counters: Counters;
  readonly #answers: Datagrams;
  #fd = -1;
  #count = 0;
  #isScheduled = false;

  constructor(calls: SystemCalls, counters: Counters) {
    this.#calls = calls;
    this.#counters = counters;
    this.#answers = new Datagrams(calls, sendSlotBytes);
  }

  /** Copies the answer, which is sent at the end of this turn of the event loop. */
  add(fd: number, answer: Uint8Array, peer: Peer): void {
    if (answer.length > sendSlotBytes) return this.#counters.count('sendFailed');
    if (fd !== this.#fd || this.#count === batchPacketsMax) this.flush();
    this.#fd = fd;
    const index = this.#count++;
    this.#answers.slots[index].bytes.set(answer);
    this.#answers.address(index, answer.length, peer.words, 0, peer.nameBytes, peer.controlBytes);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#turnEnded);
  }

  /** Sends at once, as before a socket is closed. */
  flush(): void {
    const count = this.#count;
    this.#count = 0;
    sendAll(this.#calls, this.#fd, this.#answers, count, linux.dontWait, this.#counters);
  }

  readonly #turnEnded = (): void => {
    this.#isScheduled = false;
    this.flush();
  };
}
