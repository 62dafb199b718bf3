/**
 * Names, types, classes and rcodes between text (RFC 1035 5.1, RFC 4343 2.1) and wire (RFC 1035 3.1, 4.1.4), for
 * configuration, logs and our own records. The packet path compares wire bytes and does not use this.
 */
import { labelBytesMax, nameBytesMax } from '../limits.js';

const dot = 0x2e;
const backslash = 0x5c;

/**
 * The uncompressed wire form of a name in text. `\.`, `\\` and `\DDD` are escapes, the closing dot is optional,
 * characters outside ASCII become UTF-8, case stays. Throws an Error with one sentence on an empty name or label, a
 * broken escape, a label over 63 bytes, a name over 255.
 */
export function nameToWire(text: string): Uint8Array {
  if (text === '.') return new Uint8Array(1);
  if (text === '') throw new Error('The empty text is not a domain name; the root is written as a dot.');
  const written = Buffer.from(text, 'utf8');
  // A label takes at most one byte more than its dot: rejects what cannot fit before copying.
  if (written.length > 4 * nameBytesMax) throw tooLong(text);
  const wire = new Uint8Array(written.length + 2);
  let labelAt = 0;
  let end = 1;
  for (let at = 0; at < written.length; at++) {
    const byte = written[at];
    if (byte !== dot) {
      wire[end++] = byte === backslash ? escapedByte(written, at, text) : byte;
      if (byte === backslash) at += isDigit(written[at + 1]) ? 3 : 1;
      continue;
    }
    closeLabel(wire, labelAt, end, text);
    labelAt = end++;
  }
  if (end - labelAt > 1) {
    closeLabel(wire, labelAt, end, text);
    end++;
  }
  if (end > nameBytesMax) throw tooLong(text);
  return wire.slice(0, end);
}

/**
 * The name at `offset` of a message as text with its closing dot; case stays, compression pointers may only lead
 * backwards. Special characters become `\.`, bytes outside printable ASCII `\DDD`, as in CoreDNS. Throws an Error on a
 * malformed name; pass only parsed ones.
 */
export function wireToName(packet: Uint8Array, offset: number): string {
  let name = '';
  let wireBytes = 1;
  let at = offset;
  let before = offset; // a pointer must lead to before the labels it ends
  for (;;) {
    if (at >= packet.length) throw new Error(`The name at byte ${offset} runs past the end of the message.`);
    const length = packet[at];
    if (length === 0) return name === '' ? '.' : name;
    if (length >= 0xc0) {
      const target = at + 1 < packet.length ? ((length & 0x3f) << 8) | packet[at + 1] : before;
      if (target >= before) throw new Error(`The name at byte ${offset} has a compression pointer that leads nowhere.`);
      at = target;
      before = target;
      continue;
    }
    if (length > labelBytesMax) throw new Error(`The name at byte ${offset} has a label of an unknown kind.`);
    wireBytes += length + 1;
    if (wireBytes > nameBytesMax) throw new Error(`The name at byte ${offset} is longer than ${nameBytesMax} bytes.`);
    if (at + 1 + length > packet.length)
      throw new Error(`The name at byte ${offset} runs past the end of the message.`);
    for (let end = ++at + length; at < end; at++) name += characters[packet[at]];
    name += '.';
  }
}

