/** What the kernel may answer: nothing that the spine would answer otherwise, to anybody, at any time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { keyCheckingDisabled, keyDnssecOk, kindServfail } from '../../src/cache/blocks.js';
import { laneSlots } from '../../src/limits.js';
import { finishNow } from '../cache/answers.js';
import { fixture, query } from '../resolve/context-fixture.js';
import { laneMemory, PublishedWorld } from './published.js';

const plain = '. {\n cache 3600\n aaaa forward\n forward . 192.0.2.1\n}';

function newWorld(directives = ''): PublishedWorld {
  return new PublishedWorld(`. {\n cache 3600 {\n  denial 9000 3600\n }\n forward . 192.0.2.1\n${directives}\n}`);
}

/** The same bytes for both, which differ only where a second begins. */
function answersAlike(world: PublishedWorld, packet: Uint8Array): void {
  const expected = world.ask(packet) as Buffer;
  assert.equal(world.askKernel(packet)?.toString('hex'), expected.toString('hex'));
}

test('an entry is published with what its zone makes of it, and given as the spine gives it', () => {
  const world = newWorld(' bufsize 900\n header {\n  response set aa\n  response clear ra\n }\n minimal\n nsid here\n');
  const ref = world.keep('www.example.com', { records: 3 });
  assert.equal(world.askKernel(query('www.example.com', 'A')), null);
  assert.equal(world.publisher.publish(ref, world.clock.nowMs()), 'published');
  world.clock.passMs(7_400);
  answersAlike(world, query('www.example.com', 'A'));
  answersAlike(world, query('WWW.example.COM', 'A', { udpBytes: 4_096 }));
});

test('entries for DO and CD are answers to such questions only', () => {
  const world = newWorld();
  const nowMs = world.clock.nowMs();
  world.publisher.publish(world.keep('a.test', { key: keyDnssecOk }), nowMs);
  assert.equal(world.askKernel(query('a.test', 'A')), null);
  answersAlike(world, query('a.test', 'A', { dnssecOk: true }));
  world.publisher.publish(world.keep('b.test', { key: keyCheckingDisabled }), nowMs);
  const packet = query('b.test', 'A');
  packet[3] |= 0x10;
  answersAlike(world, packet);
});

test('directives that judge, tell, change or choose answers keep a zone out of the kernel', () => {
  for (const directives of [
    'log',
    'dnstap /run/tap.sock',
    'acl {\n  allow\n }',
    'local',
    'loadbalance',
    'dns64',
    'hosts {\n  192.0.2.7 a.test\n  fallthrough\n }',
    'rewrite name b.test c.test',
    'template IN TXT b.test {\n  answer "{{ .Name }} 60 IN TXT x"\n  fallthrough\n }',
    'any',
    'autopath /etc/resolv.conf',
    'whoami',
  ]) {
    const world = newWorld(` ${directives}`);
    const ref = world.keep('a.test');
    assert.equal(world.publisher.publish(ref, world.clock.nowMs()), 'not for the kernel', directives);
  }
  for (const directives of ['errors', 'prometheus', 'loop', 'aaaa nodata', 'bufsize 700', 'chaos', 'minimal', 'nsid']) {
    const world = newWorld(` ${directives}`);
    const ref = world.keep('a.test');
    assert.equal(world.publisher.publish(ref, world.clock.nowMs()), 'published', directives);
  }
});

test('under other tables what is the same is never missing, what they answer otherwise takes its place, the rest goes', () => {
  const world = newWorld(' aaaa nodata');
  const { publisher, slots, clock } = world;
  const renew = (directives: string): void => {
    const other = fixture(`. {\n cache 3600 {\n  denial 9000 3600\n }\n forward . 192.0.2.1\n${directives}\n}`);
    publisher.renew([other.listener.table], clock.nowMs());
  };
  const asked = [query('a.test', 'A'), query('a.test', 'AAAA')];
  const given = (): (string | null)[] => asked.map((packet) => world.askKernel(packet)?.toString('hex') ?? null);
  const ref = world.keep('a.test');
  publisher.publish(ref, clock.nowMs());
  const before = given();
  renew(' errors\n aaaa nodata');
  assert.deepEqual([given(), slots.published], [before, 2]);
  assert.equal(slots.free, laneSlots - 2);
  renew(' header {\n  response set aa\n }\n aaaa nodata');
  assert.equal(world.askKernel(asked[0])![2] & 0x04, 0x04);
  renew(' aaaa forward');
  assert.deepEqual(given(), [before[0], null]);
  clock.passMs(31_000);
  renew(' errors\n aaaa forward');
  assert.ok(publisher.has(ref));
  world.heartbeatMs = 1;
  assert.notEqual(world.askKernel(asked[0]), null);
  renew(' acl {\n  allow\n }');
  assert.deepEqual([publisher.has(ref), slots.published], [false, 0]);
});

