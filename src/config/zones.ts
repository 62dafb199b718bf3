/**
 * Zones of a Corefile: domain names, or networks that stand for reverse zones (RFC 1035 3.5, RFC 3596 2.5), with a port
 * behind and a scheme before them. The results are in lower case and end in a dot.
 */
import { isIP } from 'node:net';
import { lowerCaseName, nameToWire, wireToName } from '../dns/names.js';
import { zonesPerBlockMax } from '../limits.js';
import { addressBytes } from '../os/addresses.js';
import { portNumber } from './addresses.js';
import { ConfigError, type Diagnostic, type Position, type ZoneAddress } from './config.js';
import type { Token } from './lexer.js';

/** The name in canonical form: lower case, closing dot, `\.` and `\DDD` where needed. Throws a ConfigError. */
export function readName(text: string, at: Position, path: string): string {
  try {
    return lowerCaseName(wireToName(nameToWire(text), 0));
  } catch (error) {
    throw new ConfigError(at, `${prefix(path)}${(error as Error).message}`);
  }
}

/** The zones of a name or network in a directive's arguments; a port or scheme is dropped, as in CoreDNS. */
export function readZones(token: Token, path: string): string[] {
  const { host } = splitKey(token, path);
  return zonesOf(host, token.at, path);
}

/** The zones and port of one key of a server block. */
export function readServerKey(token: Token, defaultPort: number, warnings: Diagnostic[]): ZoneAddress[] {
  const { host, port } = splitKey(token, '');
  if (port === undefined && isIP(host) === 6) throw new ConfigError(token.at, addressAsZone(token.text));
  if (isIP(host) === 4) warnings.push({ at: token.at, message: addressAsZone(token.text) });
  return zonesOf(host, token.at, '').map((zone) => ({ zone, port: port ?? defaultPort }));
}

function addressAsZone(text: string): string {
  return `"${text}" is read as a zone name; to listen on an address write "bind" in the block.`;
}

function splitKey(token: Token, path: string): { host: string; port: number | undefined } {
  const [, scheme, rest] = /^([a-z0-9]+):\/\/(.*)$/isu.exec(token.text) ?? [undefined, 'dns', token.text];
  const refused = (sentence: string): ConfigError => new ConfigError(token.at, `${prefix(path)}${sentence}`);
  if (scheme.toLowerCase() !== 'dns') throw refused(aboutScheme(scheme));
  const colon = rest.lastIndexOf(':');
  if (colon < 0 || isIP(rest) === 6) return { host: rest, port: undefined };
  const behind = rest.slice(colon + 1);
  if (behind === '') throw refused(`"${token.text}" ends in a colon; write the port after it.`);
  if (/\//u.test(behind)) return { host: rest, port: undefined };
  const port = portNumber(behind, 0);
  if (port === undefined) throw refused(`"${behind}" in "${token.text}" is not a port; write a number up to 65535.`);
  const host = rest.slice(0, colon);
  if (host === '') throw refused(`"${token.text}" has a port and no zone; write ".:${behind}" for every name.`);
  return { host, port };
}

/** See docs/decisions/no-encrypted-listeners.md. */
function aboutScheme(scheme: string): string {
  if (!['tls', 'https', 'https3', 'grpc', 'quic'].includes(scheme.toLowerCase())) {
    return `"${scheme}://" is not a DNS server scheme; write dns:// or remove it.`;
  }
  return (
    `${scheme}:// is not supported: zerohop listens on UDP and TCP only; remove it and its port ` +
    '(for encrypted clients use a proxy in front; write TLS upstreams in forward).'
  );
}

function zonesOf(host: string, at: Position, path: string): string[] {
  const [, address, bits] = /^(\d+(?:\.\d+)+|[0-9a-f:.]*:[0-9a-f:.]*)\/([^.]*)$/isu.exec(host) ?? [];
  if (address === undefined) return [readName(host, at, path)];
  const family = isIP(address);
  const prefixBits = /^\d{1,3}$/u.test(bits) ? Number(bits) : -1;
  if (family === 0 || prefixBits < 0 || prefixBits > (family === 4 ? 32 : 128)) {
    throw new ConfigError(at, `${prefix(path)}"${host}" is not a network; write one like 10.96.0.0/12 or fd00::/8.`);
  }
  const zones = family === 4 ? reverseZones4(address, prefixBits) : reverseZones6(address, prefixBits);
  if (zones.length > zonesPerBlockMax) throw new ConfigError(at, `${prefix(path)}"${host}" is too many zones.`);
  return zones;
}

/** The owner name of an address's PTR records (RFC 1035 3.5, RFC 3596 2.5). */
export function reverseName(address: string): string {
  return address.includes(':') ? reverseZones6(address, 128)[0] : reverseZones4(address, 32)[0];
}

/** A network between two octets becomes the reverse zones of the longer one: a /12 is sixteen /16. */
function reverseZones4(address: string, prefixBits: number): string[] {
  const octets = address.split('.').map(Number);
  return reverseZones(octets, prefixBits, 8, 'in-addr.arpa.', (octet) => String(octet));
}

function reverseZones6(address: string, prefixBits: number): string[] {
  const nibbles = [...addressBytes(address)].flatMap((byte) => [byte >> 4, byte & 15]);
  return reverseZones(nibbles, prefixBits, 4, 'ip6.arpa.', (nibble) => nibble.toString(16));
}

function reverseZones(
  digits: readonly number[],
  prefixBits: number,
  digitBits: number,
  apex: string,
  write: (digit: number) => string,
): string[] {
  const whole = Math.floor(prefixBits / digitBits);
  const fixed = digits.slice(0, whole).reverse().map(write);
  const restBits = prefixBits % digitBits;
  if (restBits === 0) return [[...fixed, apex].join('.')];
  const count = 2 ** (digitBits - restBits);
  const first = digits[whole] - (digits[whole] % count);
  return Array.from({ length: count }, (_, index) => [write(first + index), ...fixed, apex].join('.'));
}

function prefix(path: string): string {
  return path === '' ? '' : `${path}: `;
}
