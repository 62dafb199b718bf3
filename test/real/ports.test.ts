/**
 * Ports and addresses that are not simply free and there: a port on which another zerohop serves, which must not
 * notice, and addresses that come to the node only later.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ask } from './clients.js';
import { localAddress, makeNode, type Node } from './cluster-node.js';
import { eventually, needs, output, run } from './commands.js';
import { entry, httpStatus, ioPath, quietFlags, startZerohop, type Zerohop } from './zerohop.js';

const skip = needs('root', 'ip', 'curl', 'dig', 'dnsperf');

/** Answers by itself, so that nobody else's slowness is measured. */
const madeHere = (addresses: string, more = ''): string => `.:53 {
    bind ${addresses}
    template IN A {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
    health ${localAddress}:8080
    ready ${localAddress}:8181
    ${more}
}
`;

describe('ports and addresses', { skip }, () => {
  let node: Node;
  let zerohop: Zerohop | undefined;
  beforeEach(async () => {
    node = await makeNode();
  });
  afterEach(async () => {
    await zerohop?.stop();
    zerohop = undefined;
    node.remove();
  });

  test('a second zerohop on the same port is refused, and the first loses no packet to it', async () => {
    zerohop = await startZerohop(node, madeHere(localAddress));
    const second = join(node.folder, 'second');
    writeFileSync(second, madeHere(localAddress));
    const questions = join(node.folder, 'questions');
    writeFileSync(questions, 'web.test A\n');
    const load = ['-d', questions, '-l', '2', '-Q', '2000', '-c', '20', '-t', '10'];
    let isOver = false;
    const asked = output(node.command('dnsperf', '-s', localAddress, ...load), 30_000).finally(() => {
      isOver = true;
    });
    while (!isOver) await refused(second);
    assert.match(await asked, /Queries lost: +0 /);
  });

  async function refused(corefile: string): Promise<void> {
    const { status, stderr } = await run(node.command(...entry, '-conf', corefile, ...quietFlags));
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^zerohop: cannot listen on 169\.254\.20\.10 port 53: address already in use; stop/);
  }

  const later = ['192.0.2.77', 'fd00:77::77'];

  test('addresses that are not there yet are served once they are', {
    skip: ioPath !== 'threads' && 'needs workers',
  }, async () => {
    zerohop = await startZerohop(node, madeHere([localAddress, ...later].join(' ')));
    await zerohop.logged(/^waiting for address 192\.0\.2\.77, fd00:77::77: it is on no interface yet/);
    for (const address of later) {
      await output(node.command('ip', 'address', 'add', address, 'dev', 'lo', 'nodad'));
      for (const over of ['udp', 'tcp'] as const) {
        const { answer } = await ask(node, 'dig', { name: 'web.test.', type: 'A', over }, address);
        assert.equal(answer[0]?.data, '192.0.2.1', `${address} over ${over}`);
      }
    }
  });

  test('/health, too, may be at an address that comes later', {
    skip: ioPath !== 'threads' && 'needs workers',
  }, async () => {
    const [address] = later;
    const corefile = madeHere(localAddress).replace(`health ${localAddress}`, `health ${address}`);
    zerohop = await startZerohop(node, corefile);
    await output(node.command('ip', 'address', 'add', address, 'dev', 'lo'));
    assert.equal(await httpStatus(node, `http://${address}:8080/health`), 200);
  });

  test('a listener moves to all addresses by a reload and back', {
    skip: ioPath !== 'threads' && 'needs workers',
  }, async () => {
    zerohop = await startZerohop(node, madeHere(localAddress));
    for (const [addresses, where] of [
      ['0.0.0.0', '127.0.0.1'],
      [localAddress, localAddress],
    ]) {
      writeFileSync(zerohop.corefile, madeHere(addresses));
      zerohop.signal('SIGHUP');
      await eventually(`it serves on ${where}`, async () => {
        const answer = await ask(node, 'dig', { name: 'web.test.', type: 'A', over: 'tcp' }, where).catch(() => null);
        return answer?.rcode === 'NOERROR' ? true : undefined;
      });
    }
    assert(!zerohop.log().some(({ msg }) => msg.includes('rejected')));
  });

  test('without system calls of its own, an address that is not there: exit 1, with the address', async () => {
    const corefile = join(node.folder, 'elsewhere');
    writeFileSync(corefile, madeHere(later[0]));
    const portable = ['env', 'ZEROHOP_IO=portable', ...entry];
    const { status, stderr } = await run(node.command(...portable, '-conf', corefile, ...quietFlags));
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^zerohop: cannot listen on 192\.0\.2\.77 port 53: no interface has this address/);
  });
});
