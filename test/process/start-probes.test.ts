import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { wireToName } from '../../src/dns/names.js';
import { typeSoa, u16 } from '../../src/dns/wire.js';
import { headerBytes, startProbePeriodMs } from '../../src/limits.js';
import { type BlockAtWork, Generation } from '../../src/process/generation.js';
import { startProbe, startProbing } from '../../src/process/start-probes.js';
import { LoopWatch, typeHinfo } from '../../src/resolve/loop.js';
import type { Ask, Outcome, Request } from '../../src/upstream/ask.js';
import { loadOptions } from '../resolve/context-fixture.js';
import { ManualClock } from '../simulation/clock.js';
import { seededRandom } from '../simulation/random.js';
import { newGenerationFixture } from './generation-fixture.js';

const answered: Outcome = { ok: true, message: new Uint8Array(headerBytes), from: 'test' };
const failed: Outcome = { ok: false, why: 'timeout', text: 'timeout' };

function probing(corefile: string) {
  const clock = new ManualClock();
  const loops = new LoopWatch();
  /** What was asked: of the block's forwards, or of one upstream by its address. */
  const asked: { request: Request; to: string; done: (outcome: Outcome) => void }[] = [];
  const looping: string[] = [];
  const askOf = (to: string): Ask => {
    return (request, done) => void asked.push({ request, to, done });
  };
  const [config] = parseConfig(corefile, 'Corefile', loadOptions).blocks;
  const each = () =>
    config.forwards.flatMap(({ from, to }) =>
      to.map((target) => {
        const address = target.kind === 'endpoint' ? target.endpoint.address : '';
        return { to: address, from, ask: askOf(address), loops: () => void looping.push(address) };
      }),
    );
  const block = { config, forwards: { ask: askOf('any'), each } } as unknown as BlockAtWork;
  const errors: string[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (text: string) => void errors.push(text) };
  let answers = 0;
  const timer = startProbe(block, 0, { clock, random: seededRandom(1), log, loops, answered: () => answers++ });
  /** The question arrives at one of our listeners. */
  const comesBack = ({ question }: Request) => {
    const packet = Uint8Array.from([...new Uint8Array(headerBytes), ...question]);
    return loops.seen(packet, packet.length, 0);
  };
  return {
    ...{ clock, asked, looping, errors, timer, comesBack },
    get answers() {
      return answers;
    },
  };
}

const plain = 'cluster.local example.org {\n forward . 192.0.2.1\n}';

describe('startProbe', () => {
  it('asks for the SOA of the block’s first zone, until somebody answers', () => {
    const probe = probing(plain);
    assert.equal(probe.asked.length, 0, 'not before start is over');
    probe.clock.passMs(0);
    const [{ request }] = probe.asked;
    assert.equal(wireToName(request.question, 0), 'cluster.local.');
    assert.equal(u16(request.question, request.question.length - 4), typeSoa);
    assert.equal(request.recursionDesired, true);
    probe.asked[0].done(failed);
    probe.clock.passMs(startProbePeriodMs - 1);
    assert.equal(probe.asked.length, 1);
    probe.clock.passMs(1);
    assert.equal(probe.asked.length, 2);
    probe.asked[1].done(answered);
    probe.clock.passMs(10 * startProbePeriodMs);
    assert.deepEqual([probe.asked.length, probe.answers, probe.clock.timersSet], [2, 1, 0]);
  });

  it('asks nobody where there is nobody to ask', () => {
    const { clock, asked, answers } = probing('. {\n template ANY ANY {\n rcode NXDOMAIN\n }\n}');
    clock.passMs(5_000);
    assert.deepEqual([asked.length, answers, clock.timersSet], [0, 0, 0]);
  });

  it('ends when it is stopped: before, between and while it asks', () => {
    const before = probing(plain);
    before.timer.stop();
    before.clock.passMs(5_000);
    assert.equal(before.asked.length, 0);
    const between = probing(plain);
    between.clock.passMs(0);
    between.asked[0].done(failed);
    between.timer.stop();
    assert.equal(between.clock.timersSet, 0);
    const asking = probing(plain);
    asking.clock.passMs(0);
    asking.timer.stop();
    asking.asked[0].done(failed);
    assert.equal(asking.clock.timersSet, 0);
  });

  it('asks with `loop` each upstream for itself what nobody else can know, anew each time', () => {
    const probe = probing('. {\n loop\n forward . 192.0.2.1 192.0.2.2\n}');
    const { clock, asked } = probe;
    clock.passMs(0);
    assert.deepEqual(
      asked.map(({ to }) => to),
      ['192.0.2.1', '192.0.2.2'],
    );
    const [one, other] = asked.map(({ request }) => request.question);
    assert.equal(u16(one, one.length - 4), typeHinfo);
    assert.match(wireToName(one, 0), /^\d+\.\d+\.$/u);
    assert.notDeepEqual(one, other);
    asked[0].done(failed);
    asked[1].done(answered);
    assert.equal(probe.comesBack(asked[0].request), false, 'a probe that is over means nothing');
    clock.passMs(startProbePeriodMs);
    assert.deepEqual([asked.length, asked[2].to, probe.answers], [3, '192.0.2.1', 1]);
    assert.notDeepEqual(asked[2].request.question, one);
    probe.timer.stop();
    asked[2].done(failed);
    assert.deepEqual([clock.timersSet, probe.errors, probe.looping], [0, [], []]);
  });

  it('asks below the zone that the forward is for', () => {
    const below = (corefile: string) => {
      const { clock, asked } = probing(corefile);
      clock.passMs(0);
      return asked.map(({ request }) => wireToName(request.question, 0).replace(/^\d+\.\d+\./u, ''));
    };
    assert.deepEqual(below('example.org {\n loop\n forward . 192.0.2.1\n}'), ['example.org.']);
    assert.deepEqual(below('. {\n loop\n forward a.test 192.0.2.1\n forward . 192.0.2.2\n}'), ['a.test.', '']);
  });

  it('finds a loop once, says where and how to fix it, and calls that neither an answer nor a reason to ask again', () => {
    for (const outcome of [answered, failed]) {
      const probe = probing('. {\n loop\n forward . 192.0.2.1 192.0.2.2\n}');
      probe.clock.passMs(0);
      const [looping, sound] = probe.asked;
      assert.equal(probe.comesBack(looping.request), true);
      assert.equal(probe.comesBack(looping.request), false);
      assert.deepEqual(probe.looping, ['192.0.2.1']);
      looping.done(outcome);
      assert.equal(probe.answers, 0);
      sound.done(answered);
      probe.clock.passMs(10 * startProbePeriodMs);
      assert.deepEqual([probe.asked.length, probe.answers, probe.clock.timersSet], [2, 1, 0]);
      assert.equal(probe.errors.length, 1);
      assert.match(probe.errors[0], /^Corefile:1: upstream 192\.0\.2\.1 of \. sends our queries back .* write the/u);
    }
  });
});

