import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { nameToWire } from '../../src/dns/names.js';
import { CacheWork, Generation, newResolvConfFiles } from '../../src/process/generation.js';
import type { ServedZone } from '../../src/resolve/zones.js';
import { answerFor } from '../cache/answers.js';
import { loadOptions } from '../resolve/context-fixture.js';
import { newGenerationFixture } from './generation-fixture.js';

function newWorld() {
  const { world, clock } = newGenerationFixture();
  const { cache } = world;
  const [store, next] = [1, 2].map(() => cache.newStore({ successEntriesMax: 10_000, denialEntriesMax: 10 }));
  for (let index = 0; index < 3_000; index++) cache.keep(store, answerFor(`n${index}.test`), 0);
  return { cache, store, next, work: new CacheWork(clock), clock };
}

describe('CacheWork', () => {
  it('does some at once, and the rest in later turns', async () => {
    const { cache, store, work, clock } = newWorld();
    let count = 0;
    work.order(cache.forget(store, () => count++ % 2 === 0));
    const atOnce = store.success.size;
    assert.ok(atOnce < 3_000 && atOnce > 2_000, `${atOnce}`);
    await clock.pass(10);
    assert.equal(store.success.size, 1_500);
  });

  it('does one after the other, also what is ordered meanwhile', async () => {
    const { cache, store, next, work, clock } = newWorld();
    work.order(cache.move(store, () => next));
    assert.ok(next.success.size < 3_000);
    work.order(cache.dissolve(store));
    work.order(cache.move(next, () => store));
    await clock.pass(20);
    assert.deepEqual([store.success.size, next.success.size], [3_000, 0]);
  });

  it('begins anew when it has done all', async () => {
    const { cache, store, next, work, clock } = newWorld();
    work.order(cache.move(store, () => next));
    await clock.pass(20);
    work.order(cache.dissolve(next));
    await clock.pass(20);
    assert.deepEqual([next.success.size, cache.usedBytes], [0, 0]);
  });
});

describe('Generation for workers that ask by themselves', () => {
  const forwardTo = (address: string) => `forward . ${address} {\n force_tcp\n }\n`;
  const block = (zone: string, lines: string, bind = '192.0.2.10') => `${zone} {\n bind ${bind}\n ${lines}\n}\n`;

  function newGeneration(corefile: string) {
    const fixture = newGenerationFixture();
    const generation = new Generation(parseConfig(corefile, 'Corefile', loadOptions), fixture.world);
    const zone = (name: string): ServedZone => {
      const wire = Buffer.from(nameToWire(name));
      return generation.listeners.flatMap(({ zones }) => zones).find((one) => wire.equals(one.wire)) as ServedZone;
    };
    return { ...fixture, generation, zone, mayAsk: (name: string) => zone(name).asks?.mayAsk[0] };
  }

  it('has a home for their answers in each zone in which they ask, and in no other', () => {
    const { generation, zone } = newGeneration(
      block('a.test b.test', `cache\n ${forwardTo('192.0.2.1')}`) +
        block('c.test', forwardTo('192.0.2.1')) +
        block('d.test', 'cache\n forward . 192.0.2.1') +
        block('e.test', `cache e.test\n log\n ${forwardTo('192.0.2.1')}`) +
        block('f.test', `cache g.f.test\n ${forwardTo('192.0.2.1')}`),
    );
    const homes = ['a.test', 'b.test', 'c.test', 'd.test', 'e.test', 'f.test', 'g.f.test'].map((name) => {
      return { name, home: generation.directHome(zone(name).zoneId), asks: zone(name).asks };
    });
    assert.deepEqual(
      homes.filter(({ asks }) => asks !== null).map(({ name }) => name),
      ['a.test', 'b.test', 'g.f.test'],
    );
    assert.deepEqual(
      homes.filter(({ home }) => home !== null).map(({ name }) => name),
      ['a.test', 'b.test', 'f.test', 'g.f.test'],
      'f.test has its number in common with g.f.test, where they ask',
    );
    const [one, other] = homes;
    assert.equal(one.home?.store, generation.blocks[0].store);
    assert.equal(other.home?.store, generation.blocks[0].store);
    assert.equal(one.asks, other.asks, 'one word for the block');
    assert.equal(generation.directHome(999), null);
    generation.discard();
  });

  it('says there whether positive answers are preferred', () => {
    const preferring = 'cache {\n serve_stale 1h verify\n serve_stale_policy prefer_positive\n }\n';
    const { generation, zone } = newGeneration(
      block('a.test', `cache\n ${forwardTo('192.0.2.1')}`) + block('b.test', preferring + forwardTo('192.0.2.1')),
    );
    const prefers = ['a.test', 'b.test'].map((name) => generation.directHome(zone(name).zoneId)?.preferPositive);
    assert.deepEqual(prefers, [false, true]);
    generation.discard();
  });

  it('lets them ask once the upstream has answered, while it is well', () => {
    const { generation, mayAsk } = newGeneration(block('a.test', `cache\n ${forwardTo('192.0.2.1')}`));
    const stats = statsOf(generation);
    assert.equal(mayAsk('a.test'), 0);
    stats.answered();
    assert.equal(mayAsk('a.test'), 1);
    stats.healthy = false;
    assert.equal(mayAsk('a.test'), 0);
    stats.looping = true;
    stats.healthy = true;
    assert.equal(mayAsk('a.test'), 0);
    stats.looping = false;
    assert.equal(mayAsk('a.test'), 1);
    generation.discard();
  });

  it('lets none ask an upstream that is a listener of ours, from which some names may come back', () => {
    const { generation, mayAsk } = newGeneration(
      block('a.test', `cache\n ${forwardTo('192.0.2.11')}`) +
        block('.', `cache\n ${forwardTo('192.0.2.1')}`, '192.0.2.11') +
        block('c.test', `cache\n ${forwardTo('192.0.2.10')}`),
    );
    for (const { forwards } of generation.blocks) for (const stats of forwards.upstreams()) stats.answered();
    assert.deepEqual([mayAsk('a.test'), mayAsk('.'), mayAsk('c.test')], [0, 1, 0]);
    generation.discard();
  });

  it('counts what they were answered as the upstream’s, until it is stopped', () => {
    const { generation, zone, clock, mayAsk } = newGeneration(block('a.test', `cache\n ${forwardTo('192.0.2.1')}`));
    const home = generation.directHome(zone('a.test').zoneId)!;
    const stats = statsOf(generation);
    home.answered(0, 3, clock.nowMs());
    home.answered(3, 5, clock.nowMs());
    assert.deepEqual([...stats.durations.keys()], ['NOERROR', 'NXDOMAIN']);
    assert.deepEqual([stats.reused, mayAsk('a.test')], [[0, 2], 1]);
    generation.stop();
    home.answered(0, 3, clock.nowMs());
    assert.deepEqual(stats.reused, [0, 2]);
  });
});

