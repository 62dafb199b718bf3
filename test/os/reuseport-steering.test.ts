import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openSocket } from '../../src/os/bound-socket.js';
import { instructionBytes, steeringProgram, steerTo } from '../../src/os/reuseport-steering.js';
import { calls, openClient, skip } from './loopback-sockets.js';

const count = 4;

/** Sockets of one group, and how many of the packets of so many senders each has got since it was asked last. */
function newGroup(address: string) {
  const fds: number[] = [];
  let port = 0;
  for (let index = 0; index < count; index++) {
    const socket = openSocket(calls, {
      at: { address, port },
      ipv6Only: 'no',
      sharedWith: index === 0 ? 'nobody' : 'us',
    });
    port = socket.local.port;
    fds.push(socket.fd);
  }
  return {
    fds,
    async got(senders: number): Promise<number[]> {
      for (let index = 0; index < senders; index++) {
        const client = await openClient(address);
        await client.send('x', port);
        client.close();
      }
      return fds.map((fd) => queued(fd));
    },
    close: () => fds.forEach((fd) => void calls.close(fd)),
  };
}

const memory = new ArrayBuffer(64);
const at = calls?.addressOf(memory) ?? 0;

/** Takes what is queued; the sockets block for a moment when there is nothing. */
function queued(fd: number): number {
  const entry = new Int32Array(memory, 32, 2);
  let packets = 0;
  for (;;) {
    entry.set([fd, 1]);
    if (calls.poll(at + 32, 1, 0) <= 0) return packets;
    assert.ok(calls.read(fd, at, 16) >= 0);
    packets++;
  }
}

for (const address of ['127.0.0.1', '::1']) {
  describe(`steering over ${address}`, { skip }, () => {
    test('gives everything to one place', async () => {
      const group = newGroup(address);
      for (let place = 0; place < count; place++) {
        assert.equal(steerTo(calls, group.fds[0], [place]), 0);
        const wanted = Array.from({ length: count }, (_, index) => (index === place ? 10 : 0));
        assert.deepEqual(await group.got(10), wanted);
      }
      group.close();
    });

    test('spreads senders over several, and over no others', async () => {
      const group = newGroup(address);
      assert.equal(steerTo(calls, group.fds[1], [3, 0, 2]), 0);
      const got = await group.got(120);
      assert.equal(got[1], 0);
      for (const place of [0, 2, 3]) assert.ok(got[place] >= 15, `${got}`);
      group.close();
    });

    test('a place that is not there leaves the choice to the kernel, and so does no program', async () => {
      const group = newGroup(address);
      for (const places of [[count], []]) {
        steerTo(calls, group.fds[0], places);
        const got = await group.got(80);
        assert.ok(
          got.every((packets) => packets > 0),
          `${got}`,
        );
      }
      group.close();
    });

    test('the last takes the place of one that is closed', async () => {
      const group = newGroup(address);
      steerTo(calls, group.fds[0], [1]);
      calls.close(group.fds[1]);
      group.fds.splice(1, 1);
      assert.deepEqual(await group.got(10), [0, 0, 10]);
      group.close();
    });
  });
}

test('a program is one instruction for one place, and grows with the places', () => {
  assert.equal(steeringProgram([7]).length, instructionBytes);
  assert.ok(steeringProgram(Array.from({ length: 64 }, (_, place) => place)).length < 200 * instructionBytes);
});