test('a template that is an AAAA policy in other words does not keep its zone out', () => {
  const world = newWorld(' template IN AAAA . {\n  rcode NXDOMAIN\n }');
  assert.equal(world.publisher.publish(world.keep('a.test'), world.clock.nowMs()), 'published');
});

test('cached zones of a block are for the kernel, names beside them are not; keepttl is not', () => {
  const some = new PublishedWorld('. {\n cache 60 in.test\n forward . 192.0.2.1\n}');
  const publish = (name: string): string => some.publisher.publish(some.keep(name), some.clock.nowMs());
  assert.deepEqual([publish('a.in.test'), publish('a.out.test')], ['published', 'not for the kernel']);
  const kept = new PublishedWorld('. {\n cache 60 {\n  keepttl\n }\n forward . 192.0.2.1\n}');
  assert.equal(kept.publisher.publish(kept.keep('a.test'), kept.clock.nowMs()), 'not for the kernel');
});

test('SERVFAIL, what has expired, what waits for a failure, and cut or long answers are not published', () => {
  const world = newWorld();
  const nowMs = world.clock.nowMs();
  const publish = (ref: number, atMs = nowMs): string => world.publisher.publish(ref, atMs);
  assert.equal(publish(world.keep('fail.test', { kind: kindServfail })), 'not for the kernel');
  assert.equal(publish(world.keep('old.test'), nowMs + 30_000), 'not for the kernel');
  const superseded = world.keep('superseded.test');
  world.cache.leaveForFailure(superseded);
  assert.equal(publish(superseded), 'not for the kernel');
  assert.equal(publish(world.keep('long.test', { records: 17 })), 'not for the kernel');
});

test('with a name goes the denial for AAAA of its zone’s policy, which needs no upstream and does not expire', () => {
  for (const policy of ['nxdomain', 'nodata']) {
    const world = newWorld(` aaaa ${policy}`);
    world.publisher.publish(world.keep('web.default.svc.cluster.local'), world.clock.nowMs());
    const asked = query('web.default.svc.cluster.local', 'AAAA');
    answersAlike(world, asked);
    world.clock.passMs(1_000_000);
    answersAlike(world, asked);
  }
});

test('a smart denial for AAAA follows its name: NXDOMAIN or no data, as long as the name’s answer is fresh', () => {
  for (const denied of [false, true]) {
    const world = newWorld(' aaaa smart');
    world.publisher.publish(world.keep('a.test', { denied }), world.clock.nowMs());
    const asked = query('a.test', 'AAAA', {});
    answersAlike(world, asked);
    assert.equal((world.askKernel(asked)![3] & 15) === 3, denied);
    world.clock.passMs(30_000);
    assert.equal(world.askKernel(asked), null);
  }
});

test('an AAAA answer cached under another policy is not given under this one', () => {
  const world = newWorld(' aaaa nxdomain');
  const { message } = { message: query('a.test', 'AAAA') };
  message[2] |= 0x80;
  const ref = world.keep('a.test', {
    message,
    messageBytes: message.length,
    questionEnd: message.length,
    ttlOffsets: new Uint16Array(),
    records: 0,
  });
  assert.equal(world.publisher.publish(ref, world.clock.nowMs()), 'not for the kernel');
});

test('an entry that leaves the cache leaves the kernel; its successor is published at once', () => {
  const world = newWorld(' aaaa nodata');
  const first = world.keep('a.test');
  world.publisher.publish(first, world.clock.nowMs());
  world.clock.passMs(2_000);
  const second = world.keep('a.test', { records: 2 });
  assert.equal(world.cache.blocks.wasHit(second), true);
  answersAlike(world, query('a.test', 'A'));
  answersAlike(world, query('a.test', 'AAAA'));
  assert.equal(world.slots.published, 2);
  finishNow(world.cache.forget(world.store, () => true));
  assert.equal(world.askKernel(query('a.test', 'A')), null);
  assert.equal(world.slots.published, 0);
  assert.equal(world.cache.blocks.wasHit(world.keep('b.test')), false);
  assert.equal(world.slots.published, 0);
});

