import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { check } from '../../../src/config/check.js';
import { ConfigError } from '../../../src/config/config.js';
import { readFlags } from '../../../src/config/flag-reader.js';
import { parseConfig } from '../../../src/config/load.js';
import { serveOptions } from '../../../src/config/serve-options.js';
import { newAuthority, openssl, textsOf } from '../../os/certificates.js';
import { needs } from '../../real/commands.js';
import { configOf, testOptions } from '../options.js';

describe('tls', { skip: needs('openssl') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-pem-'));
  const files: Record<string, string> = {};
  const corefile = (words: string) => `. {\nforward . tls://10.0.0.1 {\ntls ${words}\n}\n}\n`;
  const tlsOf = (words: string) => configOf(corefile(words), files).blocks[0].forwards[0].tls;

  before(() => {
    const authority = newAuthority(folder, 'ca');
    const [one, other] = [authority.issue('one.test'), authority.issue('other.test')];
    const [ca, cert, key, otherCert, otherKey] = textsOf(
      ...[authority.certificate, one.certificate, one.key, other.certificate, other.key],
    );
    const weak = join(folder, 'weak');
    openssl('req', '-x509', '-newkey', 'rsa:512', '-nodes', '-subj', '/CN=w', '-keyout', `${weak}.key`, '-out', weak);
    const [weakCert, weakKey] = textsOf(weak, `${weak}.key`);
    const locked = openssl('ec', '-in', one.key, '-aes128', '-passout', 'pass:secret');
    Object.assign(files, {
      ...{ '/ca': ca, '/cert': cert, '/key': key, '/other.key': otherKey, '/weak': weakCert, '/weak.key': weakKey },
      ...{ '/bundle': `# two\n${ca}\n${otherCert}`, '/chain': cert + ca, '/locked.key': locked },
      ...{ '/empty': '', '/half': ca.slice(0, ca.length / 2), '/half.key': key.slice(0, key.length / 2) },
      ...{
        '/second-half': ca + otherCert.slice(0, 200),
        '/broken': ca.replace(/^MII.{12}/mu, (x) => 'A'.repeat(x.length)),
      },
    });
  });
  after(() => rmSync(folder, { recursive: true }));

  it('is nothing, a CA, certificate and key, or all three; chains and bundles too', () => {
    assert.deepEqual(tlsOf(''), { serverName: null, material: null });
    const all = ['/ca', '/bundle', '/cert /key', '/chain /key', '/chain /key /ca'];
    const digests = all.map((words) => tlsOf(words).material?.digest);
    assert.ok(digests.every((digest) => digest !== undefined));
    assert.equal(new Set(digests).size, all.length);
    assert.deepEqual(
      all.map((words) => tlsOf(words).material?.digest),
      digests,
    );
  });

  it('leaves nothing of what it has read behind, also where it is refused', () => {
    const read: Buffer[] = [];
    const { files: inMemory, ...options } = testOptions(files);
    const readBytes = (file: string): Buffer => {
      const bytes = inMemory.readBytes(file);
      read.push(bytes);
      return bytes;
    };
    const parse = (words: string) =>
      parseConfig(corefile(words), 'Corefile', { ...options, files: { ...inMemory, readBytes } });
    assert.doesNotMatch(JSON.stringify(parse('/cert /key /ca')), /-----/u);
    for (const words of ['/cert /other.key', '/key /gone', '/cert /locked.key']) assert.throws(() => parse(words));
    assert.equal(read.length, 8);
    assert.ok(read.every((bytes) => bytes.length > 0 && bytes.every((byte) => byte === 0)));
  });

  it('has its files looked at as the Corefile is', () => {
    assert.deepEqual(configOf(corefile('/cert /key /ca'), files).files, ['/cert', '/key', '/ca']);
  });

  const refused: Record<string, RegExp> = {
    '/gone': /^\/gone cannot be read \(no such file: \/gone\); name a PEM file that this user can read\.$/u,
    '/empty': /^\/empty has no certificate; name a PEM file with one/u,
    '/key': /^\/key has no certificate;/u,
    '/half': /^\/half is truncated within a certificate; write the whole file\.$/u,
    '/second-half': /^\/second-half is truncated within a certificate;/u,
    '/broken': /^certificate 1 in \/broken is broken; replace the file\.$/u,
    '/cert /other.key': /^the key in \/other\.key does not match the first certificate in \/cert; name a/u,
    '/chain /ca': /^\/ca has no complete private key;/u,
    '/cert /half.key /ca': /^\/half\.key has no complete private key;/u,
    '/cert /locked.key': /^\/locked\.key has a key with a passphrase;/u,
    '/weak /weak.key': /^these files are not usable for TLS \(.*key too small\)\.$/u,
    '/cert /key /ca /ca': /^expects \[CERT KEY\] \[CA\]; remove "\/ca"/u,
  };
  for (const [words, sentence] of Object.entries(refused)) {
    it(`refuses ${words}, with its line`, () => {
      assert.throws(
        () => tlsOf(words),
        (error) => {
          assert.ok(error instanceof ConfigError, String(error));
          assert.equal(error.at.line, 3);
          assert.match(error.sentence.replace('forward tls: ', ''), sentence);
          return true;
        },
      );
    });
  }

  it('has every file that is wrong found, by check too; and a refused one is looked at, since it may yet come', () => {
    const options = testOptions({ ...files, '/a': corefile('/gone /nokey /half') });
    const [{ findings }] = check(['/a'], options, serveOptions(readFlags([]), {}));
    assert.deepEqual(
      findings.map(({ severity, code, line, message }) => `${line} ${severity} ${code}: ${message}`),
      [
        '3 error forward: forward tls: /gone cannot be read (no such file: /gone)',
        '3 error forward: forward tls: /nokey cannot be read (no such file: /nokey)',
      ],
    );
    assert.throws(
      () => configOf(corefile('/gone'), files),
      (error) => error instanceof ConfigError && error.files.includes('/gone'),
    );
  });
});