/** ASCII only (RFC 4343 3); `toLowerCase` would also fold other alphabets. */
export function lowerCaseName(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Whether a name in text is the zone or below it, ignoring case and closing dots. */
export function isInZone(name: string, zone: string): boolean {
  const wanted = closed(lowerCaseName(zone));
  if (wanted === '.') return true;
  const given = closed(lowerCaseName(name));
  if (!given.endsWith(wanted)) return false;
  return given.length === wanted.length || endsInDot(given.slice(0, -wanted.length));
}

/** `A`, `AAAA`, …; `TYPE123` for an unknown type (RFC 3597 5). */
export function typeName(type: number): string {
  return typeNames.get(type) ?? `TYPE${type}`;
}

/** Reads `A`, `aaaa`, `TYPE123`; undefined for other text. */
export function typeNumber(text: string): number | undefined {
  return typeNumbers.get(text.toUpperCase()) ?? numberAfter('TYPE', text, 65535);
}

/** `IN`, `CH`, `HS`, `NONE`, `ANY`; `CLASS123` for others (RFC 3597 5). */
export function className(number: number): string {
  return classNames.get(number) ?? `CLASS${number}`;
}

/** Reads `IN`, `ch`, `CLASS123`; undefined for other text. */
export function classNumber(text: string): number | undefined {
  return classNumbers.get(text.toUpperCase()) ?? numberAfter('CLASS', text, 65535);
}

/** `NOERROR`, `NXDOMAIN`, …; the decimal number for unknown rcodes. 16 is BADVERS, as in an OPT (RFC 6891 9). */
export function rcodeName(rcode: number): string {
  return rcodeNames.get(rcode) ?? String(rcode);
}

/** Reads `NOERROR`, `nxdomain`, `BADSIG`, `23`, `RCODE23` (12 bits); undefined for other text. */
export function rcodeNumber(text: string): number | undefined {
  const upper = text.toUpperCase();
  if (upper === 'BADSIG') return 16; // the name of 16 in a TSIG (RFC 8945 3)
  if (upper === 'NOTIMPL') return 4; // as it is often written, in CoreDNS too
  return rcodeNumbers.get(upper) ?? numberAfter('', text, 4095) ?? numberAfter('RCODE', text, 4095);
}

function escapedByte(written: Uint8Array, at: number, text: string): number {
  if (!isDigit(written[at + 1])) {
    if (at + 1 < written.length) return written[at + 1];
    throw new Error(`"${text}" ends in a lone backslash; write \\\\ for a backslash.`);
  }
  const value = (written[at + 1] - 0x30) * 100 + (written[at + 2] - 0x30) * 10 + (written[at + 3] - 0x30);
  if (isDigit(written[at + 2]) && isDigit(written[at + 3]) && value <= 255) return value;
  throw new Error(`"${text}" has a broken escape; write \\DDD with three digits, from \\000 to \\255.`);
}

function closeLabel(wire: Uint8Array, labelAt: number, end: number, text: string): void {
  const length = end - labelAt - 1;
  if (length === 0) throw new Error(`"${text}" has an empty label; write one dot between labels.`);
  if (length > labelBytesMax)
    throw new Error(`"${text}" has a label of ${length} bytes; ${labelBytesMax} are allowed.`);
  wire[labelAt] = length;
}

function tooLong(text: string): Error {
  return new Error(`"${text.slice(0, 40)}…" is longer than ${nameBytesMax} bytes; no domain name is.`);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function closed(name: string): string {
  return endsInDot(name) ? name : `${name}.`;
}

/** Whether the text ends in a dot behind an even number of backslashes. */
export function endsInDot(text: string): boolean {
  const [, backslashes] = /(\\*)\.$/.exec(text) ?? [];
  return backslashes !== undefined && backslashes.length % 2 === 0;
}

function numberAfter(prefix: string, text: string, max: number): number | undefined {
  if (!text.toUpperCase().startsWith(prefix)) return undefined;
  const digits = text.slice(prefix.length);
  return /^\d{1,5}$/.test(digits) && Number(digits) <= max ? Number(digits) : undefined;
}

const characters = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if (`. '@;()"\\`.includes(character)) return `\\${character}`;
  return byte > 0x20 && byte < 0x7f ? character : `\\${String(byte).padStart(3, '0')}`;
});

// IANA, "Domain Name System (DNS) Parameters", by number from 1, gaps named by number.
const typeNames = numbered({
  1: 'A NS MD MF CNAME SOA MB MG MR NULL WKS PTR HINFO MINFO MX TXT RP AFSDB X25 ISDN RT NSAP NSAP-PTR SIG KEY PX GPOS AAAA LOC NXT EID NIMLOC SRV ATMA NAPTR KX CERT A6 DNAME SINK OPT APL DS SSHFP IPSECKEY RRSIG NSEC DNSKEY DHCID NSEC3 NSEC3PARAM TLSA SMIMEA',
  55: 'HIP NINFO RKEY TALINK CDS CDNSKEY OPENPGPKEY CSYNC ZONEMD SVCB HTTPS DSYNC',
  99: 'SPF UINFO UID GID UNSPEC NID L32 L64 LP EUI48 EUI64',
  249: 'TKEY TSIG IXFR AXFR MAILB MAILA ANY URI CAA AVC DOA AMTRELAY RESINFO WALLET CLA IPN',
  32768: 'TA DLV',
});
const classNames = numbered({ 1: 'IN', 3: 'CH HS', 254: 'NONE ANY' });
const rcodeNames = numbered({
  0: 'NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED YXDOMAIN YXRRSET NXRRSET NOTAUTH NOTZONE DSOTYPENI',
  16: 'BADVERS BADKEY BADTIME BADMODE BADNAME BADALG BADTRUNC BADCOOKIE',
});
const typeNumbers = inverse(typeNames);
const classNumbers = inverse(classNames);
const rcodeNumbers = inverse(rcodeNames);

function numbered(runs: Readonly<Record<number, string>>): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const [first, run] of Object.entries(runs)) {
    run.split(' ').forEach((name, index) => {
      names.set(Number(first) + index, name);
    });
  }
  return names;
}

function inverse(names: ReadonlyMap<number, string>): ReadonlyMap<string, number> {
  return new Map([...names].map(([number, name]) => [name, number]));
}

/** The wire form; null for text that is no name. */
export function wireOf(name: string): Uint8Array | null {
  try {
    return nameToWire(name);
  } catch {
    return null;
  }
}

/** The longest of the zones that contain the name. */
export function closestZone(zones: readonly string[], name: string): string | undefined {
  let closest: string | undefined;
  for (const zone of zones) {
    if (isInZone(name, zone) && (closest === undefined || zone.length > closest.length)) closest = zone;
  }
  return closest;
}
