import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, encodeQuery } from './client.js';
import { ManualClock } from './clock.js';
import { MemoryNetwork } from './network.js';
import { seededRandom } from './random.js';
import { record } from './records.js';
import { openUpstream } from './upstream.js';

const at = { address: '10.96.0.10', port: 53 };

async function world() {
  const clock = new ManualClock(0);
  const random = seededRandom(1);
  const network = new MemoryNetwork(clock, random);
  const upstream = await openUpstream(network, clock, at);
  const client = new Client({ network: network.from('10.244.0.7'), clock, random }, at);
  return { clock, network, upstream, client };
}

test('scripted answers come over both transports, and are counted by it', async () => {
  const { clock, network, upstream, client } = await world();
  upstream.answers('a.example.', 'A', ['192.0.2.1', '192.0.2.2'], { ttlSeconds: 7 });
  for (const transport of ['udp', 'tcp'] as const) {
    const answer = await clock.until(client.asks('A.example.', 'A', { transport, id: 77 }));
    assert.equal(answer.rcode, 'NOERROR');
    assert.deepEqual(answer.data, ['192.0.2.1', '192.0.2.2']);
    assert.deepEqual(answer.ttls, [7, 7]);
    assert.equal(answer.message.id, 77);
    assert.equal(answer.message.questions?.[0].name, 'A.example');
    assert.deepEqual([answer.message.flag_qr, answer.message.flag_rd, answer.message.flag_ra], [true, true, true]);
    assert.equal(answer.opt, undefined);
  }
  assert.equal(upstream.asked('a.EXAMPLE', 'A'), 2);
  assert.equal(upstream.asked('a.example.', 'A', 'tcp'), 1);
  assert.equal(upstream.asked('a.example.', 'AAAA'), 0);
  assert.equal(upstream.questions[0].from.address, '10.244.0.7');
  assert.equal(network.traffic('udp', at).packetsToServer, 1);
});

test('negative answers carry the SOA asked for, or none', async () => {
  const { clock, upstream, client } = await world();
  upstream.nxdomain('no.example.', { soaMinimum: 5, soaTtl: 60 });
  upstream.nodata('a.example.', 'AAAA', { soaName: null });
  const nxdomain = await clock.until(client.asks('no.example.', 'A'));
  assert.equal(nxdomain.rcode, 'NXDOMAIN');
  assert.deepEqual(nxdomain.ttls, [60]);
  const [authority] = nxdomain.message.authorities ?? [];
  assert.equal((authority as { data: { minimum: number } }).data.minimum, 5);
  const nodata = await clock.until(client.asks('a.example.', 'AAAA'));
  assert.deepEqual([nodata.rcode, nodata.ttls], ['NOERROR', []]);
});

test('what was said last counts, and what was not said is refused', async () => {
  const { clock, upstream, client } = await world();
  const rcode = async (): Promise<string> => (await clock.until(client.asks('a.example.', 'A'))).rcode;
  assert.equal(await rcode(), 'REFUSED');
  upstream.answers('a.example.', 'A', ['192.0.2.1']);
  assert.equal(await rcode(), 'NOERROR');
  upstream.servfail('a.example.');
  assert.equal(await rcode(), 'SERVFAIL');
  upstream.on((asked) => (asked.type === 'A' ? { answers: [record(asked.name, 'A', 1, '192.0.2.9')] } : undefined));
  assert.equal(await rcode(), 'NOERROR');
});

test('silence ends in the client giving up', async () => {
  const { clock, upstream, client } = await world();
  upstream.silent('a.example.');
  for (const transport of ['udp', 'tcp'] as const) {
    await assert.rejects(clock.until(client.asks('a.example.', 'A', { transport, timeoutMs: 300 })), /no answer/);
  }
  assert.equal(clock.nowMs(), 600);
});

test('answers that do not fit over UDP come with TC, by script or by size, and whole over TCP', async () => {
  const { clock, upstream, client } = await world();
  const many = Array.from({ length: 60 }, (_, n) => `192.0.2.${n}`);
  upstream.answers('big.example.', 'A', many);
  upstream.answers('small.example.', 'A', ['192.0.2.1']);
  upstream.truncates('small.example.');
  for (const [name, count] of [
    ['big.example.', 60],
    ['small.example.', 1],
  ] as const) {
    const cut = await clock.until(client.asks(name, 'A'));
    assert.deepEqual([cut.message.flag_tc, cut.data.length], [true, 0]);
    const whole = await clock.until(client.asks(name, 'A', { transport: 'tcp' }));
    assert.deepEqual([whole.message.flag_tc, whole.data.length], [false, count]);
  }
  const edns = await clock.until(client.asks('big.example.', 'A', { edns: { size: 4096, dnssecOk: true } }));
  assert.equal(edns.data.length, 60);
  assert.equal(edns.opt?.flag_do, true);
});

test('answers can be late, all or one name, and a serial server makes them wait in line', async () => {
  const { clock, upstream, client } = await world();
  upstream.answers('fast.example.', 'A', ['192.0.2.1']);
  upstream.answers('slow.example.', 'A', ['192.0.2.2']);
  upstream.after(10);
  upstream.after(100, 'slow.example.');
  assert.equal((await clock.until(client.asks('fast.example.', 'A'))).afterMs, 10);
  const ask = (): number[] => {
    const connection = client.connects();
    connection.sends(encodeQuery('slow.example.', 'A', 1), encodeQuery('fast.example.', 'A', 2));
    clock.passMs(50);
    const early = connection.ids;
    clock.passMs(100);
    assert.deepEqual(connection.ids.toSorted(), [1, 2]);
    return early;
  };
  assert.deepEqual(ask(), [2]);
  upstream.isSerial = true;
  assert.deepEqual(ask(), []);
});

test('a server that stops refuses, closes its connections, and may come back', async () => {
  const { clock, network, upstream, client } = await world();
  upstream.answers('a.example.', 'A', ['192.0.2.1']);
  const connection = client.connects();
  clock.passMs(0);
  assert.equal(upstream.connectionsOpen, 1);
  upstream.stop();
  clock.passMs(0);
  assert.deepEqual(connection.log, ['opened', 'ended']);
  connection.end();
  clock.passMs(0);
  assert.equal(connection.isClosed, true);
  await assert.rejects(clock.until(client.asks('a.example.', 'A')), { code: 'ECONNREFUSED' });
  await assert.rejects(clock.until(client.asks('a.example.', 'A', { transport: 'tcp' })), /ECONNREFUSED/);
  await upstream.start(network);
  assert.equal((await clock.until(client.asks('a.example.', 'A'))).rcode, 'NOERROR');
  assert.equal(network.open.connections, 0);
});
