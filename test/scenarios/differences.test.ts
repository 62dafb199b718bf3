/** Where answers differ from node-cache's on purpose, as README.md and docs/PROTOCOL.md list it, and no other test shows it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RecordType } from 'dns-packet';
import { encodeQuery } from '../simulation/client.js';
import { record, soa } from '../simulation/records.js';
import type { Asked } from '../simulation/upstream.js';
import { newWorld, simpleCorefile, type World } from './world.js';

const withLines = (lines: string) => simpleCorefile.replace('  cache\n', `  cache\n${lines}\n`);

/** The upstream's answer: the question, and one record of its type with these data, whatever they are. */
function oneRecord({ bytes }: Asked, type: number, data: Buffer): Buffer {
  const question = bytes.subarray(0, bytes.indexOf(0, 12) + 5);
  const message = Buffer.concat([question, Buffer.alloc(12), data]);
  message.writeUInt16BE(0x81_80, 2);
  message.writeUInt16BE(1, 6);
  message.writeUInt32BE(0, 8);
  message.writeUInt16BE(0xc0_0c, question.length);
  message.writeUInt16BE(type, question.length + 2);
  message.writeUInt16BE(1, question.length + 4);
  message.writeUInt32BE(30, question.length + 6);
  message.writeUInt16BE(data.length, question.length + 10);
  return message;
}

/** One that answers every question so. */
async function worldWith(type: number, data: Buffer, corefile = simpleCorefile): Promise<World> {
  const world = await newWorld({ corefile });
  world.upstream.on((asked) => oneRecord(asked, type, data));
  return world;
}

/** The answer as bytes, for what no reader of the tests understands. */
async function bytesFor(world: World, name: string, type: RecordType): Promise<Buffer> {
  const connection = world.client().connects();
  connection.sends(encodeQuery(name, type, 7));
  return world.clock.until(connection.next());
}

const lengths = [
  ['A', 1, 0],
  ['A', 1, 3],
  ['A', 1, 5],
  ['AAAA', 28, 4],
  ['AAAA', 28, 17],
] as const;

describe('on purpose', () => {
  it('names in data and of other owners end in the client’s case, in the types that are compressed', async () => {
    const world = await newWorld();
    world.upstream.on(({ name, question }) => {
      if (name === 'www.example.') {
        const answers = [
          record(question.name, 'CNAME', 30, 'b.web.example'),
          record('b.web.example', 'A', 30, '1.2.3.4'),
        ];
        return { answers };
      }
      if (name === 'no.example.') return { rcode: 3, authorities: soa('no.example', { soaName: 'example' }) };
      return { answers: [record(question.name, 'SRV', 30, { port: 53, target: 'target.example' })] };
    });
    await world.asks('www.example.', 'A');
    const hit = await world.asks('WWW.eXample.', 'A');
    assert.deepEqual(
      hit.message.answers?.map((answer) => [answer.name, (answer as { data: unknown }).data]),
      [
        ['WWW.eXample', 'b.web.eXample'],
        ['b.web.eXample', '1.2.3.4'],
      ],
    );
    assert.equal((await world.asks('no.EXAMPLE.', 'A')).message.authorities?.[0].name, 'EXAMPLE');
    const [service] = (await world.asks('s.EXAMPLE.', 'SRV')).data as { target: string }[];
    assert.equal(service.target, 'target.example', 'RFC 3597 4: not compressed');
  });

  for (const [type, number, bytes] of lengths) {
    it(`${type} of ${bytes} bytes is SERVFAIL after two more tries, whatever the upstream is asked over`, async () => {
      for (const corefile of [simpleCorefile, simpleCorefile.replace(/ \{\n {4}force_tcp\n {2}\}/u, '')]) {
        const world = await worldWith(number, Buffer.alloc(bytes), corefile);
        const answer = await world.asks('a.example.', type, { edns: {} });
        assert.deepEqual([answer.rcode, answer.message.answers], ['SERVFAIL', []]);
        assert.ok(answer.afterMs < 300, `${answer.afterMs} ms`);
        assert.ok(world.upstream.asked('a.example.') <= 4);
      }
    });
  }

  it('an answer past its TTL is given where an address of a wrong length comes', async () => {
    const world = await newWorld();
    world.upstream.answers('a.example.', 'A', ['192.0.2.1'], { ttlSeconds: 1 });
    await world.asks('a.example.', 'A');
    world.upstream.on((asked) => oneRecord(asked, 1, Buffer.alloc(3)));
    await world.passSeconds(5);
    const stale = await world.asks('a.example.', 'A');
    assert.deepEqual([stale.data, stale.ttls], [['192.0.2.1'], [30]]);
    assert.ok(stale.afterMs < 300, `${stale.afterMs} ms`);
  });

  it('TXT that is broken is passed on as it is, on a miss and on a hit', async () => {
    for (const data of [Buffer.alloc(0), Buffer.from('\x09A', 'latin1'), Buffer.from('\x01A\xff', 'latin1')]) {
      const world = await worldWith(16, data);
      for (let time = 1; time <= 2; time++) {
        const answer = await bytesFor(world, 't.example.', 'TXT');
        assert.deepEqual([answer[3] & 0x0f, answer.readUInt16BE(6)], [0, 1]);
        assert.deepEqual(
          answer.subarray(answer.length - data.length - 2),
          Buffer.concat([Buffer.from([0, data.length]), data]),
        );
      }
      assert.equal(world.upstream.asked('t.example.'), 1);
    }
  });

  it('hosts says with a SOA that a name has no such record', async () => {
    const world = await newWorld({ corefile: withLines('  hosts {\n    10.1.0.1 h.example\n    fallthrough\n  }') });
    for (const type of ['AAAA', 'TXT', 'MX'] as const) {
      const { rcode, message } = await world.asks('h.example.', type);
      assert.deepEqual(
        [rcode, message.answers, message.authorities?.map((each) => each.type)],
        ['NOERROR', [], ['SOA']],
      );
    }
  });

  it('a policy for AAAA, the template that means it too, leaves questions for any type to the upstream', async () => {
    for (const policy of [
      'template ANY AAAA {\n    rcode NXDOMAIN\n  }',
      'aaaa nxdomain',
      'aaaa nodata',
      'aaaa smart',
    ]) {
      const world = await newWorld({ corefile: withLines(`  ${policy}`) });
      world.upstream.on(({ question }) => ({ answers: [record(question.name, 'A', 30, '192.0.2.1')] }));
      assert.deepEqual((await world.asks('a.example.', 'ANY')).data, ['192.0.2.1'], policy);
    }
  });

  it('series whose labels need no question are there from the start, at 0', async () => {
    const world = await newWorld({ corefile: withLines('  prometheus 127.0.0.1:9153') });
    const lines = String((await world.get('127.0.0.1:9153', '/metrics')).body).split('\n');
    const server = 'server="dns://169.254.20.10:53"';
    for (const series of [
      `coredns_cache_hits_total{${server},type="success",zones=".",view=""}`,
      `coredns_cache_entries{${server},type="denial",zones=".",view=""}`,
      `coredns_dns_do_requests_total{${server},zone=".",view=""}`,
      'coredns_proxy_conn_cache_hits_total{proxy_name="forward",to="10.96.0.10:53",proto="tcp"}',
      'coredns_forward_max_concurrent_rejects_total',
      'coredns_reload_failed_total',
      'zerohop_dnstap_dropped_messages_total',
    ]) {
      assert.ok(lines.includes(`${series} 0`), series);
    }
    assert.ok(!lines.some((line) => line.startsWith('coredns_dns_requests_total{')), 'type is the question’s');
  });
});
