/**
 * `tls [CERT KEY] [CA]` of `forward`: PEM files, which are read and understood with the Corefile. One that is missing,
 * half written or does not belong to the others is refused where it is named, and not by a handshake later.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { TlsSettings } from '../../outside/network.js';
import { whyUnusable } from '../../outside/tls.js';
import { type DirectiveContext, fail, words } from '../arguments.js';
import type { Directive } from '../corefile.js';
import { eachOf } from '../error.js';
import type { Token } from '../lexer.js';

type Material = Pick<TlsSettings, 'ca' | 'certificate' | 'key'>;

/** A PEM file that was read. */
interface PemFile {
  readonly option: Directive;
  readonly token: Token;
  readonly text: string;
}

/** As CoreDNS counts them: nothing, the CA, our certificate and key, or all three. */
export function readTls(option: Directive, { files }: DirectiveContext): Material {
  const read = eachOf(words(option, 0, 3, '[CERT KEY] [CA]'), (token): PemFile => {
    try {
      return { option, token, text: files.read(token.text) };
    } catch (error) {
      const why = (error as Error).message.replace(/\.$/u, '');
      return fail(option, `${token.text} cannot be read (${why}); name a PEM file that this user may read.`, token.at);
    }
  });
  const [certificate, key] = read.length < 2 ? [] : read;
  const ca = read.length === 1 ? read[0] : read[2];
  eachOf([ca, certificate], (file) => file && certificatesIn(file));
  if (certificate !== undefined && key !== undefined) mustBelong(certificate, key);
  const material = { ca: ca?.text ?? null, certificate: certificate?.text ?? null, key: key?.text ?? null };
  const why = read.length === 0 ? null : whyUnusable(material);
  if (why !== null) fail(option, `these files cannot be used for TLS (${why}); write others.`);
  return material;
}

function mustBelong(certificate: PemFile, key: PemFile): void {
  if (certificatesIn(certificate)[0].checkPrivateKey(keyIn(key))) return;
  const [one, other] = [key.token.text, certificate.token.text];
  fail(
    key.option,
    `the key in ${one} is not that of the first certificate in ${other}; name those that belong together.`,
  );
}

function certificatesIn({ option, token, text }: PemFile): X509Certificate[] {
  const marks = text.match(/-----(?:BEGIN|END) CERTIFICATE-----/gu) ?? [];
  if (marks.length === 0) {
    fail(
      option,
      `${token.text} has no certificate; name a PEM file with one ("-----BEGIN CERTIFICATE-----").`,
      token.at,
    );
  }
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/gu) ?? [];
  if (marks.length !== 2 * blocks.length) {
    fail(option, `${token.text} is cut off within a certificate; write all of it.`, token.at);
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch {
      return fail(option, `certificate ${index + 1} in ${token.text} is broken; write the file anew.`, token.at);
    }
  });
}

function keyIn({ option, token, text }: PemFile): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    const why = text.includes('ENCRYPTED') ? 'has a key with a passphrase' : 'has no private key, or half of one';
    return fail(option, `${token.text} ${why}; name a PEM file with the whole key and no passphrase.`, token.at);
  }
}
