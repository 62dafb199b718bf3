import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheWork, newResolvConfFiles } from '../../src/process/generation.js';
import { answerFor } from '../cache/answers.js';
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
