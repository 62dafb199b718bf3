import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { selfQueryTimeoutMs } from '../../src/limits.js';
import {
  type HealthServer,
  healthAnswer,
  newReadiness,
  newSelfCheck,
  startHealthWatch,
} from '../../src/observe/health.js';
import type { DatagramEvents, DatagramSocket, Endpoint, Network } from '../../src/os/network.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';
import { newLines } from './lines.js';

const ill: HealthServer = { healthy: false, reason: 'no listener is up' };
const well: HealthServer = { healthy: true };

function watching(tookMs = 1) {
  const clock = new ManualClock();
  const { lines, log } = newLines();
  const now: { health: HealthServer; failures: number; checks: number } = { health: well, failures: 0, checks: 0 };
  const watch = startHealthWatch({
    clock,
    log,
    check: () => {
      now.checks++;
      return new Promise((resolve) => clock.after(tookMs, () => resolve(now.health)));
    },
    failed: () => now.failures++,
  });
  return { clock, lines, now, watch };
}

describe('health', () => {
  it('answers OK, or the reason', () => {
    assert.deepEqual(healthAnswer(well), { status: 200, body: 'OK' });
    assert.deepEqual(healthAnswer(ill), { status: 503, body: 'no listener is up\n' });
  });

  it('checks every second and keeps the durations', async () => {
    const { clock, now, watch } = watching(2);
    await clock.pass(999);
    assert.equal(now.checks, 0);
    await clock.pass(2_500);
    assert.equal(now.checks, 3);
    assert.deepEqual([...watch.durations.slice(0, 6)], [0, 3, 0, 0, 0, 0]);
    assert(Math.abs(watch.durations[6] - 0.006) < 1e-9);
    assert.equal(now.failures, 0);
  });

  it('counts what took longer than every bucket above them', async () => {
    const { clock, now, watch } = watching(2_999);
    await clock.pass(3_999);
    assert.equal(now.checks, 1, 'one check at a time');
    assert.deepEqual([...watch.durations.slice(0, 6)], [0, 0, 0, 0, 0, 1]);
  });

  it('counts every failure, and writes a line only when health changes', async () => {
    const { clock, lines, now } = watching();
    await clock.pass(2_500);
    assert.deepEqual(lines, []);
    now.health = ill;
    await clock.pass(3_000);
    assert.equal(now.failures, 3);
    now.health = well;
    await clock.pass(2_000);
    assert.equal(now.failures, 3);
    assert.deepEqual(lines, [
      { level: 'error', message: 'health check failed: no listener is up' },
      { level: 'info', message: 'health check recovered: all listeners answer' },
    ]);
  });

  it('says nothing after it was stopped, also of a check that was under way', async () => {
    const { clock, lines, now, watch } = watching(500);
    now.health = ill;
    await clock.pass(1_200);
    watch.stop();
    await clock.pass(10_000);
    assert.equal(now.checks, 1);
    assert.deepEqual([lines, now.failures], [[], 0]);
    assert.equal(clock.timersSet, 0);
  });
});

const conditions = ['listeners', 'rules', 'upstream'];

describe('readiness', () => {
  it('lists what is missing until nothing is', () => {
    const readiness = newReadiness(conditions, 'until-ready');
    assert.deepEqual(readiness.answer(), { status: 503, body: 'listeners,rules,upstream' });
    readiness.met('upstream');
    readiness.met('listeners');
    assert.deepEqual(readiness.missing, ['rules']);
    assert.equal(readiness.ready, false);
    assert.deepEqual(readiness.answer(), { status: 503, body: 'rules' });
    readiness.met('rules');
    assert.equal(readiness.ready, true);
    assert.deepEqual(readiness.answer(), { status: 200, body: 'OK' });
  });

  it('keeps what was met once with until-ready', () => {
    const readiness = newReadiness(conditions, 'until-ready');
    readiness.met('rules');
    readiness.lost('rules');
    assert.deepEqual(readiness.missing, ['listeners', 'upstream']);
  });

  it('follows every change with continuously', () => {
    const readiness = newReadiness(conditions, 'continuously');
    for (const condition of conditions) readiness.met(condition);
    readiness.lost('upstream');
    readiness.lost('listeners');
    assert.deepEqual(readiness.answer(), { status: 503, body: 'listeners,upstream' });
    readiness.met('upstream');
    readiness.met('listeners');
    assert.equal(readiness.ready, true);
  });

  it('is over once it is stopping, whatever is met after that', () => {
    const readiness = newReadiness(conditions, 'continuously');
    readiness.stopping();
    for (const condition of conditions) readiness.met(condition);
    assert.equal(readiness.ready, false);
    assert.deepEqual(readiness.answer(), { status: 503, body: 'shutting down' });
  });

  it('is ready at once when nothing is asked for', () => {
    assert.equal(newReadiness([], 'until-ready').ready, true);
  });

  it('takes an unknown condition for the bug it is', () => {
    const readiness = newReadiness(conditions, 'continuously');
    assert.throws(() => readiness.met('listener'), /"listener" is not a condition/);
    assert.throws(() => readiness.lost('listener'), /"listener" is not a condition/);
  });
});

