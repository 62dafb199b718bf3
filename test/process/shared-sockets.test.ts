import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import packets from 'dns-packet';
import { kindSuccess } from '../../src/cache/blocks.js';
import { Epochs } from '../../src/cache/epochs.js';
import { Counters, countersMemory } from '../../src/counters.js';
import { systemClock } from '../../src/os/clock.js';
import { systemRandom } from '../../src/os/random.js';
import { openWorkers, sharedNode } from '../../src/process/shared-sockets.js';
import { calls, eventually, newGroups, openClient, skip } from '../os/loopback-sockets.js';
import { fixture, query } from '../resolve/context-fixture.js';

const say = (): void => {};
const wishes = {
  random: systemRandom(),
  log: { debug: say, info: say, warn: say, error: say },
  path: '/run/zerohop/handover.sock',
  version: '1',
};

test('without the system calls nothing is shared', () => {
  const node = sharedNode({ calls: null, why: 'no koffi' }, wishes);
  assert.deepEqual(node, { calls: null, why: 'no koffi' });
});

test('without a path ports are opened so, but there is nobody to meet', { skip }, () => {
  const node = sharedNode({ calls }, { ...wishes, path: null });
  assert.equal(node.succession, undefined);
  const fd = node.bindHttp?.({ address: '127.0.0.1', port: 0 }) as number;
  assert.equal(node.calls === null ? 0 : Object.keys(node.groups.layout()).length, 1);
  calls.close(fd);
  assert.notEqual(sharedNode({ calls }, wishes).succession, undefined);
});

function newWorld() {
  const lines: string[] = [];
  const say = (message: string): void => void lines.push(message);
  const { cache, listener, store } = fixture('a.test {\n    cache\n    aaaa nodata\n    forward . 192.0.2.1\n}\n');
  const counters = new Counters(countersMemory(4));
  const log = { debug: say, info: say, warn: say, error: say };
  return {
    clock: systemClock(),
    log,
    random: systemRandom(),
    counters,
    blocks: cache.blocks,
    epochs: new Epochs(),
    firstHits: null,
    ownMark: 7,
    lines,
    listener,
    cache,
    store,
  };
}

test('ZEROHOP_IO=portable leaves UDP to the event loop and says so in one line', () => {
  const world = newWorld();
  assert.equal(openWorkers({ threads: 1, system: { calls: null, why: 'ZEROHOP_IO=portable' } })(world), null);
  assert.deepEqual(world.lines, ['serving UDP in the event loop, not in workers: ZEROHOP_IO=portable']);
});

describe('answeringThreads', { skip }, () => {
  test('answers by the zones and from the cache, and hands over what is in neither', async () => {
    const world = newWorld();
    const { listener, cache, store } = world;
    const threads = openWorkers({ threads: 1, system: { calls, groups: newGroups() } })(world)!;
    const deferred: string[] = [];
    const udp = await threads.open({
      at: { address: '127.0.0.1', port: 0 },
      table: () => listener.table,
      serve(packet, client) {
        deferred.push(packets.decode(Buffer.from(packet)).questions![0].name);
        client.reply(null);
      },
      refresh() {},
      refuse() {},
      keep() {},
    });
    const client = await openClient();
    const ask = async (name: string, type: string) => {
      await client.send(query(name, type), udp.local.port);
      return packets.decode(Buffer.from(await client.receive(), 'latin1'));
    };
    const denied = await ask('x.a.test', 'AAAA');
    assert.deepEqual([denied.answers!.length, denied.authorities!.length], [0, 1]);

    const message = packets.encode({
      type: 'response',
      flags: packets.RECURSION_DESIRED,
      questions: [{ name: 'kept.a.test', type: 'A', class: 'IN' }],
      answers: [{ name: 'kept.a.test', type: 'A', ttl: 60, data: '192.0.2.7' }],
    });
    const questionEnd = 12 + 13 + 4;
    const ttlOffsets = Uint16Array.from([message.length - 10]);
    const [zone] = listener.zones;
    const bytes = { message, messageBytes: message.length, questionEnd, ttlOffsets, records: 1 };
    const meaning = { kind: kindSuccess, zoneId: zone.zoneId, key: 0, lifetimeMs: 60_000 } as const;
    cache.keep(store, { ...bytes, ...meaning }, world.clock.nowMs());
    const kept = await ask('KEPT.a.test', 'A');
    assert.deepEqual(
      kept.answers!.map((record) => (record as packets.StringAnswer).data),
      ['192.0.2.7'],
    );

    await client.send(query('unknown.a.test', 'A'), udp.local.port);
    await eventually(() => deferred.length > 0);
    assert.deepEqual(deferred, ['unknown.a.test']);
    await threads.end();
    client.close();
  });
});
