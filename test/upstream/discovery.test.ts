import assert from 'node:assert/strict';
import { test } from 'node:test';
import { learnedAddressesMax, learnSoonMs } from '../../src/limits.js';
import type { Outcome, Request } from '../../src/upstream/ask.js';
import { DiscoveredName } from '../../src/upstream/discovery.js';
import { answerTo, type Query, TestWorld } from './scripted.js';

function setUp(types: readonly number[] = [1]) {
  const world = new TestWorld();
  const asked: { request: Request; done: (outcome: Outcome) => void }[] = [];
  let changes = 0;
  const learned = new DiscoveredName(
    { name: 'dns.kube-system.', port: 53, refreshMs: 30_000 },
    {
      counters: world.counters,
      log: world.log,
      ask: (request, done) => asked.push({ request, done }) > 0,
      types: () => types,
      changed: () => changes++,
    },
  );
  const answer = (...addresses: string[]): void => {
    const { request, done } = asked.shift()!;
    done({ ok: true, message: answerTo({ id: 1, question: request.question } as Query, { addresses }), from: 'x' });
  };
  const fail = (): void => asked.shift()!.done({ ok: false, why: 'timeout', text: 'i/o timeout' });
  const texts = (): string[] => learned.endpoints.map(({ address, port }) => `${address}:${port}`);
  return { world, learned, asked, answer, fail, texts, changes: () => changes };
}

test('what is asked is the name, at once and then every so often, one question at a time', () => {
  const { learned, asked, answer } = setUp();
  learned.look(0);
  learned.look(1);
  learned.look(40_000);
  assert.equal(asked.length, 1);
  assert.equal(Buffer.from(asked[0].request.question).toString('latin1', 1, 4), 'dns');
  answer('10.1.0.1');
  learned.look(29_999);
  assert.equal(asked.length, 0);
  learned.look(30_000);
  assert.equal(asked.length, 1);
});

test('a set in another order is the same set; another set is said and counted', () => {
  const { world, learned, answer, texts, changes } = setUp();
  learned.look(0);
  answer('10.1.0.2', '10.1.0.1');
  assert.deepEqual(texts(), ['10.1.0.1:53', '10.1.0.2:53']);
  learned.look(30_000);
  answer('10.1.0.1', '10.1.0.2', '10.1.0.1');
  assert.equal(changes(), 1);
  learned.look(60_000);
  answer('10.1.0.3');
  assert.deepEqual(texts(), ['10.1.0.3:53']);
  assert.equal(changes(), 2);
  assert.equal(world.counters.total('endpointsLearned'), 2);
  assert.deepEqual(world.logged, [
    'info the addresses of dns.kube-system. are 10.1.0.1, 10.1.0.2',
    'info the addresses of dns.kube-system. are 10.1.0.3',
  ]);
});

test('a failure, no addresses, or one family missing keeps what was learned, is said once and tried again sooner', () => {
  const { world, learned, answer, fail, texts } = setUp();
  learned.look(0);
  answer('10.1.0.1');
  learned.look(30_000);
  fail();
  learned.look(30_000 + 5 * learnSoonMs);
  answer();
  assert.deepEqual(texts(), ['10.1.0.1:53']);
  assert.equal(world.counters.total('endpointsFailed'), 2);
  assert.equal(world.logged.length, 2);
  assert.match(world.logged[1], /failed \(i\/o timeout\); keeping the previous ones/);
});

test('when one is in trouble it is looked soon, but not at once again and again', () => {
  const { learned, asked, answer } = setUp();
  learned.look(0);
  answer('10.1.0.1');
  learned.lookSoon(100);
  learned.look(100 + learnSoonMs - 1);
  assert.equal(asked.length, 0);
  learned.look(100 + learnSoonMs);
  assert.equal(asked.length, 1);
});

/** AAAA of fd00::a. */
function answerIpv6({ request, done }: ReturnType<typeof setUp>['asked'][number]): void {
  const message = Buffer.concat([
    answerTo({ id: 1, question: request.question } as Query, { addresses: [] }),
    Buffer.from('c00c001c00010000001e0010fd00000000000000000000000000000a', 'hex'),
  ]);
  message.writeUInt16BE(1, 6);
  done({ ok: true, message, from: 'x' });
}

test('both families are asked for and taken together; no more are taken than can be used', () => {
  const { learned, asked, answer, texts } = setUp([1, 28]);
  learned.look(0);
  answer(...Array.from({ length: 40 }, (_, index) => `10.1.0.${index}`));
  assert.deepEqual(texts(), []);
  answerIpv6(asked.shift()!);
  assert.equal(texts().length, learnedAddressesMax);
});

test('an IPv6 address is learned', () => {
  const { learned, asked } = setUp([28]);
  learned.look(0);
  answerIpv6(asked.shift()!);
  assert.deepEqual(learned.endpoints, [{ address: 'fd00::a', port: 53 }]);
});