type Answer = (question: Uint8Array) => Uint8Array | null;

const notimp: Answer = (question) =>
  Uint8Array.of(question[0], question[1], question[2] | 0x80, 4, 0, 0, 0, 0, 0, 0, 0, 0);

function newWorld() {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const network = new MemoryNetwork(clock, random);
  const questions: Uint8Array[] = [];
  async function listen(at: Endpoint, answer: Answer): Promise<Endpoint> {
    const socket: DatagramSocket = await network.openDatagrams(at, {
      datagram(bytes, from) {
        questions.push(Uint8Array.from(bytes.subarray()));
        const message = answer(bytes);
        if (message !== null) socket.send(message, from);
      },
      error: (error) => assert.fail(error),
    });
    return socket.local;
  }
  return { clock, network, random, ownMark: 0x0102_0304, questions, listen };
}

const first: Endpoint = { address: '169.254.20.10', port: 53 };
const second: Endpoint = { address: 'fd00::10', port: 53 };

describe('self-check', () => {
  it('is healthy when every listener answers, and leaves nothing behind', async () => {
    const world = newWorld();
    await world.listen(first, notimp);
    await world.listen(second, notimp);
    const { check, stop } = newSelfCheck(world, () => [first, second]);
    assert.deepEqual(await world.clock.until(check()), { healthy: true });
    assert.equal(world.network.open.datagramSockets, 4, 'two listeners, and what asks them');
    assert.deepEqual(world.questions[0].slice(2), Uint8Array.of(0x10, 0, 0, 0, 0, 0, 1, 2, 3, 4), 'STATUS');
    await world.clock.pass(selfQueryTimeoutMs * 2);
    assert.equal(world.questions.length, 2, 'no question is repeated after its answer');
    assert.equal(world.clock.timersSet, 0);
    stop();
    assert.equal(world.network.open.datagramSockets, 2, 'only the listeners are open');
  });

  it('names every listener that is silent, after the time limit', async () => {
    const world = newWorld();
    await world.listen(first, () => null);
    await world.listen(second, notimp);
    const nobody: Endpoint = { address: '10.0.0.1', port: 5353 };
    const { check, stop } = newSelfCheck(world, () => [first, second, nobody]);
    const startedMs = world.clock.nowMs();
    assert.deepEqual(await world.clock.until(check()), {
      healthy: false,
      reason: 'no answer from 169.254.20.10:53, 10.0.0.1:5353 within 1000 ms',
    });
    assert.equal(world.clock.nowMs() - startedMs, selfQueryTimeoutMs);
    stop();
    assert.equal(world.network.open.datagramSockets, 2);
  });

  it('is unhealthy without listeners', async () => {
    const world = newWorld();
    const { check } = newSelfCheck(world, () => []);
    assert.deepEqual(await check(), { healthy: false, reason: 'no listener is up' });
  });

  it('repeats a question that was lost', async () => {
    const world = newWorld();
    let lost = 2;
    await world.listen(first, (question) => (lost-- > 0 ? null : notimp(question)));
    const { check } = newSelfCheck(world, () => [first]);
    assert.deepEqual(await world.clock.until(check()), { healthy: true });
    assert.equal(world.questions.length, 3);
  });

  it('believes answers to its own question only', async () => {
    const wrong: readonly Answer[] = [
      (question) => question.slice(), // the question itself: QR=0
      (question) => notimp(question)?.with(0, question[0] ^ 1) ?? null, // another id
      (question) => notimp(question)?.with(2, 0x80) ?? null, // another opcode
      (question) => notimp(question)?.slice(0, 11) ?? null, // no whole header
      () => new Uint8Array(0),
    ];
    for (const answer of wrong) {
      const world = newWorld();
      await world.listen(first, answer);
      const { check } = newSelfCheck(world, () => [first]);
      assert.equal((await world.clock.until(check())).healthy, false);
    }
  });

  it('asks listeners on all addresses at the loopback of either family', async () => {
    for (const [bound, listener] of [
      ['127.0.0.1', '0.0.0.0'],
      ['127.0.0.1', '::'],
      ['::1', '::'],
    ]) {
      const world = newWorld();
      await world.listen({ address: bound, port: 53 }, notimp);
      const { check, stop } = newSelfCheck(world, () => [{ address: listener, port: 53 }]);
      assert.deepEqual(await world.clock.until(check()), { healthy: true }, `${listener} at ${bound}`);
      stop();
      assert.equal(world.network.open.datagramSockets, 1);
    }
  });

  it('is one check for all who ask at a time, and a new one after it', async () => {
    const world = newWorld();
    await world.listen(first, notimp);
    const { check } = newSelfCheck(world, () => [first]);
    const asked = [check(), check(), check()];
    await world.clock.until(Promise.all(asked));
    assert.equal(world.questions.length, 1);
    await world.clock.until(check());
    assert.equal(world.questions.length, 2);
    assert.notDeepEqual(world.questions[0].slice(0, 2), world.questions[1].slice(0, 2), 'another id');
  });

  it('looks at the listeners of the moment', async () => {
    const world = newWorld();
    const listeners: Endpoint[] = [];
    const { check } = newSelfCheck(world, () => listeners);
    assert.equal((await check()).healthy, false);
    listeners.push(await world.listen(first, notimp));
    assert.equal((await world.clock.until(check())).healthy, true);
  });

  it('is unhealthy, not broken, when no socket can be opened', async () => {
    const world = newWorld();
    const network: Network = Object.assign(Object.create(world.network), {
      connectDatagrams(_to: Endpoint, _events: DatagramEvents): DatagramSocket {
        throw new Error('EMFILE: too many open files');
      },
    });
    const { check } = newSelfCheck({ ...world, network }, () => [first]);
    assert.deepEqual(await check(), {
      healthy: false,
      reason: 'cannot query own listeners: EMFILE: too many open files',
    });
    assert.equal((await check()).healthy, false, 'and the next check is a new one');
  });
});