test('after other tables are followed nothing of before is given', () => {
  const world = newWorld();
  const ref = world.keep('a.test');
  world.publisher.publish(ref, world.clock.nowMs());
  world.publisher.takeOutAll(world.clock.nowMs());
  world.generation = 2;
  world.publisher.follow([world.spine.listener.table], 2);
  assert.equal(world.askKernel(query('a.test', 'A')), null);
  assert.deepEqual(world.publisher.refs(), []);
  world.publisher.publish(ref, world.clock.nowMs());
  answersAlike(world, query('a.test', 'A'));
});

test('a successor goes on with what is true for it, links it to its own entries, and replaces what it hears anew', () => {
  const before = newWorld(' aaaa nodata');
  for (const name of ['same.test', 'alone.test', 'other.test'])
    before.publisher.publish(before.keep(name), before.clock.nowMs());
  const memory = laneMemory();
  for (const part of ['slots', 'index', 'marks'] as const)
    new Uint8Array(memory[part]).set(new Uint8Array(before.memory[part]));
  const world = new PublishedWorld(`. {\n cache 3600\n aaaa nodata\n forward . 192.0.2.1\n}`, memory);
  const same = world.keep('same.test');
  world.clock.passMs(5_000);
  world.keep('other.test', { records: 2 });
  finishNow(world.publisher.adopt(world.slots.adopt(1)));
  answersAlike(world, query('same.test', 'A'));
  assert.ok(world.publisher.has(same));
  assert.notEqual(world.askKernel(query('alone.test', 'A')), null);
  assert.equal(world.askKernel(query('other.test', 'A')), null, 'the cache knows better');
  world.keep('alone.test', { records: 3 });
  answersAlike(world, query('alone.test', 'A'));
  assert.equal(world.askKernel(query('alone.test', 'A'))!.readUInt16BE(6), 3);
});

test('what an earlier process has published, and the cache does not have, can be taken out by its name', () => {
  const world = newWorld();
  const nowMs = world.clock.nowMs();
  for (const name of ['a.test', 'b.test']) world.publisher.publish(world.keep(name), nowMs);
  const memory = laneMemory();
  for (const part of ['slots', 'index', 'marks'] as const)
    new Uint8Array(memory[part]).set(new Uint8Array(world.memory[part]));
  const after = new PublishedWorld('. {\n cache 3600\n forward . 192.0.2.1\n}', memory);
  finishNow(after.publisher.adopt(after.slots.adopt(1)));
  const isA = (question: Uint8Array): boolean => question[1] === 'a'.charCodeAt(0);
  const takes = (): number => {
    const work = after.publisher.takeOutForeign(isA, () => nowMs);
    for (let slice = work.next(); ; slice = work.next()) if (slice.done) return slice.value;
  };
  assert.equal(takes(), 1);
  assert.equal(after.askKernel(query('a.test', 'A')), null);
  assert.notEqual(after.askKernel(query('b.test', 'A')), null);
  assert.equal(takes(), 0);
});

test('whatever is kept, asked and waited for, the kernel says what the spine says, or nothing', () => {
  const names = ['a.test', 'b.test', 'web.default.svc.cluster.local'];
  const step = fc.record({
    what: fc.constantFrom('keep', 'deny', 'publish', 'wait', 'ask', 'ask', 'ask'),
    name: fc.constantFrom(...names),
    type: fc.constantFrom('A', 'AAAA'),
    edns: fc.boolean(),
  });
  const policy = fc.constantFrom('forward', 'nodata', 'nxdomain', 'smart');
  fc.assert(
    fc.property(policy, fc.array(step, { maxLength: 40 }), (aaaa, steps) => {
      const world = newWorld(` aaaa ${aaaa}`);
      const refs = new Map<string, number>();
      for (const { what, name, type, edns } of steps) {
        if (what === 'keep') refs.set(name, world.keep(name, { records: 1 + (steps.length % 3) }));
        else if (what === 'deny') refs.set(name, world.keep(name, { denied: true }));
        else if (what === 'publish' && refs.has(name)) world.publisher.publish(refs.get(name)!, world.clock.nowMs());
        else if (what === 'wait') world.clock.passMs(3_700);
        else if (what === 'ask') {
          const packet = query(name, type, edns ? {} : undefined);
          const given = world.askKernel(packet);
          if (given !== null) assert.equal(given.toString('hex'), (world.ask(packet) as Buffer).toString('hex'));
        }
      }
    }),
    { numRuns: 40 },
  );
});

test('the fixture’s plain block is one that the kernel may answer', () => {
  assert.ok(new PublishedWorld(plain).spine.zone('.').isForKernel);
});
