/**
 * Names on their way out: each is written with a compression pointer to the longest part that already stands in the
 * message (RFC 1035 4.1.4). Node-local upstreams send whole names over TCP, so without this an answer that fits a
 * client's 512 bytes would be cut. One instance serves one thread, message after message. Upstreams choose the names: places
 * are found by a keyed hash, and a message in which names fall together all the same is not compressed to its end.
 */
import { comparisonsInVainMax, headerBytes, labelsMax } from '../limits.js';
import { type HashKey, hashBefore } from './hash.js';
import { sameName, setU16 } from './wire.js';

const placesMax = 128;
/** Twice as many, so that a search soon comes to an empty one; a hash's highest byte is where it begins. */
const slots = 256;
const pointerReach = 0x4000;

export class NamesOut {
  /** Where names (or their tails) begin in the message, and the hash and length of each. */
  readonly #places = new Uint16Array(placesMax);
  readonly #hashes = new Int32Array(placesMax);
  readonly #lengths = new Uint8Array(placesMax);
  #count = 0;
  /** For each slot the number of its place, from 1 on; 0 is an empty one. */
  readonly #slots = new Uint8Array(slots);
  /** Names of the same hash that were another, in this message. */
  #inVain = 0;
  /** What searching has cost in this message: the places that were looked at. */
  steps = 0;
  readonly #key: HashKey;
  readonly #labels = new Uint8Array(labelsMax);
  readonly #tails = new Int32Array(labelsMax);
  readonly #whole = new Uint8Array(256);

  constructor(key: HashKey) {
    this.#key = key;
  }

  /** Begins a message whose question's name stands uncompressed at 12; later names may point into it. */
  begin(message: Uint8Array, nameBytes: number): void {
    this.#count = 0;
    this.#inVain = 0;
    this.steps = 0;
    this.#slots.fill(0);
    for (let index = 0; index < nameBytes; index++) this.#whole[index] = message[headerBytes + index];
    const labels = this.#measure(this.#whole);
    for (let label = 0; label < labels; label++) this.#add(headerBytes + this.#labels[label], label, nameBytes);
  }

  /** Writes the uncompressed `name` at `at` and returns the offset behind it. */
  write(message: Uint8Array, at: number, name: Uint8Array, nameBytes: number): number {
    const labels = this.#measure(name);
    let position = at;
    for (let label = 0; label < labels; label++) {
      const place = this.#find(message, name, label, nameBytes);
      if (place >= 0) {
        setU16(message, position, 0xc000 | place);
        return position + 2;
      }
      if (position < pointerReach) this.#add(position, label, nameBytes);
      const start = this.#labels[label];
      const length = name[start];
      for (let index = 0; index <= length; index++) message[position + index] = name[start + index];
      position += length + 1;
    }
    message[position] = 0;
    return position + 1;
  }

  /** Notes where the labels begin and a hash of the name from each of them on; returns their number. */
  #measure(name: Uint8Array): number {
    let count = 0;
    for (let at = 0; name[at] !== 0; at += name[at] + 1) this.#labels[count++] = at;
    let hash = 0;
    for (let label = count - 1; label >= 0; label--) {
      const start = this.#labels[label];
      for (let at = start + name[start]; at >= start; at--) hash = hashBefore(hash, name[at], this.#key);
      this.#tails[label] = hash;
    }
    return count;
  }

  #add(place: number, label: number, nameBytes: number): void {
    if (this.#count === placesMax) return;
    this.#places[this.#count] = place;
    this.#hashes[this.#count] = this.#tails[label];
    this.#lengths[this.#count] = nameBytes - this.#labels[label];
    this.#count++;
    let slot = this.#tails[label] >>> 24;
    while (this.#slots[slot] !== 0) slot = (slot + 1) % slots;
    this.#slots[slot] = this.#count;
  }

  #find(message: Uint8Array, name: Uint8Array, label: number, nameBytes: number): number {
    const hash = this.#tails[label];
    const length = nameBytes - this.#labels[label];
    for (let slot = hash >>> 24; this.#slots[slot] !== 0; slot = (slot + 1) % slots) {
      if (this.#inVain >= comparisonsInVainMax) return -1;
      const index = this.#slots[slot] - 1;
      this.steps++;
      if (this.#hashes[index] !== hash || this.#lengths[index] !== length) continue;
      if (standsAt(message, this.#places[index], name, this.#labels[label])) return this.#places[index];
      this.#inVain++;
    }
    return -1;
  }
}

/** Whether the name at `place` of our own message, pointers followed, is `name` from `from` on, case aside. */
function standsAt(message: Uint8Array, place: number, name: Uint8Array, from: number): boolean {
  let at = place;
  let against = from;
  while (true) {
    while (message[at] >= 0xc0) at = ((message[at] & 0x3f) << 8) | message[at + 1];
    const length = message[at];
    if (length !== name[against]) return false;
    if (length === 0) return true;
    if (!sameName(message, at + 1, name, against + 1, length)) return false;
    at += length + 1;
    against += length + 1;
  }
}
