/**
 * The text of a hosts file as a table of names: whose addresses, and for addresses by their reverse names (RFC 1035
 * 3.5, RFC 3596 2.5) which names. Lines that say nothing useful are passed over, as every reader of such files does.
 * It knows no questions and no files.
 */
import { canonicalAddress } from '../../config/addresses.js';
import { reverseName } from '../../config/zones.js';
import { isInZone, lowerCaseName, nameToWire, wireToName } from '../../dns/names.js';
import { nameBytesMax } from '../../limits.js';
import { type HostsEntry, HostsIndex } from './index-of-names.js';

/** By lower-case name with the closing dot; `*.example.org.` stands for one more label. */
export type HostsTable = Pick<HostsIndex, 'find' | 'names' | 'size' | 'entries' | 'leftOut'>;

interface HostsScope {
  /** Names outside these zones are not taken. */
  readonly zones: readonly string[];
  /** Whether addresses lead back to their names. */
  readonly reverse: boolean;
}

interface Address {
  readonly kind: 0 | 1;
  readonly text: string;
}

const none: HostsEntry = { a: [], aaaa: [], ptr: [] };

/** Well below a millisecond of work. */
const wordsPerSlice = 100;
/** The longest word that may be a name: 255 characters, each as `\\DDD`. */
const wordCharactersMax = 1_020;

/** The table that the text means for these zones, at once. */
export function parseHosts(text: string, scope: HostsScope): HostsTable {
  const slices = parseHostsInSlices([text], scope);
  let slice = slices.next();
  while (slice.done !== true) slice = slices.next();
  return slice.value;
}

/** The same of a text in pieces, which part no word, some words a slice: the largest takes seconds, in which others would wait. */
export function* parseHostsInSlices(
  pieces: Iterable<string>,
  { zones, reverse }: HostsScope,
): Generator<void, HostsTable> {
  const index = new HostsIndex();
  let last: Address | undefined;
  let lastText = 0;
  let lastReverse = '';
  let count = 0;
  for (const { word, address } of wordsOf(pieces)) {
    if (++count % wordsPerSlice === 0) yield;
    const name = address === undefined ? undefined : readHostName(word);
    if (address === undefined || name === undefined || !zones.some((zone) => isInZone(name, zone))) continue;
    if (address !== last) {
      last = address;
      lastText = index.address(address.text);
      lastReverse = reverse ? reverseName(address.text) : '';
    }
    index.addAddress(name, address.kind, lastText);
    if (reverse && !name.startsWith('*.')) index.addReverse(lastReverse, name);
  }
  return index;
}

/** Each word, and the address that its line begins with; that itself, and words behind what is none, without. */
function* wordsOf(
  pieces: Iterable<string>,
): Generator<{ readonly word: string; readonly address: Address | undefined }> {
  let address: Address | undefined;
  let isFirst = true;
  let isComment = false;
  for (const text of pieces) {
    const token = /\n|#|[^\s#]+/gu;
    for (;;) {
      if (isComment) {
        const end = text.indexOf('\n', token.lastIndex);
        if (end < 0) break;
        token.lastIndex = end;
        isComment = false;
      }
      const [word] = token.exec(text) ?? [];
      if (word === undefined) break;
      if (word === '#') isComment = true;
      else if (word === '\n') isFirst = true;
      else if (isFirst) {
        isFirst = false;
        address = word.length > wordCharactersMax ? undefined : readAddress(word);
        yield { word, address: undefined };
      } else yield { word, address };
    }
  }
}

/** What is known of a name (lower-case, with the closing dot): by itself, or by the wildcard in its first label's place. */
export function findHost(table: HostsTable, name: string): HostsEntry {
  const own = table.find(name);
  if (own !== undefined) return own;
  const [, parent] = /^(?:[^\\.]|\\.)+(\..*)$/u.exec(name) ?? [];
  return (parent === undefined ? undefined : table.find(`*${parent}`)) ?? none;
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
  if (mapped !== undefined) return { kind: 0, text: mapped };
  return { kind: text.includes(':') ? 1 : 0, text };
}

/** What most names are: nothing in it is written in another way. */
const plainName = /^(?:[\w*-]{1,63}\.)*[\w*-]{1,63}$/u;

function readHostName(written: string): string | undefined {
  if (written.length < nameBytesMax - 1 && plainName.test(written)) return `${written.toLowerCase()}.`;
  if (written.length > wordCharactersMax) return undefined;
  try {
    return lowerCaseName(wireToName(nameToWire(written), 0));
  } catch {
    return undefined;
  }
}
