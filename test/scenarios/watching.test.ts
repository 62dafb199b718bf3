import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Collector, fieldsOf } from '../observe/collector.js';
import { newWorld, simpleCorefile, type World } from './world.js';

const watched = simpleCorefile.replace(
  '  cache\n',
  '  cache\n  log\n  health 169.254.20.10:8080\n  ready 169.254.20.10:8181\n  prometheus 169.254.20.10:9253\n',
);
const get = (world: World, port: number, path: string) => world.get(`169.254.20.10:${port}`, path);
const series = (text: string, name: string) => text.split('\n').filter((line) => line.startsWith(name));

describe('watching', () => {
  it('says healthy while our own socket answers', async () => {
    const world = await newWorld({ corefile: watched });
    assert.deepEqual(await get(world, 8080, '/health'), { status: 200, body: 'OK' });
  });

  it('is ready once an upstream has answered, and not from SIGTERM on', async () => {
    const world = await newWorld({ corefile: watched });
    world.upstream.stop();
    const before = await newWorld({ corefile: watched.replaceAll('10.96.0.10', '10.96.0.99') });
    await before.passSeconds(5);
    assert.equal((await get(before, 8181, '/ready')).status, 503);
    const after = await newWorld({ corefile: watched });
    await after.passSeconds(2);
    assert.equal((await get(after, 8181, '/ready')).status, 200);
    const withLameduck = await newWorld({ corefile: watched.replace('8080\n', '8080 {\n lameduck 2s\n }\n') });
    await withLameduck.passSeconds(2);
    withLameduck.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    const stopping = withLameduck.app.stop();
    await withLameduck.pass(1000);
    assert.equal((await get(withLameduck, 8181, '/ready')).status, 503);
    assert.deepEqual((await withLameduck.asks('a.example.', 'A')).data, ['192.0.2.1'], 'a lame duck still answers');
    await withLameduck.pass(2000);
    await stopping;
  });

  it('is asked at every address that a server block names, and at none that a reload takes away', async () => {
    const block = (zone: string, lines: string) =>
      `${zone} {\n  bind 169.254.20.10\n  forward . 10.96.0.10\n  ${lines}\n}\n`;
    const corefile = [
      block('.', 'health 127.0.0.1:8080 {\n    lameduck 2s\n  }\n  ready'),
      block('cluster.local', 'health [::1]:8080\n  ready 127.0.0.1:8182'),
      block('in-addr.arpa', 'health 169.254.20.10:9254\n  ready [::1]:8182'),
    ];
    const world = await newWorld({ corefile: corefile.join('') });
    await world.passSeconds(2);
    const statuses = async () => {
      const found: number[] = [];
      const health = ['127.0.0.1:8080', '::1:8080', '169.254.20.10:9254'];
      const ready = [':::8181', '127.0.0.1:8182', '::1:8182'];
      for (const at of health) found.push((await world.get(at, '/health')).status);
      for (const at of ready) found.push((await world.get(at, '/ready')).status);
      return found;
    };
    assert.deepEqual(await statuses(), [200, 200, 200, 200, 200, 200]);
    assert.equal(await world.reload(corefile.slice(0, 2).join('')), 'reloaded');
    assert.deepEqual(await statuses(), [200, 200, 404, 200, 200, 404]);
    const stopping = world.app.stop();
    assert.deepEqual((await statuses()).slice(3, 5), [503, 503]);
    await world.pass(5_000);
    await stopping;
  });

  it('is unready again while every upstream is down, only with `monitor continuously`', async () => {
    const ready = async (lines: string) => {
      const world = await newWorld({ corefile: watched.replace('8181\n', `8181 ${lines}\n`) });
      await world.passSeconds(2);
      world.upstream.stop();
      await world.asks('a.example.', 'A');
      await world.passSeconds(3);
      const whileDown = (await get(world, 8181, '/ready')).status;
      await world.upstream.start(world.network);
      await world.passSeconds(3);
      return [whileDown, (await get(world, 8181, '/ready')).status];
    };
    assert.deepEqual(await ready(''), [200, 200]);
    assert.deepEqual(await ready('{\n    monitor continuously\n  }'), [503, 200]);
  });

  it('counts under CoreDNS’s names', async () => {
    const world = await newWorld({ corefile: watched });
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    await world.asks('a.example.', 'A');
    await world.asks('a.example.', 'A');
    await world.asks('a.example.', 'A', { transport: 'tcp' });
    const { body } = await get(world, 9253, '/metrics');
    const at = 'server="dns://169.254.20.10:53"';
    assert.deepEqual(series(body, 'coredns_dns_requests_total'), [
      `coredns_dns_requests_total{${at},zone=".",view="",proto="udp",family="1",type="A"} 2`,
      `coredns_dns_requests_total{${at},zone=".",view="",proto="tcp",family="1",type="A"} 1`,
    ]);
    assert.deepEqual(series(body, 'coredns_dns_responses_total'), [
      `coredns_dns_responses_total{${at},zone=".",view="",rcode="NOERROR",plugin="cache"} 3`,
    ]);
    assert.ok(body.includes(`coredns_cache_hits_total{${at},type="success",zones=".",view=""} 2`));
    assert.ok(body.includes(`coredns_cache_misses_total{${at},zones=".",view=""} 1`));
    assert.ok(body.includes(`coredns_cache_entries{${at},type="success",zones=".",view=""} 1`));
    assert.match(body, /coredns_proxy_request_duration_seconds_count\{.*to="10\.96\.0\.10:53",rcode="NOERROR".*\} 1/u);
  });

  it('shows connections that are open, and those that are suspects while they are silent', async () => {
    const world = await newWorld({ corefile: watched });
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    world.upstream.silent('silent.example.');
    const now = async () => {
      const { body } = await get(world, 9253, '/metrics');
      return ['connections', 'suspect_connections'].map((what) => {
        const [line] = series(body, `zerohop_upstream_${what}{to="10.96.0.10:53"}`);
        return Number(line.split(' ')[1]);
      });
    };
    await world.asks('a.example.', 'A');
    assert.deepEqual(await now(), [1, 0]);
    await world.passSeconds(1);
    const asking = world.asking('silent.example.', 'A');
    await world.pass(450);
    const [open, suspects] = await now();
    assert.ok(open >= 2 && suspects >= 1, `${open} open, ${suspects} suspects`);
    await world.passSeconds(5);
    assert.equal((await asking).rcode, 'SERVFAIL');
    await world.passSeconds(10);
    assert.deepEqual((await now())[1], 0, 'they are closed');
  });

  it('writes the query log in CoreDNS’s words', async () => {
    const world = await newWorld({ corefile: watched });
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    await world.asks('a.example.', 'A', { id: 77 });
    await world.asks('a.example.', 'A', { id: 78 });
    const lines = world.log.filter(({ level }) => level === 'query').map(({ message }) => message);
    assert.equal(lines.length, 2);
    assert.match(
      lines[1],
      /^\[INFO\] 10\.244\.0\.7:\d+ - 78 "A IN a\.example\. udp 27 false 512" NOERROR qr,rd,ra 43 0s$/u,
    );
  });

  it('writes in the query log which upstream has answered, where one was asked', async () => {
    const corefile = `. {
  bind 169.254.20.10
  cache
  metadata
  log . "{name} {/forward/upstream} {/log/type} {/kubernetes/client-namespace} {when}"
  aaaa nodata
  template IN TXT {
    answer "{{ .Name }} 60 IN TXT made"
  }
  forward . 10.96.0.10
}
`;
    const world = await newWorld({ corefile });
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    world.upstream.nxdomain('b.example.');
    world.upstream.silent('silent.example.');
    for (const type of ['A', 'A', 'AAAA', 'TXT'] as const) await world.asks('a.example.', type);
    await world.asks('b.example.', 'A');
    await world.asks('silent.example.', 'A');
    const lines = world.log.filter(({ level }) => level === 'query').map(({ message }) => message);
    assert.deepEqual(lines, [
      '[INFO] a.example. 10.96.0.10:53 NOERROR - {when}',
      '[INFO] a.example. - NOERROR - {when}',
      '[INFO] a.example. - NODATA - {when}',
      '[INFO] a.example. - NOERROR - {when}',
      '[INFO] b.example. 10.96.0.10:53 NXDOMAIN - {when}',
      '[INFO] silent.example. - SERVERERROR - {when}',
    ]);
    assert.equal(world.said('{when} is not a log format field').length, 1);
  });

  it('tells a collector of every query of the block that has dnstap, and of no other', async () => {
    const corefile = simpleCorefile.replace('  cache\n', '  cache\n  dnstap tcp://192.0.2.70:6000 full\n');
    const other = 'other.test {\n  bind 169.254.20.10\n  forward . 10.96.0.10\n}\n';
    const world = await newWorld({ corefile: corefile + other });
    world.upstream.answers('a.example.', 'A', ['192.0.2.1']);
    await world.asks('a.example.', 'A');
    const collector = await new Collector().listen(world.network, { address: '192.0.2.70', port: 6000 });
    await world.passSeconds(3);
    const hit = await world.asks('a.example.', 'A', { id: 78, transport: 'tcp' });
    await world.asks('x.other.test.', 'A');
    await world.passSeconds(1);
    const messages = collector.frames.map((frame) => fieldsOf(fieldsOf(frame)[14][0] as Buffer));
    assert.deepEqual(
      messages.map(({ 1: [type], 3: [protocol] }) => [type, protocol]),
      [
        [5, 1],
        [6, 1],
        [5, 2],
        [6, 2],
      ],
    );
    assert.deepEqual(messages[3][14], [Buffer.from(hit.bytes)]);
    assert.deepEqual((messages[2][10][0] as Buffer).readUInt16BE(0), 78);
    assert.equal(await world.reload(simpleCorefile), 'reloaded');
    await world.passSeconds(1);
    assert.deepEqual([collector.controls.at(-1), collector.isClosed], ['STOP', true]);
  });

  it('stops within its deadline also when an upstream never answers', async () => {
    const world = await newWorld({ corefile: watched });
    world.upstream.silent('silent.example.');
    const asking = world.asking('silent.example.', 'A');
    await world.pass(10);
    const startMs = world.clock.nowMs();
    await world.stop();
    assert.ok(world.clock.nowMs() - startMs < 5000);
    assert.equal((await asking).rcode, 'SERVFAIL');
  });
});
