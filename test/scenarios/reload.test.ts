import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newWorld, simpleCorefile } from './world.js';

const twoZones = `${simpleCorefile}example.org {
  bind 169.254.20.10
  cache
  forward . 192.0.2.53
}
`;

describe('reload', () => {
  it('keeps what is cached of zones that remain', async () => {
    const world = await newWorld({ corefile: twoZones });
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    world.outside.answers('www.example.org.', 'A', ['192.0.2.2']);
    world.upstream.answers('www.example.org.', 'A', ['192.0.2.3']);
    await world.asks('a.example.', 'A');
    await world.asks('www.example.org.', 'A');
    assert.equal(await world.reload(simpleCorefile), 'reloaded');
    await world.asks('a.example.', 'A');
    assert.equal(world.upstream.asked('a.example.'), 1, 'still known');
    assert.deepEqual(
      (await world.asks('www.example.org.', 'A')).data,
      ['192.0.2.3'],
      'the zone is gone, and its cache',
    );
  });

  it('refuses a broken file with its line, counts it, and serves on', async () => {
    const world = await newWorld();
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    await world.asks('a.example.', 'A');
    assert.equal(await world.reload('. {\n  bind 169.254.20.10\n  cachee\n}\n'), 'refused');
    assert.match(world.said('refused')[0].message, /Corefile:3: .*cache/u);
    assert.equal(world.app.counters.total('reloadFailed'), 1);
    await world.asks('a.example.', 'A');
    assert.equal(world.upstream.asked('a.example.'), 1);
  });

  it('does nothing when nothing has changed', async () => {
    const world = await newWorld();
    assert.equal(await world.reload(simpleCorefile), 'unchanged');
  });

  it('answers what was asked under the old configuration', async () => {
    const world = await newWorld();
    world.upstream.answers('slow.example.', 'A', ['192.0.2.1']);
    world.upstream.after(500, 'slow.example.');
    const asking = world.asking('slow.example.', 'A');
    await world.pass(100);
    await world.reload(simpleCorefile.replace('10.96.0.10', '192.0.2.53'));
    await world.pass(1000);
    assert.deepEqual((await asking).data, ['192.0.2.1']);
    assert.equal(world.app.waiting, 0);
    world.outside.answers('new.example.', 'A', ['192.0.2.9']);
    assert.deepEqual((await world.asks('new.example.', 'A')).data, ['192.0.2.9']);
  });

  it('opens listeners that are new and closes those that are gone', async () => {
    const world = await newWorld();
    const moved = simpleCorefile.replace('bind 169.254.20.10', 'bind 169.254.20.10 169.254.20.11');
    assert.equal(await world.reload(moved), 'reloaded');
    assert.deepEqual(
      world.app.endpoints.map(({ address }) => address),
      ['169.254.20.10', '169.254.20.11'],
    );
    assert.equal(await world.reload(simpleCorefile), 'reloaded');
    await world.pass(100);
    assert.deepEqual(
      world.app.endpoints.map(({ address }) => address),
      ['169.254.20.10'],
    );
  });

  it('refuses a configuration whose port is taken, and keeps the old listeners', async () => {
    const world = await newWorld();
    await world.network.openDatagrams({ address: '169.254.20.12', port: 53 }, { datagram() {}, error() {} });
    const taken = simpleCorefile.replace('bind 169.254.20.10', 'bind 169.254.20.10 169.254.20.12');
    assert.equal(await world.reload(taken), 'refused');
    assert.match(world.said('refused')[0].message, /169\.254\.20\.12 port 53: another process/u);
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    assert.deepEqual((await world.asks('a.example.', 'A')).data, ['192.0.2.1']);
  });

  it('forgets what templates that have changed would now say otherwise', async () => {
    const world = await newWorld();
    world.upstream.answers('www.example.org.', 'A', ['192.0.2.1']);
    await world.asks('www.example.org.', 'A');
    const template = '  cache\n  template IN A example.org {\n    answer "{{ .Name }} 60 IN A 198.51.100.7"\n  }\n';
    await world.reload(simpleCorefile.replace('  cache\n', template));
    assert.deepEqual((await world.asks('www.example.org.', 'A')).data, ['198.51.100.7']);
  });
});
