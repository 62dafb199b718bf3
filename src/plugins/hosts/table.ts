/**
 * The text of a hosts file as a table: addresses by name, and names by reverse name (RFC 1035 3.5, RFC 3596 2.5). Invalid lines
 * are skipped, as every reader of such files does.
 */
import { canonicalAddress } from '../../config/addresses.js';
import { reverseName } from '../../config/zones.js';
import { isInZone, lowerCaseName, nameToWire, wireToName } from '../../dns/names.js';
import { nameBytesMax } from '../../limits.js';
import { type HostsEntry, HostsIndex } from './index-of-names.js';

/** By lower-case name with the closing dot; `*.example.org.` matches one more label. */
export type HostsTable = Pick<HostsIndex, 'find' | 'names' | 'size' | 'entries' | 'leftOut'>;

interface HostsScope {
  /** Only names in these zones are taken. */
  readonly zones: readonly string[];
  /** Addresses get PTR records. */
  readonly reverse: boolean;
}

interface Address {
  readonly kind: 0 | 1;
  readonly text: string;
}

const noEntry: HostsEntry = { a: [], aaaa: [], ptr: [] };

/** Well below a millisecond of work. */
const wordsPerSlice = 100;
/** The longest word that may be a name: 255 characters, each as `\\DDD`. */
const wordCharactersMax = 1_020;

/** Parses the text at once. */
export function parseHosts(text: string, scope: HostsScope): HostsTable {
  const slices = parseHostsInSlices([text], scope);
  let slice = slices.next();
  while (slice.done !== true) slice = slices.next();
  return slice.value;
}

/** Parses a text in pieces that end between words, in slices: the largest takes seconds, in which clients would wait. */
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

/** Each word with the address that begins its line; undefined for that address itself and behind an invalid one. */
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
        address = word.length > wordCharactersMax ? undefined : readHostAddress(word);
        yield { word, address: undefined };
      } else yield { word, address };
    }
  }
}

/** The records of a name (lower case, closing dot): its own, or those of the wildcard for its first label. */
export function findHost(table: HostsTable, name: string): HostsEntry {
  const own = table.find(name);
  if (own !== undefined) return own;
  const [, parent] = /^(?:[^\\.]|\\.)+(\..*)$/u.exec(name) ?? [];
  return (parent === undefined ? undefined : table.find(`*${parent}`)) ?? noEntry;
}

/** Whether both tables have the same records for a name. */
export function knowAlike(one: HostsTable, other: HostsTable, name: string): boolean {
  return JSON.stringify(findHost(one, name)) === JSON.stringify(findHost(other, name));
}

/** The address without its scope; an IPv4-mapped address is the IPv4 address. */
function readHostAddress(word: string): Address | undefined {
  const text = canonicalAddress(word.replace(/%.*$/u, ''));
  if (text === undefined) return undefined;
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/u.exec(text) ?? [];
  if (mapped !== undefined) return { kind: 0, text: mapped };
  return { kind: text.includes(':') ? 1 : 0, text };
}

/** Most names need no unescaping. */
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
