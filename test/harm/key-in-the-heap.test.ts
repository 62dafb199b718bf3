/**
 * Heap snapshots are attached to issues, and an address that `pprof` was given for others hands them to whoever reaches
 * it. The key of `forward`'s `tls` is in none, in no form that its text could have: neither after a connection was made
 * with it, nor after a reload that changed it or left it as it was.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { type Authority, type Issued, newAuthority, openssl } from '../os/certificates.js';
import { eventually, needs } from '../real/commands.js';
import { type LoopbackZerohop, question, startOnLoopback } from '../real/loopback.js';
import { framed, freePort, newFrames, openUdp } from '../real/packets.js';
import { goodAnswer } from '../real/stand-in.js';
import { logLines } from '../real/zerohop.js';

const pieceCharacters = 40;

/** Pieces of everything that a key could be found by: its file's lines, and its numbers in the usual alphabets. */
function tracesOf(path: string): string[] {
  const pem = readFileSync(path, 'utf8');
  const key: KeyObject = createPrivateKey(pem);
  const { d = '' } = key.export({ format: 'jwk' });
  const secret = Buffer.from(d, 'base64url');
  const forms = [
    ...pem.split('\n').filter((line) => !line.startsWith('-----')),
    ...(['base64', 'base64url', 'hex', 'latin1'] as const).map((alphabet) => secret.toString(alphabet)),
    secret.toString('hex').toUpperCase(),
    key.export({ type: 'pkcs8', format: 'der' }).toString('latin1'),
  ];
  // The 32 bytes of an elliptic curve's secret are the shortest that count.
  const pieces = forms.flatMap((form) => [form.slice(0, pieceCharacters), form.slice(-pieceCharacters)]);
  return pieces.filter((piece) => piece.length >= 32);
}

describe('the TLS key of an upstream', { skip: needs('openssl') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-key-'));
  const [certificate, key] = [join(folder, 'client.pem'), join(folder, 'client.key')];
  const connections = new Set<TLSSocket>();
  const came: string[] = [];
  let authority: Authority;
  let server: Server;
  let zerohop: LoopbackZerohop;
  let pprof = 0;
  let labels = 0;

  function use(issued: Issued): void {
    writeFileSync(certificate, readFileSync(issued.certificate));
    writeFileSync(key, readFileSync(issued.key));
  }

  /** Asks for a new name, so that a connection is made. */
  async function asks(): Promise<void> {
    const client = await openUdp(zerohop.place);
    client.send(question(1, `n${++labels}`, 1));
    const answer = await client.receive(1);
    client.close();
    assert.equal(answer[3] & 0x0f, 0);
  }

  /** Every string of the heap, one a line. */
  async function heap(): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${pprof}/debug/pprof/heap`);
    assert.equal(answer.status, 200);
    const { strings } = JSON.parse(await answer.text()) as { strings: string[] };
    return strings.join('\n');
  }

  async function holdsNothingOf(...paths: readonly string[]): Promise<void> {
    const text = await heap();
    assert.ok(text.includes('client.key'), 'it is the heap that is looked through: the Corefile is in it');
    for (const path of paths) {
      const found = tracesOf(path).filter((piece) => text.includes(piece));
      assert.deepEqual(found, [], path);
    }
  }

  async function reloads(says: RegExp, times: number): Promise<void> {
    zerohop.program.signal('SIGHUP');
    await eventually(`${times} lines like ${says}`, () => {
      const lines = logLines(zerohop.program.stdout()).map(({ msg }) => msg);
      return lines.filter((line) => says.test(line)).length >= times ? true : undefined;
    });
  }

  before(async () => {
    authority = newAuthority(folder, 'ca');
    const own = authority.issue('dns.test');
    const settings = { cert: readFileSync(own.certificate), key: readFileSync(own.key), requestCert: true };
    server = createServer({ ...settings, ALPNProtocols: ['dot'], rejectUnauthorized: false }, (socket) => {
      connections.add(socket);
      socket.on('close', () => connections.delete(socket));
      socket.on('error', () => {});
      came.push(String(socket.getPeerCertificate().subject?.CN));
      const answer = (query: Buffer) => socket.write(framed(goodAnswer(query)));
      socket.on('data', newFrames(answer));
    });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    pprof = await freePort();
    use(authority.issue('first.test'));
    const upstream = `forward . tls://127.0.0.1:${port} {
        tls ${certificate} ${key} ${authority.certificate}
        tls_servername dns.test
        expire 1s
    }`;
    zerohop = await startOnLoopback(`${upstream}\n    pprof 127.0.0.1:${pprof}`, question(1, 'good', 1));
  });
  after(async () => {
    await zerohop?.stop();
    server?.close();
    for (const socket of connections) socket.destroy();
    rmSync(folder, { recursive: true });
  });

  test('is not in the heap of a process that has connected with it', async () => {
    await asks();
    assert.ok(came.includes('first.test'));
    await holdsNothingOf(key);
  });

  test('nor after a reload that changes nothing', async () => {
    await reloads(/the configuration is unchanged$/u, 1);
    await asks();
    await holdsNothingOf(key);
  });

  test('nor, whether old or new, after one that changes it to a longer one in a file with the certificate', async () => {
    const old = join(folder, 'old.key');
    writeFileSync(old, readFileSync(key));
    const both = { certificate: join(folder, 'both.pem'), key: join(folder, 'both.pem') };
    const [rsa, pem] = [join(folder, 'rsa.key'), join(folder, 'rsa.pem')];
    const made = ['-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=second.test'];
    openssl('req', '-x509', ...made, '-keyout', rsa, '-out', pem);
    writeFileSync(both.certificate, Buffer.concat([readFileSync(rsa), readFileSync(pem)]));
    use(both);
    await reloads(/new configuration in force$/u, 1);
    await eventually('a connection by the new key', async () => {
      await asks();
      return came.includes('second.test') ? true : undefined;
    });
    await holdsNothingOf(old, rsa);
  });

  test('nor of a file that is refused', async () => {
    const foreign = authority.issue('foreign.test');
    writeFileSync(key, readFileSync(foreign.key));
    await reloads(/configuration rejected/u, 1);
    await holdsNothingOf(foreign.key);
  });
});
