/** Types with names in their data. A copy must rewrite these, because compression pointers refer to their message. */

interface NamesInData {
  /** Bytes before the first name or character string. */
  readonly skip: number;
  /** Character strings before the names (RFC 1035 3.3). */
  readonly strings: number;
  readonly names: number;
  /** Whether they may be compressed when sent (RFC 3597 4: types of RFC 1035 only; accepted for all). */
  readonly compress: 'may' | 'never';
}

const may = (skip: number, names: number): NamesInData => ({ skip, strings: 0, names, compress: 'may' });
const uncompressed = (skip: number, names: number): NamesInData => ({ skip, strings: 0, names, compress: 'never' });

export const typeSrv = 33;
export const typeMx = 15;
export const typeNaptr = 35;

const byType: Readonly<Record<number, NamesInData>> = {
  2: may(0, 1), // NS
  3: may(0, 1), // MD
  4: may(0, 1), // MF
  5: may(0, 1), // CNAME
  6: may(0, 2), // SOA
  7: may(0, 1), // MB
  8: may(0, 1), // MG
  9: may(0, 1), // MR
  12: may(0, 1), // PTR
  14: may(0, 2), // MINFO
  [typeMx]: may(2, 1),
  17: uncompressed(0, 2), // RP
  18: uncompressed(2, 1), // AFSDB
  21: uncompressed(2, 1), // RT
  26: uncompressed(2, 2), // PX
  [typeSrv]: uncompressed(6, 1),
  [typeNaptr]: { skip: 4, strings: 3, names: 1, compress: 'never' },
  36: uncompressed(2, 1), // KX
  39: uncompressed(0, 1), // DNAME
};

/** Without holes, because every record looks it up. */
const table = Array.from({ length: 40 }, (_, type) => byType[type] ?? null);

/** Null for types without names, and unknown types. */
export function namesIn(type: number): NamesInData | null {
  return type < table.length ? table[type] : null;
}

/** The offset of the first name in the data from `at` to `end`; -1 without one. */
export function firstNameAt(message: Uint8Array, at: number, end: number, { skip, strings }: NamesInData): number {
  let position = at + skip;
  for (let left = strings; left > 0; left--) {
    if (position >= end) return -1;
    position += message[position] + 1;
  }
  return position < end ? position : -1;
}
