/**
 * What must not silence an instance: an exception in its main thread, one in a worker, and a start without
 * a predecessor, where the cache comes from a file.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { eventually, needs } from './commands.js';
import { question } from './loopback.js';
import { openUdp } from './packets.js';
import { throwInControlLane, throwInThreads } from './planted.js';
import { newSpot } from './several.js';

const isPortable = process.env['ZEROHOP_IO'] === 'portable';

describe('an instance survives', { skip: needs('dnsperf') }, () => {
  test('exceptions in its main thread: it answers from the cache and asks upstreams as before', async () => {
    const spot = await newSpot();
    const instance = await spot.start([], { NODE_OPTIONS: `--import=${throwInControlLane(200)}` });
    const client = await openUdp(spot.place);
    instance.program.signal('SIGUSR2');
    for (let id = 1; id <= 5; id++) {
      const lines = instance.count('planted');
      await eventually('it has thrown again', () => (instance.count('planted') > lines ? true : undefined));
      client.send(question(id, 'same', 1));
      await client.receive(id);
      client.send(question(100 + id, `new${id}`, 1));
      await client.receive(100 + id);
    }
    const { status } = await instance.program.finished;
    assert.equal(status, 1, 'too many of them end it in order');
    assert.ok(instance.said('too many exceptions in the main thread'));
    client.close();
    await spot.remove();
  });

  test('exceptions in its workers: nothing is lost', { skip: isPortable && 'needs workers' }, async () => {
    const spot = await newSpot();
    const instance = await spot.start([], { NODE_OPTIONS: `--import=${throwInThreads(400)}` });
    const { sent, lost, rcodes } = await spot.load({ perSecond: 2_000, seconds: 2, names: 'hits' });
    assert.equal(lost, 0);
    assert.deepEqual([...rcodes], [['NOERROR', sent]]);
    assert.ok(instance.count('a worker exited') >= 2);
    await spot.remove();
  });

  test('its own end, by a snapshot; a torn one costs a line', async () => {
    const spot = await newSpot();
    const flags = ['-cachefile', `${spot.folder}/cache`];
    const old = await spot.start(flags);
    await spot.load({ perSecond: 2_000, seconds: 1, names: 'hits' });
    assert.equal((await old.stop()).status, 0);
    const { asked } = spot.upstream;
    const next = await spot.start(flags);
    await eventually('it has read the file', () => (next.said('cache loaded from snapshot') ? true : undefined));
    const { sent, lost } = await spot.load({ perSecond: 2_000, seconds: 1, names: 'hits' });
    assert.deepEqual([lost, spot.upstream.asked - asked < sent / 20], [0, true]);
    await next.stop();
    const bytes = readFileSync(`${spot.folder}/cache`);
    writeFileSync(`${spot.folder}/cache`, bytes.subarray(0, bytes.length - 100));
    const last = await spot.start(flags);
    await eventually('it says so', () => (last.said(': incomplete') ? true : undefined));
    await spot.remove();
  });

  for (const [what, flags] of [
    ['alone', ['-handover=']],
    ['among several', []],
  ] as const) {
    test(`a start that fails, ${what}: the snapshot stays as it was for the next one`, async () => {
      const spot = await newSpot();
      const cache = `${spot.folder}/cache`;
      writeFileSync(cache, 'what an instance before has written');
      const taken = createServer().listen(spot.place.port, spot.place.address);
      await once(taken, 'listening');
      const { status, stderr } = await spot.begin([...flags, '-cachefile', cache]).program.finished;
      taken.close();
      assert.equal(status, 1);
      assert.match(stderr, /address already in use/u);
      assert.equal(readFileSync(cache, 'utf8'), 'what an instance before has written');
      await spot.remove();
    });
  }
});