describe('the sockets of the self-check', () => {
  /** A world in which sockets run out when `isOut`, in one of the two ways in which a network says so. */
  async function worldThatRunsOut(says: 'at once' | 'afterwards') {
    const world = newWorld();
    const state = { isOut: false };
    const emfile = Object.assign(new Error('socket EMFILE'), { code: 'EMFILE' });
    const network: Network = Object.assign(Object.create(world.network), {
      connectDatagrams(to: Endpoint, events: DatagramEvents): DatagramSocket {
        if (!state.isOut) return world.network.connectDatagrams(to, events);
        if (says === 'at once') throw emfile;
        queueMicrotask(() => events.error(emfile));
        return { local: { address: '', port: 0 }, send: () => {}, close: () => {} };
      },
    });
    return { ...world, state, ...newSelfCheck({ ...world, network }, () => [first, second]) };
  }

  for (const says of ['at once', 'afterwards'] as const) {
    it(`serve on while no other is to be had (said ${says}), and not longer`, async () => {
      const { clock, check, state, listen, network, stop } = await worldThatRunsOut(says);
      await listen(first, notimp);
      await listen(second, notimp);
      assert.deepEqual(await clock.until(check()), { healthy: true });
      state.isOut = true;
      for (let times = 0; times < 3; times++) assert.deepEqual(await clock.until(check()), { healthy: true });
      state.isOut = false;
      assert.deepEqual(await clock.until(check()), { healthy: true });
      assert.equal(network.open.datagramSockets, 4);
      stop();
      assert.equal(network.open.datagramSockets, 2);
    });

    it(`are none when there never were any (said ${says}): ill health`, async () => {
      const { clock, check, state, listen } = await worldThatRunsOut(says);
      await listen(first, notimp);
      await listen(second, notimp);
      state.isOut = true;
      assert.equal((await clock.until(check())).healthy, false);
      state.isOut = false;
      assert.deepEqual(await clock.until(check()), { healthy: true });
    });
  }

  it('have another port each time, so that each worker has its turn', async () => {
    const world = newWorld();
    const ports = new Set<number>();
    const socket: DatagramSocket = await world.network.openDatagrams(first, {
      datagram(bytes, from) {
        ports.add(from.port);
        socket.send(notimp(bytes)!, from);
      },
      error: (error) => assert.fail(error),
    });
    const { check } = newSelfCheck(world, () => [first]);
    for (let times = 0; times < 20; times++) await world.clock.until(check());
    assert.ok(ports.size > 10, `${ports.size} ports`);
  });

  it('go with the listeners that they ask', async () => {
    const world = newWorld();
    const listeners = [await world.listen(first, notimp), await world.listen(second, notimp)];
    const { check } = newSelfCheck(world, () => listeners);
    await world.clock.until(check());
    assert.equal(world.network.open.datagramSockets, 4);
    listeners.pop();
    await world.clock.until(check());
    assert.equal(world.network.open.datagramSockets, 3);
  });

  it('are forgotten when they cannot be closed: the next check does not wait for them', async () => {
    const world = newWorld();
    await world.listen(first, notimp);
    const network: Pick<Network, 'connectDatagrams'> = {
      connectDatagrams(to, events) {
        const socket = world.network.connectDatagrams(to, events);
        const close = (): void => {
          socket.close();
          throw new Error('planted');
        };
        return { ...socket, local: socket.local, send: (bytes, there) => socket.send(bytes, there), close };
      },
    };
    const { check } = newSelfCheck({ ...world, network: network as Network }, () => [first]);
    assert.deepEqual(await world.clock.until(check()), { healthy: true });
    assert.equal((await world.clock.until(check())).healthy, false, 'the one before could not be closed');
    assert.equal(world.network.open.datagramSockets, 2);
  });
});
