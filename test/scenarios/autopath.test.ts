import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answer } from 'dns-packet';
import { slowDeadlineMs, sweepPeriodMs } from '../../src/limits.js';
import { newWorld, simpleCorefile, type World } from './world.js';

const pods = 'search default.svc.cluster.local svc.cluster.local cluster.local\n';
const corefile = simpleCorefile.replace(
  '  cache\n',
  '  cache 30\n  reload 2s 0s\n  prometheus 127.0.0.1:9153\n  autopath /etc/pods.conf\n',
);
const asked = 'www.example.default.svc.cluster.local.';

async function worldWith(search = pods, text = corefile): Promise<World> {
  const world = await newWorld({ corefile: text, files: { '/etc/pods.conf': search } });
  for (const domain of ['default.svc.cluster.local.', 'svc.cluster.local.', 'cluster.local.']) {
    world.upstream.nxdomain(`www.example.${domain}`);
  }
  world.upstream.answers('www.example.', 'A', ['192.0.2.1'], { ttlSeconds: 20 });
  world.upstream.nodata('www.example.', 'AAAA');
  return world;
}

const written = (records: readonly Answer[] = []) =>
  records.map((record) => `${record.name} ${record.type} ${(record as { data: unknown }).data}`);

describe('autopath', () => {
  it('answers the first name of a search path with the one that is there, asked once for all', async () => {
    const world = await worldWith();
    const asks = [world.asking(asked, 'A'), world.asking(asked.toUpperCase(), 'A', { transport: 'tcp' })];
    await world.pass(50);
    for (const { message } of await Promise.all(asks)) {
      const [{ name }] = message.questions!;
      assert.deepEqual(written(message.answers), [`${name} CNAME www.example`, 'www.example A 192.0.2.1']);
    }
    await world.asks(asked, 'A');
    assert.equal(world.upstream.asked('www.example.', 'A'), 1);
    assert.equal(world.upstream.asked(asked), 1);
    const { body } = await world.get('127.0.0.1:9153', '/metrics');
    assert.match(body, /^coredns_autopath_success_total\{server="dns:\/\/169\.254\.20\.10:53"\} 1$/mu);
  });

  it('says of AAAA what fits the A: the same name, without such records', async () => {
    const world = await worldWith();
    const { rcode, message } = await world.asks(asked, 'AAAA');
    assert.deepEqual([rcode, written(message.answers)], ['NOERROR', [`${asked.slice(0, -1)} CNAME www.example`]]);
    assert.equal(message.authorities?.[0].type, 'SOA');
  });

  it('denies what is nowhere, and keeps that', async () => {
    const world = await worldWith();
    world.upstream.nxdomain('www.example.');
    for (const time of [1, 2]) assert.equal((await world.asks(asked, 'A')).rcode, 'NXDOMAIN', `${time}`);
    assert.equal(world.upstream.asked('www.example.'), 1);
  });

  it('denies a name that fails for now, within the time of one query, and keeps nothing', async () => {
    const world = await worldWith();
    world.upstream.after(600, 'www.example.svc.cluster.local.');
    world.upstream.silent('www.example.');
    const latestMs = slowDeadlineMs + 2 * sweepPeriodMs;
    const { rcode, afterMs } = await world.asks(asked, 'A');
    assert.equal(rcode, 'NXDOMAIN');
    assert.ok(afterMs < latestMs, `${afterMs} ms`);
    world.upstream.answers('www.example.', 'A', ['192.0.2.1']);
    assert.deepEqual(written((await world.asks(asked, 'A')).message.answers).length, 2);
  });

  it('walks to what is made here too, and behind rewritten names', async () => {
    const lines =
      'template IN A www.example {\n answer "{{ .Name }} 9 IN A 192.0.2.9"\n }\n rewrite name exact short.test www.example.default.svc.cluster.local';
    const world = await worldWith(pods, corefile.replace('  reload', `  ${lines}\n  reload`));
    assert.deepEqual(written((await world.asks('short.test.', 'A')).message.answers), [
      'short.test CNAME www.example',
      'www.example A 192.0.2.9',
    ]);
  });

  it('follows the file: what it kept by another path is forgotten', async () => {
    const world = await worldWith('search default.svc.cluster.local\n');
    world.upstream.answers('www.example.svc.cluster.local.', 'A', ['192.0.2.5']);
    assert.deepEqual(written((await world.asks(asked, 'A')).message.answers).at(-1), 'www.example A 192.0.2.1');
    world.files.set('/etc/pods.conf', pods);
    await world.passSeconds(5);
    assert.deepEqual(
      written((await world.asks(asked, 'A')).message.answers).at(-1),
      'www.example.svc.cluster.local A 192.0.2.5',
    );
  });
});
