import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer, type Server } from 'node:tls';
import type { TlsSettings } from '../../src/os/network.js';
import { nodeNetwork } from '../../src/os/node-network.js';
import { newTlsMaterial, type PemBytes } from '../../src/os/tls.js';
import { needs } from '../real/commands.js';
import { bytesOf, newAuthority } from './certificates.js';

describe('connections over TLS', { skip: needs('openssl') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-tls-'));
  const network = nodeNetwork({ sendFailed() {}, acceptFailed() {} });
  const reused: boolean[] = [];
  let material: PemBytes;
  let settings: TlsSettings;
  let server: Server;
  let port = 0;

  before(async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const names = ['-subj', '/CN=dns.test', '-addext', 'subjectAltName=DNS:dns.test,IP:127.0.0.1'];
    execFileSync('openssl', [...made, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const ca = readFileSync(cert);
    material = { ca, certificate: null, key: null };
    settings = { serverName: 'dns.test', material: newTlsMaterial(material) };
    server = createServer({ key: readFileSync(key), cert: ca, ALPNProtocols: ['dot'] }, (socket) => {
      reused.push(socket.isSessionReused());
      socket.on('error', () => {});
      socket.on('data', (bytes) => socket.write(bytes));
    });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  /** What happens when `ping` is written at once; the connection is closed after the answer. */
  function exchange(tls: TlsSettings): Promise<string[]> {
    return new Promise((resolve) => {
      const events: string[] = [];
      const stream = network.connectStream(
        { address: '127.0.0.1', port },
        {
          opened: () => events.push('opened'),
          data(bytes) {
            events.push(Buffer.from(bytes).toString());
            stream.end();
          },
          ended() {},
          closed(error) {
            events.push(error === undefined ? 'closed' : (error.code ?? error.message));
            resolve(events);
          },
        },
        undefined,
        tls,
      );
      stream.write(Buffer.from('ping'));
    });
  }

  test('bytes go and come; the next connection takes up the session', async () => {
    assert.deepEqual(await exchange(settings), ['opened', 'ping', 'closed']);
    assert.deepEqual(await exchange(settings), ['opened', 'ping', 'closed']);
    assert.deepEqual(reused, [false, true]);
  });

  test('a session is taken up by the settings that it was made by, and by no others', async () => {
    const other = newAuthority(folder, 'other');
    const [otherCa] = bytesOf(other.certificate);
    const [certificate, key] = bytesOf(...Object.values(other.issue('client.test')));
    const withOther = (changes: Partial<PemBytes>) => ({
      ...settings,
      material: newTlsMaterial({ ...material, ...changes }),
    });
    await exchange(settings);
    const before = reused.length;
    assert.deepEqual(await exchange(withOther({ ca: otherCa })), ['DEPTH_ZERO_SELF_SIGNED_CERT']);
    for (const changed of [withOther({ certificate, key }), { ...settings, serverName: null }, { ...settings }]) {
      assert.deepEqual(await exchange(changed), ['opened', 'ping', 'closed']);
    }
    await exchange(settings);
    assert.deepEqual(reused.slice(before).slice(-4), [false, false, false, true]);
  });

  test('what OpenSSL cannot use is said in its words', () => {
    const nonsense = Buffer.from('nonsense');
    assert.throws(() => newTlsMaterial({ ca: null, certificate: nonsense, key: nonsense }), /no start line/u);
  });

  test('its bytes may be overwritten once there is material, which has nothing of them and tells files apart', async () => {
    const [certificate, key] = bytesOf(...Object.values(newAuthority(folder, 'own').issue('client.test')));
    const pem = { ca: Buffer.from(material.ca!), certificate, key };
    const [one, same] = [newTlsMaterial(pem), newTlsMaterial(pem)];
    for (const bytes of Object.values(pem)) bytes.fill(0);
    assert.deepEqual(await exchange({ ...settings, material: one }), ['opened', 'ping', 'closed']);
    assert.equal(one.digest, same.digest);
    assert.match(JSON.stringify(one), /^\{"digest":"[0-9a-f]{64} [0-9a-f]{64} [0-9a-f]{64}"\}$/u);
    const changed = (changes: Partial<PemBytes>) => newTlsMaterial({ ...material, ...changes }).digest;
    assert.notEqual(changed({}), changed({ ca: null }));
  });

  test('material that nobody made is an error, and not a connection without it', async () => {
    await assert.rejects(() => exchange({ ...settings, material: { digest: '' } }), /was not made/u);
  });

  test('without a name the certificate must be the address’s', async () => {
    assert.deepEqual(await exchange({ ...settings, serverName: null }), ['opened', 'ping', 'closed']);
  });

  test('another name, or nobody who vouches for it: no byte is sent', async () => {
    const before = reused.length;
    assert.deepEqual(await exchange({ ...settings, serverName: 'other.test' }), ['ERR_TLS_CERT_ALTNAME_INVALID']);
    assert.deepEqual(await exchange({ ...settings, serverName: 'third.test', material: null }), [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
    ]);
    assert(reused.length - before <= 2);
  });

  test('a server that need not prove who it is, and its session vouches for nobody', async () => {
    const unproven = { ...settings, serverName: 'fourth.test', material: null };
    const trusting = { ...unproven, isVerified: false };
    for (let time = 1; time <= 2; time++) assert.deepEqual(await exchange(trusting), ['opened', 'ping', 'closed']);
    assert.deepEqual(reused.slice(-2), [false, true]);
    assert.deepEqual(await exchange(unproven), ['DEPTH_ZERO_SELF_SIGNED_CERT']);
  });
});
