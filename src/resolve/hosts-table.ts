/**
 * The text of a hosts file as a table of names: whose addresses, and for addresses by their reverse names (RFC 1035
 * 3.5, RFC 3596 2.5) which names. Lines that say nothing useful are passed over, as every reader of such files does.
 * It knows no questions and no files.
 */
import { canonicalAddress } from '../config/addresses.js';
import { reverseName } from '../config/zones.js';
import { isInZone, lowerCaseName, nameToWire, wireToName } from '../dns/names.js';
import { hostsNamesMax, hostsRecordsPerNameMax } from '../limits.js';

/** What is known of one name; addresses in presentation form, names lower-case with the closing dot. */
export interface HostsEntry {
  readonly a: readonly string[];
  readonly aaaa: readonly string[];
  readonly ptr: readonly string[];
}

export interface HostsTable {
  /** By lower-case name with the closing dot; `*.example.org.` stands for one more label. */
  readonly names: ReadonlyMap<string, HostsEntry>;
  /** Addresses and reverse names together, as coredns_hosts_entries counts them. */
  readonly entries: number;
  /** Not taken: more names, or more records of one name, than limits.ts allows. */
  readonly leftOut: number;
}

export interface HostsScope {
  /** Names outside these zones are not taken. */
  readonly zones: readonly string[];
  /** Whether addresses lead back to their names. */
  readonly reverse: boolean;
}

interface Address {
  readonly type: 'a' | 'aaaa';
  readonly text: string;
}

const none: HostsEntry = { a: [], aaaa: [], ptr: [] };

/** A millisecond or two of work. */
const linesPerTurn = 500;

/** The table that the text means for these zones, at once. */
export function parseHosts(text: string, scope: HostsScope): HostsTable {
  const turns = parseHostsInTurns(text, scope);
  let turn = turns.next();
  while (turn.done !== true) turn = turns.next();
  return turn.value;
}

/** The same, a few lines a turn: a text of the largest size takes a second, in which others would wait. */
export function* parseHostsInTurns(text: string, { zones, reverse }: HostsScope): Generator<void, HostsTable> {
  const names = new Map<string, Record<keyof HostsEntry, string[]>>();
  let entries = 0;
  let leftOut = 0;
  const add = (name: string, type: keyof HostsEntry, value: string): void => {
    const entry = names.get(name) ?? { a: [], aaaa: [], ptr: [] };
    if (names.size >= hostsNamesMax && !names.has(name)) leftOut++;
    else if (entry[type].length >= hostsRecordsPerNameMax) leftOut++;
    else {
      entry[type].push(value);
      names.set(name, entry);
      entries++;
    }
  };
  let lines = 0;
  for (let at = 0, end = 0; at <= text.length; at = end + 1) {
    if (++lines % linesPerTurn === 0) yield;
    end = text.indexOf('\n', at);
    if (end < 0) end = text.length;
    const line = text.slice(at, end);
    const [first, ...rest] = line.replace(/#.*$/su, '').trim().split(/\s+/u);
    const address = readAddress(first);
    if (address === undefined) continue;
    for (const written of rest) {
      const name = readHostName(written);
      if (name === undefined || !zones.some((zone) => isInZone(name, zone))) continue;
      add(name, address.type, address.text);
      if (reverse && !name.startsWith('*.')) add(reverseName(address.text), 'ptr', name);
    }
  }
  return { names, entries, leftOut };
}

/** What is known of a name (lower-case, with the closing dot): by itself, or by the wildcard in its first label's place. */
export function findHost({ names }: HostsTable, name: string): HostsEntry {
  const own = names.get(name);
  if (own !== undefined) return own;
  const [, parent] = /^(?:[^\\.]|\\.)+(\..*)$/u.exec(name) ?? [];
  return (parent === undefined ? undefined : names.get(`*${parent}`)) ?? none;
}

/** Whether two tables know the same of a name. */
export function knowAlike(one: HostsTable, other: HostsTable, name: string): boolean {
  return JSON.stringify(findHost(one, name)) === JSON.stringify(findHost(other, name));
}

/** A scope behind the address means nothing to others; an IPv4 address in an IPv6 one is that address. */
function readAddress(word: string): Address | undefined {
  const text = canonicalAddress(word.replace(/%.*$/u, ''));
  if (text === undefined) return undefined;
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/u.exec(text) ?? [];
  if (mapped !== undefined) return { type: 'a', text: mapped };
  return { type: text.includes(':') ? 'aaaa' : 'a', text };
}

function readHostName(written: string): string | undefined {
  try {
    return lowerCaseName(wireToName(nameToWire(written), 0));
  } catch {
    return undefined;
  }
}
