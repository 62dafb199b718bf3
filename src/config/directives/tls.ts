/**
 * `tls [CERT KEY] [CA]` of `forward`: PEM files, which are read and understood with the Corefile. One that is missing,
 * half written or does not belong to the others is refused where it is named, and not by a handshake later. They are
 * looked at as bytes, which are overwritten afterwards: any of them may have a key in it, and text in JavaScript stays
 * in its heap for as long as the collector likes.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { TlsMaterial } from '../../os/network.js';
import { newTlsMaterial } from '../../os/tls.js';
import { type DirectiveContext, fail, words } from '../arguments.js';
import { eachOf } from '../config.js';
import type { Directive } from '../corefile.js';
import type { Token } from '../lexer.js';

/** A PEM file that was read. */
interface PemFile {
  readonly option: Directive;
  readonly token: Token;
  readonly bytes: Buffer;
}

/** As CoreDNS counts them: nothing, the CA, our certificate and key, or all three. Null is nothing. */
export function readTls(option: Directive, { files }: DirectiveContext): TlsMaterial | null {
  const read: PemFile[] = [];
  try {
    eachOf(words(option, 0, 3, '[CERT KEY] [CA]'), (token) => {
      read.push({ option, token, bytes: bytesOf(option, token, files) });
    });
    return read.length === 0 ? null : materialOf(option, read);
  } finally {
    for (const { bytes } of read) bytes.fill(0);
  }
}

function bytesOf(option: Directive, token: Token, files: DirectiveContext['files']): Buffer {
  try {
    return files.readBytes(token.text);
  } catch (error) {
    const why = (error as Error).message.replace(/\.$/u, '');
    return fail(option, `${token.text} cannot be read (${why}); name a PEM file that this user can read.`, token.at);
  }
}

function materialOf(option: Directive, read: readonly PemFile[]): TlsMaterial {
  const [certificate, key] = read.length < 2 ? [] : read;
  const ca = read.length === 1 ? read[0] : read[2];
  eachOf([ca, certificate], (file) => file && certificatesIn(file));
  if (certificate !== undefined && key !== undefined) mustBelong(certificate, key);
  try {
    return newTlsMaterial({
      ca: ca?.bytes ?? null,
      certificate: certificate?.bytes ?? null,
      key: key?.bytes ?? null,
    });
  } catch (error) {
    return fail(option, `these files are not usable for TLS (${(error as Error).message}).`);
  }
}

function mustBelong(certificate: PemFile, key: PemFile): void {
  if (certificatesIn(certificate)[0].checkPrivateKey(keyIn(key))) return;
  const [one, other] = [key.token.text, certificate.token.text];
  fail(key.option, `the key in ${one} does not match the first certificate in ${other}; name a matching pair.`);
}

const beginMark = '-----BEGIN CERTIFICATE-----';
const endMark = '-----END CERTIFICATE-----';

function certificatesIn({ option, token, bytes }: PemFile): X509Certificate[] {
  const [begins, ends] = [placesOf(beginMark, bytes), placesOf(endMark, bytes)];
  if (begins.length + ends.length === 0) {
    fail(option, `${token.text} has no certificate; name a PEM file with one ("${beginMark}").`, token.at);
  }
  // Each ends before the next one begins.
  const isWhole =
    begins.length === ends.length &&
    begins.every((begin, index) => begin < ends[index] && ends[index] < (begins[index + 1] ?? bytes.length));
  if (!isWhole) fail(option, `${token.text} is truncated within a certificate; write the whole file.`, token.at);
  return begins.map((begin, index) => {
    try {
      return new X509Certificate(bytes.subarray(begin, ends[index] + endMark.length));
    } catch {
      return fail(option, `certificate ${index + 1} in ${token.text} is broken; replace the file.`, token.at);
    }
  });
}

/** Where `mark` begins in these bytes. */
function placesOf(mark: string, bytes: Buffer): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length)) places.push(at);
  return places;
}

function keyIn({ option, token, bytes }: PemFile): KeyObject {
  try {
    return createPrivateKey(bytes);
  } catch {
    const why = bytes.includes('ENCRYPTED') ? 'has a key with a passphrase' : 'has no complete private key';
    return fail(option, `${token.text} ${why}; name a PEM file with the whole key and no passphrase.`, token.at);
  }
}
