import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bpf, type MapForm } from '../../src/os/bpf.js';
import { laneIsMissing } from '../lane/possible.js';
import { calls } from './loopback-sockets.js';

const form: MapForm = { name: 'test', type: 'array', keyBytes: 4, valueBytes: 8, entries: 2, isShared: true };
const key = (number: number): Uint8Array => Uint8Array.of(number, 0, 0, 0);
const value = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
/** mov r0, -1; exit */
const passes = Buffer.from('b7000000ffffffff9500000000000000', 'hex');

describe('bpf(2)', { skip: laneIsMissing }, () => {
  const bpf = laneIsMissing === false ? new Bpf(calls) : (null as never);

  test('an element that was written is read; one that is not there is an error', () => {
    for (const type of ['array', 'recent'] as const) {
      const map = bpf.createMap({ ...form, type, isShared: type === 'array' });
      assert.ok(map > 2);
      assert.equal(bpf.update(map, key(1), value), 0);
      const read = new Uint8Array(8);
      assert.equal(bpf.lookUp(map, key(1), read), 0);
      assert.deepEqual(read, value);
      assert.equal(bpf.lookUp(map, key(2), read), -2);
      calls.close(map);
    }
  });

  test('a form that the kernel does not take, and a map that is none, are errors', () => {
    assert.equal(bpf.createMap({ ...form, keyBytes: 8 }), -22);
    assert.equal(bpf.update(-1, key(0), value), -9);
    assert.throws(() => bpf.createMap({ ...form, name: 'a name that is too long' }), /15 bytes/);
  });

  test('a program is loaded, and run with a packet; one that is wrong comes with the reason', async () => {
    const { fd, complaint } = await bpf.load('passes', 'on interfaces', passes);
    assert.ok(fd > 2);
    assert.equal(complaint, '');
    const packet = new Uint8Array(64).fill(7);
    const ran = bpf.run(fd, packet);
    assert.equal(ran.verdict, -1);
    assert.deepEqual(ran.packet, packet);
    // Shorter than an Ethernet header.
    assert.equal(bpf.run(fd, packet.subarray(0, 10)).verdict, null);
    calls.close(fd);
    const wrong = await bpf.load('wrong', 'on interfaces', passes.subarray(8));
    assert.equal(wrong.fd, -13);
    assert.match(wrong.complaint, /R0 !read_ok/);
    assert.equal((await bpf.load('empty', 'on interfaces', new Uint8Array(0))).fd, -7);
  });

  test('a program is attached to an interface as long as its link is open; one that is not there says so', async () => {
    const { fd } = await bpf.load('passes', 'on interfaces', passes);
    for (let time = 0; time < 2; time++) {
      const link = await bpf.attach(fd, 1);
      assert.ok(link > 2, `${link}`);
      assert.equal(await bpf.attach(fd, 1), -17);
      calls.close(link);
    }
    assert.equal(await bpf.attach(fd, 0x7fff_ffff), -19);
    assert.equal(await bpf.attach(-1, 1), -9);
    calls.close(fd);
  });
});

test('where bpf(2) is refused, every call says why', async () => {
  const refused = new Bpf({ bpf: () => -1, bpfLater: async () => -1, addressOf: () => 4096 });
  assert.equal(refused.createMap(form), -1);
  assert.equal(refused.update(3, key(0), value), -1);
  assert.deepEqual(await refused.load('passes', 'on interfaces', passes), { fd: -1, complaint: '' });
  assert.equal(refused.run(3, new Uint8Array(64)).verdict, null);
  assert.equal(await refused.attach(3, 1), -1);
});
