import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { zonePlaces } from '../../src/counters.js';
import { idleNumbersKept } from '../../src/limits.js';
import { newWorld, simpleCorefile } from './world.js';

const twoZones = `${simpleCorefile}example.org {
  bind 169.254.20.10
  cache
  forward . 192.0.2.53
}
`;

/** Everything, and this zone, counted. */
function withMetrics(zone: string): string {
  const directives = '  bind 169.254.20.10\n  cache\n  prometheus 127.0.0.1:9153\n  forward . 10.96.0.10\n';
  return `. {\n${directives}}\n${zone} {\n${directives}}\n`;
}

/** The requests counted for a zone; null when it has no series. */
function requestsTo(metrics: string, zone: string): number | null {
  const lines = metrics
    .split('\n')
    .filter((line) => line.startsWith('coredns_dns_requests_total{') && line.includes(`zone="${zone}"`));
  return lines.length === 0 ? null : lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

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

  it('keeps the memory of the cache as it is, and warns of capacities that need more', async () => {
    const withCapacity = (entries: number) =>
      simpleCorefile.replace('  cache\n', `  cache {\n    success ${entries}\n  }\n`);
    const world = await newWorld({ corefile: withCapacity(200_000) });
    const warnings = () => world.said('restart zerohop').map(({ level, message }) => `${level}: ${message}`);
    assert.equal(await world.reload(withCapacity(100_000)), 'reloaded');
    assert.equal(await world.reload(withCapacity(200_001)), 'reloaded');
    assert.deepEqual(warnings(), []);
    assert.equal(await world.reload(withCapacity(1_000_000)), 'reloaded');
    assert.deepEqual(warnings(), [
      'warn: cache: the new capacities need 494 MiB, the memory has 103 MiB since the start; restart zerohop to raise it',
    ]);
  });

  it('counts zones that come and go in a bounded memory, and never one for another', async () => {
    const world = await newWorld({ corefile: withMetrics('first.example') });
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    const reloads = 2_000;
    let asked = 0;
    for (let round = 0; round < reloads; round++) {
      assert.equal(await world.reload(withMetrics(`zone${round}.example`)), 'reloaded');
      if (round % 7 === 0) {
        asked++;
        await world.asks('a.example.', 'A');
        world.upstream.answers(`www.zone${round}.example.`, 'A', ['192.0.2.1']);
        for (let times = 0; times <= round % 3; times++) await world.asks(`www.zone${round}.example.`, 'A');
        const { body } = await world.get('127.0.0.1:9153', '/metrics');
        assert.equal(requestsTo(body, '.'), asked, 'what stays is counted on');
        assert.equal(requestsTo(body, `zone${round}.example.`), (round % 3) + 1, `round ${round}`);
        assert.equal(requestsTo(body, `zone${round - 1}.example.`), null);
      }
      await world.pass(200);
    }
    const { zones } = world.app.counters;
    assert.ok(zones.length / zonePlaces.count < idleNumbersKept + 60, `${zones.length / zonePlaces.count} zones`);
  });

  it('refuses a broken file with its line, counts it, and serves on', async () => {
    const world = await newWorld();
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    await world.asks('a.example.', 'A');
    assert.equal(await world.reload('. {\n  bind 169.254.20.10\n  cachee\n}\n'), 'refused');
    assert.match(world.said('rejected')[0].message, /Corefile:3: .*cache/u);
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
    assert.match(world.said('rejected')[0].message, /169\.254\.20\.12 port 53: address already in use/u);
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
