/**
 * Names and their records in a few arrays of numbers. A quarter of a million names as objects would be 100 MB of heap, through
 * which every full garbage collection goes: 200 ms without an answer.
 *
 *   slot ─> name ─┬─> its characters, in the pool
 *                 └─> record ─> record …      each a kind, and an address in the pool or another name
 */
import { hostsNamesMax, hostsRecordsPerNameMax } from '../../limits.js';

/** The records of one name: addresses in presentation form, names in lower case with the closing dot. */
export interface HostsEntry {
  readonly a: readonly string[];
  readonly aaaa: readonly string[];
  readonly ptr: readonly string[];
}

const recordKinds = ['a', 'aaaa', 'ptr'] as const;
/** Index in `kinds`. */
type HostsKind = 0 | 1 | 2;
const ptr = 2;

/** No name, or no record. */
const noIndex = -1;

export class HostsIndex {
  /** Characters of names and addresses, one byte each. */
  #pool = new Uint8Array(4_096);
  #poolBytes = 0;
  /** Of each text in the pool: start and length. */
  readonly #texts = { at: new Numbers(), length: new Numbers() };
  /** Of each name: its text, its hash, its first and last record. */
  readonly #names = { text: new Numbers(), hash: new Numbers(), first: new Numbers(), last: new Numbers() };
  /** Of each name: records of each kind. */
  readonly #counts = new Numbers();
  /** Of each record: kind, value (a text, or a name for PTR) and the name's next record. */
  readonly #records = { kind: new Numbers(), value: new Numbers(), next: new Numbers() };
  /** Open addressing by hash: a power of two, at most half full. */
  #slots = new Int32Array(1_024).fill(noIndex);
  #leftOut = 0;

  /** Names, reverse names included. */
  get size(): number {
    return this.#names.text.length;
  }

  /** Records, as coredns_hosts_entries counts them. */
  get entries(): number {
    return this.#records.kind.length;
  }

  /** Names and records beyond the bounds of limits.ts. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** All names, in order of arrival. */
  *names(): Generator<string> {
    for (let name = 0; name < this.size; name++) yield this.#textOf(this.#names.text.at(name));
  }

  /** The records of exactly this name; undefined: none. */
  find(text: string): HostsEntry | undefined {
    const name = this.#slots[this.#slotOf(text, textHash(text))];
    if (name === noIndex) return undefined;
    const entry: Record<keyof HostsEntry, string[]> = { a: [], aaaa: [], ptr: [] };
    const { first } = this.#names;
    const { kind, value, next } = this.#records;
    for (let record = first.at(name); record !== noIndex; record = next.at(record)) {
      const isName = kind.at(record) === ptr;
      const said = isName ? this.#names.text.at(value.at(record)) : value.at(record);
      entry[recordKinds[kind.at(record)]].push(this.#textOf(said));
    }
    return entry;
  }

  /** Stores an address, for any number of records. */
  address(text: string): number {
    return this.#put(text);
  }

  /** Adds an address to a name. */
  addAddress(name: string, kind: 0 | 1, address: number): void {
    const index = this.#nameOf(name);
    if (index !== noIndex) this.#add(index, kind, address);
  }

  /** Adds the PTR record of a reverse name; the name has been added. */
  addReverse(reverse: string, name: string): void {
    const index = this.#nameOf(reverse);
    if (index === noIndex) return;
    const leadsTo = this.#slots[this.#slotOf(name, textHash(name))];
    if (leadsTo === noIndex) this.#leftOut++;
    else this.#add(index, ptr, leadsTo);
  }

  #add(name: number, kind: HostsKind, value: number): void {
    const countAt = name * recordKinds.length + kind;
    if (this.#counts.at(countAt) >= hostsRecordsPerNameMax) {
      this.#leftOut++;
      return;
    }
    this.#counts.set(countAt, this.#counts.at(countAt) + 1);
    const record = this.#records.kind.push(kind);
    this.#records.value.push(value);
    this.#records.next.push(noIndex);
    const last = this.#names.last.at(name);
    if (last === noIndex) this.#names.first.set(name, record);
    else this.#records.next.set(last, record);
    this.#names.last.set(name, record);
  }

  /** The name's index, a new one if needed; `none` without room. */
  #nameOf(text: string): number {
    const hash = textHash(text);
    const slot = this.#slotOf(text, hash);
    if (this.#slots[slot] !== noIndex) return this.#slots[slot];
    if (this.size >= hostsNamesMax) {
      this.#leftOut++;
      return noIndex;
    }
    const name = this.#names.text.push(this.#put(text));
    this.#names.hash.push(hash);
    this.#names.first.push(noIndex);
    this.#names.last.push(noIndex);
    for (let kind = 0; kind < recordKinds.length; kind++) this.#counts.push(0);
    this.#slots[slot] = name;
    if (this.size * 2 > this.#slots.length) this.#grow();
    return name;
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(noIndex);
    const { hash } = this.#names;
    for (let name = 0; name < this.size; name++) {
      let slot = hash.at(name) & (slots.length - 1);
      while (slots[slot] !== noIndex) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = name;
    }
    this.#slots = slots;
  }

  /** The slot of this name, taken or free. */
  #slotOf(text: string, hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (; this.#slots[slot] !== noIndex; slot = (slot + 1) & mask) {
      const name = this.#slots[slot];
      if (this.#names.hash.at(name) === hash && this.#isText(this.#names.text.at(name), text)) break;
    }
    return slot;
  }

  #isText(index: number, text: string): boolean {
    const at = this.#texts.at.at(index);
    if (this.#texts.length.at(index) !== text.length) return false;
    for (let place = 0; place < text.length; place++) {
      if (this.#pool[at + place] !== text.charCodeAt(place)) return false;
    }
    return true;
  }

  #textOf(index: number): string {
    const at = this.#texts.at.at(index);
    return Buffer.from(this.#pool.buffer, at, this.#texts.length.at(index)).toString('latin1');
  }

  #put(text: string): number {
    if (this.#poolBytes + text.length > this.#pool.length) {
      const pool = new Uint8Array(Math.max(this.#pool.length * 2, this.#poolBytes + text.length));
      pool.set(this.#pool);
      this.#pool = pool;
    }
    this.#texts.length.push(text.length);
    const index = this.#texts.at.push(this.#poolBytes);
    for (let place = 0; place < text.length; place++) this.#pool[this.#poolBytes++] = text.charCodeAt(place);
    return index;
  }
}

/** A list of 32-bit numbers that grows. */
class Numbers {
  length = 0;
  #numbers = new Int32Array(64);

  at(index: number): number {
    return this.#numbers[index];
  }

  set(index: number, value: number): void {
    this.#numbers[index] = value;
  }

  /** The index of the new number. */
  push(value: number): number {
    if (this.length === this.#numbers.length) {
      const numbers = new Int32Array(this.length * 2);
      numbers.set(this.#numbers);
      this.#numbers = numbers;
    }
    this.#numbers[this.length] = value;
    return this.length++;
  }
}

/** FNV-1a with its high bits folded. It needs no key: the file's author chooses the names, clients do not. */
function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash ^ (hash >>> 15);
}