/** The numbers and the state of the first block's only upstream. */
function statsOf({ blocks }: Generation) {
  const [stats] = blocks[0].forwards.upstreams();
  return stats;
}

const path = '/etc/resolv.conf';
const systemd = '/run/systemd/resolve/resolv.conf';

function reading(texts: Record<string, string>) {
  const files = new Map(Object.entries(texts));
  const lines: string[] = [];
  const say = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
  return { files, lines, resolvConfs: newResolvConfFiles((name) => files.get(name), log) };
}

describe('newResolvConfFiles', () => {
  it('gives the servers of a file and says once which', () => {
    const { resolvConfs, lines } = reading({ [path]: 'nameserver 192.0.2.1\nnameserver 2001:db8::1\n' });
    const servers = [
      { address: '192.0.2.1', port: 53 },
      { address: '2001:db8::1', port: 53 },
    ];
    assert.deepEqual(resolvConfs.read(path, ['169.254.20.10']), servers);
    assert.deepEqual(resolvConfs.read(path, ['169.254.20.10']), servers);
    assert.deepEqual(lines, ['info: upstreams 192.0.2.1, 2001:db8::1 from /etc/resolv.conf']);
  });

  it('says what is in another file instead', () => {
    const { resolvConfs, lines } = reading({ [path]: 'nameserver 127.0.0.53\n', [systemd]: 'nameserver 192.0.2.1\n' });
    assert.deepEqual(resolvConfs.read(path, []), [{ address: '192.0.2.1', port: 53 }]);
    assert.deepEqual(lines, [`info: upstreams 192.0.2.1 from ${systemd}, because ${path} lists only this server`]);
  });

  it('leaves out our own addresses', () => {
    const { resolvConfs } = reading({ [path]: 'nameserver 169.254.20.10\nnameserver 192.0.2.1\n' });
    assert.deepEqual(resolvConfs.read(path, ['169.254.20.10']), [{ address: '192.0.2.1', port: 53 }]);
  });

  it('says once why there are none, and again only when that or the servers have changed', () => {
    const { resolvConfs, lines, files } = reading({});
    const read = () => resolvConfs.read(path, []);
    const why = `${path}: cannot be read; mount the node's file there.`;
    assert.deepEqual([read(), read()], [{ error: why }, { error: why }]);
    files.set(path, 'nameserver 192.0.2.1\n');
    read();
    read();
    files.set(path, 'options ndots:5\n');
    read();
    files.set(path, 'options ndots:5\nnameserver 192.0.2.1\n');
    read();
    assert.deepEqual(lines, [
      `error: ${why}`,
      `info: upstreams 192.0.2.1 from ${path}`,
      `error: ${path}: no nameserver line; add "nameserver ADDRESS".`,
      `info: upstreams 192.0.2.1 from ${path}`,
    ]);
  });

  it('keeps what it has said of each file apart', () => {
    const { resolvConfs, lines } = reading({ [path]: 'nameserver 192.0.2.1\n', '/other': 'nameserver 192.0.2.1\n' });
    for (const name of [path, '/other', path]) resolvConfs.read(name, []);
    assert.equal(lines.length, 2);
  });
});