function watchingFiles(corefile: string) {
  const { clock, world, lines } = newGenerationFixture();
  const files = new Map([['/etc/resolv.conf', 'nameserver 192.0.2.1']]);
  const resolvConfs = { read: () => [{ address: (files.get('/etc/resolv.conf') ?? '').split(' ')[1], port: 53 }] };
  const generation = new Generation(parseConfig(corefile, 'Corefile', loadOptions), { ...world, resolvConfs });
  let answers = 0;
  const look = { stat: (path: string) => files.get(path), digest: (path: string) => files.get(path) };
  const start = (upstreamAnswered = (): void => void answers++) => startProbing(generation, { look, upstreamAnswered });
  return { clock, generation, files, lines, start, answers: () => answers };
}

const upstreamsOf = ({ blocks }: Generation): string[] =>
  blocks.flatMap(({ forwards }) => forwards.each().map(({ to }) => to));

test('a resolv.conf that changes is the upstreams from then on, until it is stopped', async () => {
  const { clock, generation, files, start } = watchingFiles('. {\n forward . /etc/resolv.conf\n}\n');
  const timer = start();
  assert.deepEqual(upstreamsOf(generation), ['192.0.2.1:53']);
  files.set('/etc/resolv.conf', 'nameserver 192.0.2.2');
  await clock.pass(5_000);
  assert.deepEqual(upstreamsOf(generation), ['192.0.2.2:53']);
  timer.stop();
  generation.stop();
  await clock.pass(100);
  assert.equal(clock.timersSet, 0);
});

test('an exception of one block keeps no other from its new upstreams', async () => {
  const { clock, generation, files, start } = watchingFiles(
    'a.test b.test {\n forward . /etc/resolv.conf\n}\n. {\n forward . /etc/resolv.conf\n}\n',
  );
  start();
  const { forwards } = generation.blocks[0];
  Object.assign(forwards, {
    resolvConfChanged() {
      throw new Error('planted');
    },
  });
  files.set('/etc/resolv.conf', 'nameserver 192.0.2.2');
  await assert.rejects(clock.pass(5_000), /planted/u);
  assert.deepEqual(upstreamsOf(generation), ['192.0.2.1:53', '192.0.2.2:53']);
});

test('where nobody is asked an upstream is not waited for, and an exception there leaves nothing running', () => {
  const { clock, start, answers } = watchingFiles('. {\n template ANY ANY {\n rcode NXDOMAIN\n }\n}\n');
  start();
  assert.equal(answers(), 1);
  const planted = (): never => {
    throw new Error('planted');
  };
  assert.throws(() => start(planted), /planted/u);
  assert.equal(clock.timersSet, 0);
});
