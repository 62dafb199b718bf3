/** No record outlives its TTL, wherever in an answer it stands (RFC 1035 3.2.1, RFC 2181 8, RFC 2308 5). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answer } from 'dns-packet';
import type { ClientAnswer } from '../simulation/client.js';
import { record, soa } from '../simulation/records.js';
import type { ReplyRecords } from '../simulation/upstream.js';
import { newWorld, opening, simpleCorefile, type World } from './world.js';

const withCache = (option: string) => simpleCorefile.replace('  cache\n', `  cache {\n    ${option}\n  }\n`);
const service = '_http._tcp.example.';
const srv = (ttl: number, target: string) => record(service, 'SRV', ttl, { port: 80, target });

/** A world whose upstream says this about everything; `says` changes it. */
async function saying(
  reply: ReplyRecords,
  corefile = simpleCorefile,
): Promise<{ world: World; says(next: ReplyRecords): void }> {
  const world = await newWorld({ corefile });
  let current = reply;
  world.upstream.on(() => current);
  const says = (next: ReplyRecords) => {
    current = next;
  };
  return { world, says };
}

const additionals = ({ message }: ClientAnswer): Answer[] =>
  (message.additionals ?? []).filter(({ type }) => type !== 'OPT');
const dataIn = (section: Answer[] = []) => section.map((one) => (one as { data?: unknown }).data);

/** Asks every second for so long, from when it is asked first, and gives the second at which the upstream was asked again. */
async function askedAgainAfter(world: World, name: string, type: string, how = {}): Promise<number> {
  for (let seconds = 0; seconds <= 400; seconds++) {
    const asked = world.upstream.asked(name);
    const answer = await world.asks(name, type, how);
    if (seconds > 0 && world.upstream.asked(name) > asked) return seconds;
    if (seconds > 0) assert.ok(!answer.ttls.includes(0), `TTL 0 after ${seconds} s`);
    await world.clock.pass(1_000 - answer.afterMs);
  }
  return Number.POSITIVE_INFINITY;
}

describe('a denial', () => {
  const alias = (ttl: number) => [record('a.example', 'CNAME', ttl, 'b.example')];

  for (const rcode of [3, 0]) {
    const what = rcode === 3 ? 'NXDOMAIN' : 'NODATA';

    it(`(${what}) behind an alias lives no longer than the alias, and no longer than its SOA says`, async () => {
      const { world, says } = await saying({
        rcode,
        answers: alias(2),
        authorities: soa('b.example', { soaMinimum: 60 }),
      });
      const first = await world.asks('a.example.', 'A');
      assert.deepEqual(first.ttls, [2, 2]);
      assert.equal(await askedAgainAfter(world, 'a.example.', 'A'), 2);
      says({ rcode, answers: alias(60), authorities: soa('b.example', { soaMinimum: 3 }) });
      await world.asks('c.example.', 'A');
      assert.equal(await askedAgainAfter(world, 'c.example.', 'A'), 3);
    });

    it(`(${what}) without SOA is not kept, behind an alias either`, async () => {
      const { world } = await saying({ rcode, answers: alias(300) });
      assert.deepEqual((await world.asks('a.example.', 'A')).data, ['b.example']);
      await world.asks('a.example.', 'A');
      assert.equal(world.upstream.asked('a.example.', 'A'), 2);
    });
  }

  it('of DNAME is the same', async () => {
    const answers = [record('example', 'DNAME', 300, 'test'), record('a.example', 'CNAME', 300, 'a.test')];
    const { world, says } = await saying({ answers });
    for (let times = 0; times < 2; times++) await world.asks('a.example.', 'A');
    assert.equal(world.upstream.asked('a.example.', 'A'), 2);
    says({ answers: [...answers, record('a.test', 'A', 2, '192.0.2.1')] });
    await world.asks('a.example.', 'A');
    assert.equal(await askedAgainAfter(world, 'a.example.', 'A'), 2);
  });

  it('does not last longer by a minimum that is not for it', async () => {
    const reply = { rcode: 3, answers: alias(2), authorities: soa('b.example', { soaMinimum: 60 }) };
    const raised = await saying(reply, withCache('denial 9984 1800 20'));
    assert.equal(await askedAgainAfter(raised.world, 'a.example.', 'A'), 20);
    const other = await saying(reply, withCache('success 9984 3600 20'));
    assert.equal(await askedAgainAfter(other.world, 'a.example.', 'A'), 2);
  });

  it('that asks for the alias itself, or for anything, is none', async () => {
    const { world } = await saying({ answers: alias(300) });
    for (const type of ['CNAME', 'ANY']) {
      await world.asks('a.example.', type);
      assert.deepEqual((await world.asks('a.example.', type)).data, ['b.example']);
      assert.equal(world.upstream.asked('a.example.', type as never), 1);
    }
  });
});

