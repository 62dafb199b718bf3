import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { heapSnapshotBytesMax, heapSnapshotSendMs, profileSecondsMax } from '../../src/limits.js';
import type { HttpAnswer } from '../../src/observe/http.js';
import { newPprof } from '../../src/observe/pprof.js';
import { ManualClock } from '../simulation/clock.js';

const nobody = { method: 'GET', host: '', remote: { address: '', port: 0 }, local: { address: '', port: 0 } };

function newFixture(
  heap: () => Readable = () => Readable.from([Buffer.from('{"snapshot":'), Buffer.from('{}}')]),
  user: number | null | 'too many' | (() => Promise<number>) = 0,
  at = '192.0.2.1',
) {
  const clock = new ManualClock();
  const recorded: string[] = [];
  const pprof = newPprof(
    clock,
    {
      async record(thread) {
        if (thread > 2) return null;
        const startedMs = clock.nowMs();
        return {
          async finish() {
            if (thread === 2) throw new Error('the thread has ended');
            recorded.push(`thread ${thread} for ${clock.nowMs() - startedMs} ms`);
            return '{}';
          },
        };
      },
      heapSnapshot: async () => heap(),
    },
    { mayAsk: [0], userOfPeer: async () => (typeof user === 'function' ? user() : user) },
  );
  const get = (path: string): Promise<HttpAnswer> => {
    const [name, query] = path.split('?');
    return pprof
      .routes({ address: at, port: 6053 })
      [`/debug/pprof/${name}`]({ query: new URLSearchParams(query), isLocal: true, ...nobody });
  };
  return { clock, recorded, pprof, get };
}

describe('pprof', () => {
  it('records for so many seconds, 30 unless said', async () => {
    const { clock, recorded, get } = newFixture();
    for (const [query, seconds] of [
      ['', 30],
      ['?seconds=2.5', 2.5],
      ['?seconds=1&thread=1', 1],
    ] as const) {
      const answer = get(`profile${query}`);
      await clock.pass(seconds * 1000 - 1);
      assert.equal((await get('heap')).status, 503);
      await clock.pass(1);
      assert.deepEqual(await answer, { status: 200, body: '{}', contentType: 'application/json' });
    }
    assert.deepEqual(recorded, ['thread 0 for 30000 ms', 'thread 0 for 2500 ms', 'thread 1 for 1000 ms']);
  });

  it('refuses what it cannot do, in a sentence', async () => {
    const { get } = newFixture();
    for (const seconds of ['0', '-1', 'ten', '', '1e3', String(profileSecondsMax + 1)]) {
      assert.deepEqual(await get(`profile?seconds=${seconds}`), {
        status: 400,
        body: `seconds must be a number above 0, up to ${profileSecondsMax}.\n`,
      });
    }
    assert.equal((await get('profile?thread=1.5')).status, 400);
    assert.deepEqual(await get('profile?thread=3'), { status: 404, body: 'there is no worker 3.\n' });
  });

  it('is free again after a refusal and after a failure', async () => {
    const { clock, get } = newFixture();
    assert.equal((await get('profile?thread=3')).status, 404);
    const failing = get('profile?thread=2&seconds=1');
    const failed = assert.rejects(failing, /the thread has ended/);
    await clock.pass(1000);
    await failed;
    assert.equal((await get('heap')).status, 200);
  });

  it('streams the heap, one at a time', async () => {
    const { get } = newFixture();
    const { status, body, rest, contentType } = await get('heap');
    assert.deepEqual([status, body, contentType], [200, '', 'application/json']);
    assert.equal((await get('profile')).status, 503);
    assert.equal((await get('heap')).body, 'another profile or snapshot is in progress; only one at a time.\n');
    assert.equal(await text(rest!), '{"snapshot":{}}');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await get('heap')).status, 200);
  });

  it('cuts a snapshot that is too large, is read too slowly, or is under way at the end', async () => {
    const piece = Buffer.alloc(16 * 1024 * 1024);
    const large = newFixture(() => Readable.from(Array(heapSnapshotBytesMax / piece.length + 1).fill(piece)));
    let bytes = 0;
    await assert.rejects(async () => {
      for await (const chunk of (await large.get('heap')).rest!) bytes += chunk.length;
    }, /the snapshot has more than/);
    assert.equal(bytes, heapSnapshotBytesMax);

    const endless = (): Readable => new Readable({ read() {} });
    const slow = newFixture(endless);
    const reading = assert.rejects(text((await slow.get('heap')).rest!), /the snapshot is cut/);
    await slow.clock.pass(heapSnapshotSendMs);
    await reading;

    const stopped = newFixture(endless);
    const cut = assert.rejects(text((await stopped.get('heap')).rest!), /the snapshot is cut/);
    stopped.pprof.stop();
    await cut;
  });

  it('answers a profile with what there is when it is stopped', async () => {
    const { clock, recorded, pprof, get } = newFixture();
    const answer = get('profile');
    await clock.pass(700);
    pprof.stop();
    assert.equal((await answer).status, 200);
    assert.deepEqual(recorded, ['thread 0 for 700 ms']);
    pprof.stop();
    const early = get('profile');
    pprof.stop();
    assert.equal((await early).status, 200);
  });

  it('is for root and our own user, unless an address was named for others', async () => {
    for (const user of [1000, null]) {
      for (const at of ['127.0.0.1', '127.0.0.2', '::1', '::', '0.0.0.0']) {
        for (const path of ['', 'heap', 'profile?seconds=0']) {
          const { status, body } = await newFixture(undefined, user, at).get(path);
          assert.deepEqual([status, body.endsWith('connect as root, to an address of the node.\n')], [403, true]);
        }
      }
      assert.equal((await newFixture(undefined, user, '192.0.2.1').get('')).status, 200);
    }
    assert.equal((await newFixture(undefined, 0, '::').get('')).status, 200);
    const stopped = newFixture(undefined, 0, '127.0.0.1');
    const early = stopped.get('profile');
    stopped.pprof.stop();
    assert.equal((await early).status, 503, 'nothing begins after the end');
  });

  it('is for nobody where the host has too many connections to tell who asks', async () => {
    for (const path of ['', 'heap', 'profile?seconds=0']) {
      const { status, body } = await newFixture(undefined, 'too many', '127.0.0.1').get(path);
      assert.deepEqual(
        [status, body.includes('which has too many TCP connections to find the owner of this one')],
        [503, true],
      );
    }
  });

  it('looks for one who asks at a time, and for the next one also where that fails', async () => {
    const ends: ((error?: Error) => void)[] = [];
    const look = () =>
      new Promise<number>((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve(0))));
    const { get } = newFixture(undefined, look, '127.0.0.1');
    const failing = assert.rejects(get(''), /no such table/u);
    const next = get('');
    await new Promise(setImmediate);
    assert.equal(ends.length, 1);
    ends[0](new Error('no such table'));
    await failing;
    await new Promise(setImmediate);
    assert.equal(ends.length, 2);
    ends[1]();
    assert.equal((await next).status, 200);
  });

  it('says on its page how to read them, and that they are not Go’s', async () => {
    const { body } = await newFixture().get('');
    for (const part of [
      '.cpuprofile',
      '.heapsnapshot',
      "not Go's",
      'thread=1',
      'Chrome DevTools',
      String(profileSecondsMax),
    ]) {
      assert.ok(body.includes(part), part);
    }
  });
});
