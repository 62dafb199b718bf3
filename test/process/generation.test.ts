import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { Forgetting, newResolvConfFiles } from '../../src/process/generation.js';
import { answerFor } from '../cache/answers.js';
import { newGenerationFixture } from './generation-fixture.js';

function newWorld() {
  const { world, clock } = newGenerationFixture();
  const { cache } = world;
  const store = cache.newStore({ successEntriesMax: 10_000, denialEntriesMax: 10 });
  for (let index = 0; index < 3_000; index++) cache.keep(store, answerFor(`n${index}.${index % 2}.test`), 0);
  return { store, forgetting: new Forgetting(cache, clock), clock };
}
const isOdd = (name: string) => name.endsWith('.1.test.');

test('names are forgotten some at a time', async () => {
  const { store, forgetting, clock } = newWorld();
  forgetting.names(store, isOdd);
  assert.ok(store.success.size > 2_000, `${store.success.size}`);
  let isSome = false;
  const after = clock.after.bind(clock);
  clock.after = (ms, run) => {
    isSome ||= store.success.size > 1_500 && store.success.size < 3_000;
    return after(ms, run);
  };
  await clock.pass(10);
  assert.ok(isSome);
  assert.equal(store.success.size, 1_500);
});

test('what is left to be forgotten can be forgotten at once', () => {
  const { store, forgetting } = newWorld();
  forgetting.names(store, isOdd);
  forgetting.names(store, (name) => name.startsWith('n1'));
  forgetting.finish();
  assert.equal(store.success.size, 1_500 - 555);
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