describe('an additional record', () => {
  const address = (ttl: number, data: string) => record('w.example', 'A', ttl, data);

  for (const ttl of [0, 2]) {
    it(`with TTL ${ttl} is given to those who wait for it, and to nobody later`, async () => {
      const { world } = await saying({ answers: [srv(300, 'w.example')], additionals: [address(ttl, '192.0.2.1')] });
      const waiting = [world.asking(service, 'SRV', { edns: {} }), world.asking(service, 'SRV')];
      for (const one of waiting) {
        const answer = await opening(world.clock, one);
        assert.deepEqual([dataIn(additionals(answer)), answer.ttls], [['192.0.2.1'], [300, ttl]]);
      }
      for (const seconds of [0, 1, 8, 200]) {
        await world.passSeconds(seconds);
        const later = await world.asks(service, 'SRV', { edns: {} });
        assert.deepEqual([later.data.length, additionals(later), later.message.flag_tc], [1, [], false]);
      }
      assert.equal(world.upstream.asked(service), 1);
    });
  }

  it('that lasts as long as its answer is kept with it', async () => {
    const { world } = await saying({
      answers: [srv(5, 'w.example')],
      additionals: [address(5, '192.0.2.1'), address(9, '192.0.2.2')],
    });
    await world.asks(service, 'SRV');
    await world.passSeconds(4);
    const later = await world.asks(service, 'SRV');
    assert.deepEqual(
      [dataIn(additionals(later)), later.ttls],
      [
        ['192.0.2.1', '192.0.2.2'],
        [1, 1, 5],
      ],
    );
    assert.equal(world.upstream.asked(service), 1);
  });

  it('lasts as long as the Corefile makes it last', async () => {
    const { world } = await saying(
      { answers: [srv(300, 'w.example')], additionals: [address(2, '192.0.2.1')] },
      withCache('success 9984 30 30'),
    );
    await world.asks(service, 'SRV');
    await world.passSeconds(8);
    const later = await world.asks(service, 'SRV');
    assert.deepEqual([dataIn(additionals(later)), later.ttls], [['192.0.2.1'], [22, 22]]);
  });

  it('does not come back when its answer is stale', async () => {
    const { world, says } = await saying({ answers: [srv(10, 'w.example')], additionals: [address(2, '192.0.2.1')] });
    await world.asks(service, 'SRV');
    await world.passSeconds(11);
    says({ rcode: 2 });
    const stale = await world.asks(service, 'SRV');
    assert.deepEqual([stale.ttls, additionals(stale)], [[30], []]);
  });
});

describe('an authority record', () => {
  const answers = [record('a.example', 'A', 300, '192.0.2.1')];

  it('of a positive answer that names servers ends with its TTL, the answer does not', async () => {
    const { world } = await saying({
      answers,
      authorities: [record('example', 'NS', 2, 'ns.example')],
      additionals: [record('ns.example', 'A', 300, '192.0.2.53')],
    });
    assert.equal((await world.asks('a.example.', 'A')).message.authorities?.length, 1);
    await world.passSeconds(3);
    const later = await world.asks('a.example.', 'A');
    assert.deepEqual([later.data, later.message.authorities, additionals(later)], [['192.0.2.1'], [], []]);
    assert.equal(world.upstream.asked('a.example.'), 1);
  });

  it('that proves something ends its answer', async () => {
    const nsec = record('*.example', 'NSEC', 2, { nextDomain: 'b.example', rrtypes: ['A'] });
    const { world } = await saying({ answers, authorities: [nsec] });
    assert.equal(await askedAgainAfter(world, 'a.example.', 'A', { edns: { dnssecOk: true } }), 2);
  });
});

describe('a signature', () => {
  const seconds = (world: World) => Math.floor(world.clock.wallMs() / 1000);
  const rrsig = (expiration: number) =>
    record('a.example', 'RRSIG', 300, {
      ...{ typeCovered: 'A', algorithm: 8, labels: 2, originalTTL: 300, expiration, inception: expiration - 86_400 },
      ...{ keyTag: 1, signersName: 'example', signature: Buffer.alloc(8, 1) },
    });
  const how = { edns: { dnssecOk: true } };

  it('ends the answer that has it when it expires', async () => {
    const { world, says } = await saying({});
    says({ answers: [record('a.example', 'A', 300, '192.0.2.1'), rrsig(seconds(world) + 7)] });
    assert.equal(await askedAgainAfter(world, 'a.example.', 'A', how), 7);
  });

  it('that has expired lets nothing be kept, and is passed on', async () => {
    const { world, says } = await saying({});
    says({ answers: [record('a.example', 'A', 300, '192.0.2.1'), rrsig(seconds(world) - 7)] });
    for (let times = 0; times < 2; times++)
      assert.deepEqual((await world.asks('a.example.', 'A', how)).data[0], '192.0.2.1');
    assert.equal(world.upstream.asked('a.example.', 'A'), 2);
  });
});

describe('TTLs that a Corefile has changed', () => {
  it('count as changed', async () => {
    const answers = [srv(300, 'w.example')];
    const reply = { answers, additionals: [record('w.example', 'A', 2, '192.0.2.1')] };
    const rewriting = await saying(reply, simpleCorefile.replace('  errors\n', '  rewrite ttl suffix example. 30\n'));
    await rewriting.world.asks(service, 'SRV');
    await rewriting.world.passSeconds(8);
    assert.deepEqual((await rewriting.world.asks(service, 'SRV')).ttls, [22, 22]);
    const keeping = await saying({ answers: [record('a.example', 'A', 5, '192.0.2.1')] }, withCache('keepttl'));
    await keeping.world.asks('a.example.', 'A');
    await keeping.world.passSeconds(4);
    assert.deepEqual((await keeping.world.asks('a.example.', 'A')).ttls, [5]);
    assert.equal(await askedAgainAfter(keeping.world, 'a.example.', 'A'), 1);
    const minimal = await saying(reply, simpleCorefile.replace('  errors\n', '  minimal\n'));
    assert.equal(additionals(await minimal.world.asks(service, 'SRV')).length, 0);
    await minimal.world.passSeconds(8);
    assert.deepEqual((await minimal.world.asks(service, 'SRV')).ttls, [292]);
    minimal.says({
      answers: [record('a.example', 'CNAME', 60, 'b.example')],
      authorities: soa('b.example', { soaMinimum: 3 }),
    });
    assert.deepEqual((await minimal.world.asks('a.example.', 'A')).ttls, [60, 3], 'a denial keeps its SOA');
    assert.equal(await askedAgainAfter(minimal.world, 'a.example.', 'A'), 3);
  });
});
