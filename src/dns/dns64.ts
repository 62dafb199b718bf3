/** DNS64 (RFC 6147 5): usable AAAA records of an answer, and AAAA records from A records (RFC 6052 2.2). */
import type { Normalised, Normaliser } from './normalise.js';
import { fixedBytes, ownerEnd, sectionsOf } from './sections.js';
import { rcodeNoError, rcodeNxDomain, setU16, setU32, typeA, typeAaaa, typeRrsig, u16, u32 } from './wire.js';

interface Prefix {
  /** Sixteen, of which the prefix's count. */
  readonly bytes: ArrayLike<number>;
  readonly prefixBits: number;
}

export interface AddressFinding {
  /** `mapped`: some AAAA records are IPv4-mapped addresses. */
  readonly kind: 'addresses' | 'mapped' | 'none' | 'no such name' | 'failed';
  /** The longest TTL for translations, from this answer (RFC 6147 5.1.7). */
  readonly ttlSecondsMax: number;
  readonly truncated: boolean;
  /** The answer section, uncompressed. */
  readonly records: readonly Uint8Array[];
}

/** Without a SOA in the negative answer (RFC 6147 5.1.7). */
const ttlSecondsWithoutSoa = 600;

/** Reads the answer to an A or AAAA question. Borrows both arguments; the records are copies. */
export function addressesIn(message: Uint8Array, normaliser: Normaliser): AddressFinding {
  const records = normaliser.read(message) ? sectionsOf(message)?.answers : undefined;
  if (records === undefined) {
    return { kind: 'failed', ttlSecondsMax: ttlSecondsWithoutSoa, truncated: false, records: [] };
  }
  const { out } = normaliser;
  const negative = out.rcode === rcodeNoError && out.negativeTtlSeconds >= 0;
  return {
    kind: findingKind(out, records),
    ttlSecondsMax: negative ? out.negativeTtlSeconds : ttlSecondsWithoutSoa,
    truncated: out.truncated,
    records,
  };
}

/** RFC 6147 5.1.2 treats other rcodes as no records; `failed` tells them apart because they may be temporary. */
function findingKind({ rcode, relevant }: Normalised, records: readonly Uint8Array[]): AddressFinding['kind'] {
  if (rcode === rcodeNxDomain) return 'no such name';
  if (rcode !== rcodeNoError) return 'failed';
  if (!relevant) return 'none';
  const left = withoutMapped(records);
  if (left.length === records.length) return 'addresses';
  return left.some((record) => recordType(record) === typeAaaa) ? 'mapped' : 'none';
}

/** Without AAAA records in ::ffff:0:0/96 (RFC 6147 5.1.4). */
export function withoutMapped(records: readonly Uint8Array[]): Uint8Array[] {
  return records.filter(
    (record) => recordType(record) !== typeAaaa || !isMappedRecord(record.subarray(record.length - 16)),
  );
}

function isMappedRecord(address: Uint8Array): boolean {
  for (let index = 0; index < 10; index++) if (address[index] !== 0) return false;
  return address[10] === 0xff && address[11] === 0xff;
}

/** Replaces each A by an AAAA; drops RRSIGs of A records. */
export function translated(records: readonly Uint8Array[], prefix: Prefix, ttlSecondsMax: number): Uint8Array[] {
  return records.flatMap((record) => {
    const type = recordType(record);
    const dataAt = ownerEnd(record) + fixedBytes;
    if (type === typeRrsig && u16(record, dataAt) === typeA) return [];
    if (type !== typeA) return type === typeAaaa ? [] : [record];
    const made = new Uint8Array(dataAt + 16);
    made.set(record.subarray(0, dataAt));
    setU16(made, dataAt - 10, typeAaaa);
    setU32(made, dataAt - 6, Math.min(u32(record, dataAt - 6), ttlSecondsMax));
    setU16(made, dataAt - 2, 16);
    made.set(embedded(prefix, record.subarray(dataAt)), dataAt);
    return [made];
  });
}

/** The prefix, then the IPv4 address around byte 8, which is always 0 (RFC 6052 2.2). */
export function embedded({ bytes, prefixBits }: Prefix, address: Uint8Array): Uint8Array {
  const made = new Uint8Array(16);
  const prefixBytes = prefixBits / 8;
  for (let index = 0; index < prefixBytes; index++) made[index] = bytes[index];
  let at = prefixBytes;
  for (const byte of address) {
    if (at === 8) at++;
    made[at++] = byte;
  }
  return made;
}

function recordType(record: Uint8Array): number {
  return u16(record, ownerEnd(record));
}
