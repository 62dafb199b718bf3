import assert from 'node:assert/strict';
import { fstatSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { openSocket } from '../../src/os/bound-socket.js';
import {
  followed,
  Groups,
  groupKey,
  instructionBytes,
  steeringProgram,
  steerTo,
} from '../../src/os/reuseport-groups.js';
import { calls, openClient, skip } from './loopback-sockets.js';

describe('followed', () => {
  test('a socket that comes is the last', () => {
    assert.deepEqual(followed([1, 2], [2, 1, 3], [1]), [1, 2, 3]);
    assert.deepEqual(followed([], [7], []), [7]);
    assert.deepEqual(followed([], [7, 8], []), [0, 0], 'which of two came first is not known');
  });

  test('the last takes the place of one that leaves', () => {
    assert.deepEqual(followed([1, 2, 3], [2, 3], [3]), [3, 2]);
    assert.deepEqual(followed([1, 2, 3], [1, 2], [1]), [1, 2]);
  });

  test('several that leave, where their order makes no difference to ours', () => {
    assert.deepEqual(followed([1, 2, 3, 4], [1, 2], [1, 2]), [1, 2], 'all that are left are ours');
    assert.deepEqual(followed([9, 1, 2, 3], [9, 1], [1]), [9, 1]);
    assert.equal(followed([1, 2, 3, 9], [3, 9], [3]), null, 'the last of them may be ours or not');
  });

  test('what is not known any more is known again when all others are gone', () => {
    assert.equal(followed(null, [1, 2], [1]), null);
    assert.deepEqual(followed(null, [1], [1]), [1]);
    assert.deepEqual(followed([0, 0, 5], [5], [5]), [5]);
    assert.equal(followed([0, 0, 5], [8, 5], [5]), null);
    assert.deepEqual(followed([0, 5], [8, 5], [5]), [0, 5], 'the unknown one is still there');
  });

  test('is what the kernel does, or nothing, whatever comes and goes', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(5), fc.nat(2)), { maxLength: 30, size: 'max' });
    fc.assert(
      fc.property(steps, (all) => {
        const kernel: number[] = [1];
        let places: number[] | null = [1];
        let next = 2;
        for (const [comes, which, more] of all) {
          for (let times = 0; times <= more; times++) {
            if (comes) kernel.push(next++);
            else if (kernel.length > 1) {
              // Ours, which is 1, stays.
              const others = kernel.filter((inode) => inode !== 1);
              const place = kernel.indexOf(others[(which + times) % others.length]);
              const last = kernel.pop() as number;
              if (place < kernel.length) kernel[place] = last;
            }
          }
          places = followed(places, [...kernel].sort(), [1]);
          if (places === null) return;
          assert.equal(places.length, kernel.length);
          assert.equal(places.indexOf(1), kernel.indexOf(1));
          for (const [place, inode] of places.entries()) assert.ok(inode === 0 || inode === kernel[place]);
        }
      }),
    );
  });
});

describe('Groups', { skip }, () => {
  const newGroups = (): Groups => new Groups({ calls, cannotSteer: (errno) => assert.fail(`${errno}`) });
  const anywhere = { at: { address: '127.0.0.1', port: 0 }, ipv6Only: 'no', sharedWith: 'nobody' } as const;
  const inode = (fd: number): number => fstatSync(fd).ino;

  /** Two instances on one port, the second of which has been told of the first. */
  function newPair() {
    const [old, next] = [newGroups(), newGroups()];
    const first = old.openDatagrams(anywhere);
    old.joined('udp', first.local, [first.fd]);
    next.learn(old.layout());
    next.share();
    const second = next.openDatagrams({ ...anywhere, at: first.local });
    next.joined('udp', first.local, [second.fd]);
    return { old, next, first, second, key: groupKey('udp', first.local) };
  }

  test('who comes second knows both places, and the first learns of it by looking', () => {
    const { old, next, first, second, key } = newPair();
    const both = [inode(first.fd), inode(second.fd)];
    assert.deepEqual(next.layout(), { [key]: both });
    assert.equal(old.areShared, false);
    old.look();
    assert.deepEqual(old.layout(), { [key]: both });
    assert.ok(old.areShared && next.areShared);
    calls.close(first.fd);
    next.look();
    assert.deepEqual(next.layout(), { [key]: [inode(second.fd)] });
    assert.equal(next.areShared, false);
    calls.close(second.fd);
    next.look();
    assert.deepEqual(next.layout(), {});
  });

  test('a port of somebody else is refused unless others may be there', () => {
    const { first, second } = newPair();
    assert.throws(() => newGroups().openDatagrams({ ...anywhere, at: first.local }), { code: 'EADDRINUSE' });
    calls.close(first.fd);
    calls.close(second.fd);
  });

  test('streams listen when they are opened', () => {
    const groups = newGroups();
    const fd = groups.openStreams(anywhere);
    const [[key, places]] = Object.entries(groups.layout());
    assert.match(key, /^tcp 127\.0\.0\.1 \d+$/);
    assert.deepEqual(places, [inode(fd)]);
    calls.close(fd);
  });

  test('a kernel that cannot steer is said once', () => {
    const errors: number[] = [];
    const refusing = { ...calls, attachProgram: () => -92 };
    const groups = new Groups({ calls: refusing, cannotSteer: (errno) => void errors.push(errno) });
    const fds = [groups.openStreams(anywhere), groups.openStreams(anywhere)];
    groups.steer('all');
    groups.look();
    assert.deepEqual(errors, [92]);
    for (const fd of fds) calls.close(fd);
  });

  test('steers new groups and old ones as it was told last, and not while it is another’s business', () => {
    const programs: string[] = [];
    const noting = {
      ...calls,
      attachProgram: (_: number, bytes: Uint8Array) => {
        programs.push(`place ${new DataView(bytes.buffer).getUint32(bytes.length - 4, true)}`);
        return 0;
      },
    };
    const groups = new Groups({ calls: noting, cannotSteer() {} });
    const fds = [groups.openStreams(anywhere)];
    assert.deepEqual(programs, []);
    groups.steer('all');
    fds.push(groups.openStreams(anywhere));
    groups.look();
    assert.deepEqual(programs, ['place 0', 'place 0']);
    groups.steer('one');
    assert.equal(programs.length, 4);
    groups.steer('away');
    groups.look();
    assert.equal(programs.length, 4);
    for (const fd of fds) calls.close(fd);
  });
});

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
