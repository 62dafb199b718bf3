/**
 * PEM files that change while the Corefile stays what it is, as Kubernetes changes a mounted Secret: a new CA, key or
 * certificate is used from then on and the connections of the old one go; one that is broken is refused, and the one
 * before is used on. The server is Node.js's TLS, so that it can say who came and how.
 */
import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { metricsAgeMs } from '../../src/limits.js';
import { type Authority, newAuthority } from '../os/certificates.js';
import { eventually, needs, run } from './commands.js';
import { type LoopbackZerohop, question, startOnLoopback } from './loopback.js';
import { framed, newFrames, openUdp } from './packets.js';
import { goodAnswer } from './stand-in.js';
import { entry, logLines } from './zerohop.js';

describe('PEM files that change', { skip: needs('openssl') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-rotation-'));
  /** As the kubelet mounts a Secret: names lead through `..data`, which is replaced in one step. */
  const mounted = join(folder, 'mounted');
  const path = (name: string): string => join(mounted, name);
  const names = ['ca.pem', 'cert.pem', 'key.pem'] as const;
  let version = 0;
  let [old, next]: Authority[] = [];
  let server: Server;
  let port = 0;
  const connections = new Set<TLSSocket>();
  /** Who has connected since the last look: the name in the client's certificate, and whether a session was taken up. */
  let came: { readonly name: string; readonly isReused: boolean }[] = [];
  let zerohop: LoopbackZerohop;
  let labels = 0;

  function mount(...files: readonly [ca: string, certificate: string, key: string]): void {
    const data = join(mounted, `..version-${++version}`);
    mkdirSync(data, { recursive: true });
    for (const [index, text] of files.entries()) writeFileSync(join(data, names[index]), text);
    symlinkSync(data, path('..new'));
    renameSync(path('..new'), path('..data'));
  }

  function identityOf(authority: Authority, client: string): [ca: string, certificate: string, key: string] {
    const { certificate, key } = authority.issue(client);
    return [authority.certificate, certificate, key].map((file) => readFileSync(file, 'utf8')) as [
      string,
      string,
      string,
    ];
  }

  function serveBy(authority: Authority): void {
    const { certificate, key } = authority.issue('dns.test');
    const ca = [old, next].map((each) => readFileSync(each.certificate));
    server.setSecureContext({ cert: readFileSync(certificate), key: readFileSync(key), ca });
  }

  /** The rcode of a new name. */
  async function asks(): Promise<number> {
    const client = await openUdp(zerohop.place);
    client.send(question(1, `n${++labels}`, 1));
    const answer = await client.receive(1);
    client.close();
    return answer[3] & 0x0f;
  }

  const lines = () => logLines(zerohop.program.stdout()).map(({ msg }) => msg);
  const said = (text: RegExp, times: number) =>
    eventually(`${times} lines like ${text}`, () =>
      lines().filter((line) => text.test(line)).length >= times ? true : undefined,
    );
  const inForce = /new configuration in force$/u;
  const isRefused = /new configuration rejected, keeping the old one/u;

  async function failedReloads(): Promise<string> {
    await pause(metricsAgeMs);
    const { address, port: at } = zerohop.metrics;
    const page = await (await fetch(`http://${address}:${at}/metrics`)).text();
    return /^coredns_reload_failed_total (\d+)$/mu.exec(page)?.[1] ?? '';
  }

  before(async () => {
    [old, next] = [newAuthority(folder, 'old'), newAuthority(folder, 'next')];
    mkdirSync(mounted);
    for (const name of names) symlinkSync(join('..data', name), path(name));
    server = createServer({ ALPNProtocols: ['dot'], requestCert: true, rejectUnauthorized: false }, (socket) => {
      connections.add(socket);
      socket.on('close', () => connections.delete(socket));
      socket.on('error', () => {});
      came.push({ name: String(socket.getPeerCertificate().subject?.CN), isReused: socket.isSessionReused() });
      socket.on(
        'data',
        newFrames((query) => socket.write(framed(goodAnswer(query)))),
      );
    });
    server.on('tlsClientError', () => {});
    serveBy(old);
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as { port: number });
    mount(...identityOf(old, 'first.test'));
    const upstream = `forward . tls://127.0.0.1:${port} {
        tls ${path('cert.pem')} ${path('key.pem')} ${path('ca.pem')}
        tls_servername dns.test
        expire 1s
    }`;
    zerohop = await startOnLoopback(`${upstream}\n    errors\n    reload 2s 0s`, question(1, 'good', 1));
  });
  after(async () => {
    await zerohop?.stop();
    server?.close();
    for (const socket of connections) socket.destroy();
    rmSync(folder, { recursive: true });
  });

  test('a new key and certificate are those of new connections, the old ones go, and nobody is left out', async () => {
    assert.equal(await asks(), 0);
    assert.deepEqual([...new Set(came.map(({ name }) => name))], ['first.test']);
    const before = [...connections];
    came = [];
    mount(...identityOf(old, 'second.test'));
    await said(inForce, 1);
    for (let times = 0; times < 10; times++) assert.equal(await asks(), 0);
    assert.deepEqual([...new Set(came.map(({ name }) => name))], ['second.test']);
    assert.equal(came[0].isReused, false, 'a session of the old key is not taken up');
    await eventually('the old connections are closed', () =>
      before.some((one) => connections.has(one)) ? undefined : true,
    );
  });

  test('with a new CA the old server is not believed, whatever sessions there were; one that it signs is', async () => {
    came = [];
    mount(...identityOf(next, 'third.test'));
    await said(inForce, 2);
    assert.equal(await asks(), 2, 'SERVFAIL');
    await said(/unable to (?:verify the first|get local issuer) certificate|self.signed certificate/u, 1);
    serveBy(next);
    await eventually('the new server answers', async () => ((await asks()) === 0 ? true : undefined));
    assert.ok(came.some(({ name }) => name === 'third.test'));
  });

  test('what is broken is refused, counted, and not used; and what comes then is', async () => {
    const [ca, certificate, key] = identityOf(next, 'fourth.test');
    const broken: [string, string, string][] = [
      [ca.slice(0, 200), certificate, key],
      [ca, certificate, identityOf(next, 'fifth.test')[2]],
      [ca, certificate, ''],
    ];
    for (const [index, files] of broken.entries()) {
      came = [];
      mount(...files);
      await said(isRefused, index + 1);
      assert.equal(await asks(), 0);
      assert.ok(came.every(({ name }) => name === 'third.test'));
    }
    unlinkSync(path('..data'));
    await said(isRefused, broken.length + 1);
    assert.equal(await failedReloads(), `${broken.length + 1}`);
    const refusals = lines().filter((line) => isRefused.test(line));
    for (const [index, text] of [
      /ca\.pem is truncated/u,
      /does not match the first/u,
      /no complete private key/u,
      /no such file/u,
    ].entries()) {
      assert.match(refusals[index], text);
      assert.match(refusals[index], /Corefile:4: forward tls: /u);
    }
    came = [];
    mount(ca, certificate, key);
    await said(inForce, 3);
    assert.equal(await asks(), 0);
    assert.deepEqual([...new Set(came.map(({ name }) => name))], ['fourth.test']);
  });

  test('zerohop check says of the same files what the start would', async () => {
    const { status, stdout } = await run([...entry, 'check', zerohop.corefile]);
    assert.equal(status, 0, stdout);
    mount('', '', '');
    const wrong = await run([...entry, 'check', zerohop.corefile]);
    assert.equal(wrong.status, 2);
    assert.match(wrong.stdout, /Corefile:4: error: forward tls: \S+ca\.pem has no certificate; /u);
    assert.match(wrong.stdout, /Corefile:4: error: forward tls: \S+cert\.pem has no certificate; /u);
  });
});
