import assert from 'node:assert/strict';
import {
  connectionInflightMax,
  connectionInflightTarget,
  connectTimeoutMs,
  directConnectionsMax,
  directIdleSweepMs,
  directInflightMax,
  directLossesMax,
  directLossesShare,
  directPauseMs,
  directQueriesMax,
  directSweepMs,
  directUpstreamsMax,
} from '../../src/limits.js';
import { errors, linux } from '../../src/os/system-calls.js';
import type { DirectTarget } from '../../src/upstream/direct.js';
import { check, directTarget, endOfStream, fastRtt, reset } from './polled.js';

const brokenPipe = -32;
const noFiles = -24;

for (const [how, end] of [
  ['ends', endOfStream],
  ['is reset', reset],
] as const) {
  check(`a connection that ${how} gives up all of its questions, which is one loss`, (worker) => {
    worker.proves();
    for (let loss = 1; loss <= directLossesMax; loss++) {
      const rows = worker.asksMany(connectionInflightTarget);
      worker.network.last.arrives(end);
      worker.poll();
      assert.ok(rows.every((row) => worker.ends.get(row) === 'given up'));
      assert.equal(worker.network.open.length, 0);
      const opened = worker.network.sockets.length;
      worker.ask('next.test');
      assert.equal(worker.network.sockets.length, opened + (loss < directLossesMax ? 1 : 0), `loss ${loss}`);
      if (loss < directLossesMax) worker.provesLast();
    }
  });
}

for (const [how, written] of [
  ['is broken', brokenPipe],
  ['is full', errors.tryAgain],
  ['takes some bytes only', 5],
] as const) {
  check(`a connection that ${how} gives up its questions`, (worker) => {
    worker.proves().writes = written;
    const row = worker.asks('a.test');
    assert.equal(worker.ends.get(row), 'given up');
    assert.deepEqual([worker.network.open.length, worker.direct.inflight], [0, 0]);
    worker.flush();
  });
}

check('one connection that breaks leaves the questions of others', (worker) => {
  const first = worker.proves();
  worker.asksMany(connectionInflightTarget + 1);
  const second = worker.provesLast();
  worker.asksMany(2);
  assert.equal(second.asked.length, 3);
  first.arrives(endOfStream);
  second.answers(...second.asked.slice(1));
  worker.poll();
  assert.equal(worker.counters.total('directGivenUp'), connectionInflightTarget + 1);
  assert.deepEqual([worker.direct.inflight, first.isClosed, second.isClosed], [0, true, false]);
});

for (const [when, connects] of [
  ['at once', [errors.refused]],
  ['later', [errors.inProgress, errors.refused]],
] as const) {
  check(`connections that are refused ${when} are counted, and after too many the upstream is left alone`, (worker) => {
    const { network, counters } = worker;
    network.connects = connects;
    for (let asked = 0; asked < 3 * directLossesMax; asked++) assert.equal(worker.asks('a.test'), -1);
    assert.deepEqual([network.sockets.length, network.open.length], [directLossesMax, 0]);
    assert.equal(counters.total('upstreamConnectFailures'), directLossesMax);
    worker.pass(directPauseMs);
    for (let asked = 0; asked < 3; asked++) assert.equal(worker.asks('a.test'), -1);
    assert.deepEqual([network.sockets.length, network.open.length], [directLossesMax + 1, 0]);
  });
}

check('a connection that does not come about in time is closed and counted as a failure', (worker) => {
  worker.network.connects = [errors.inProgress, errors.already];
  worker.asks('a.test');
  worker.pass(connectTimeoutMs - 1);
  assert.equal(worker.network.open.length, 1);
  worker.pass(1);
  assert.equal(worker.network.open.length, 0);
  assert.equal(worker.counters.total('upstreamConnectFailures'), 1);
  worker.asks('b.test');
  assert.equal(worker.network.sockets.length, 2);
});

check('a connection that came about while nobody asked waits for the next question', (worker) => {
  worker.asks('a.test');
  worker.pass(connectTimeoutMs);
  assert.equal(worker.network.open.length, 1);
  worker.tries('b.test');
  assert.equal(worker.network.sockets.length, 1);
});

check('without descriptors the main thread asks, and the upstream is left alone for a while', (worker) => {
  worker.network.socketFails = noFiles;
  for (let loss = 0; loss < directLossesMax; loss++) assert.equal(worker.asks('a.test'), -1);
  worker.network.socketFails = null;
  assert.equal(worker.asks('a.test'), -1);
  assert.equal(worker.network.sockets.length, 0);
  worker.pass(directPauseMs);
  worker.asks('a.test');
  assert.equal(worker.network.sockets.length, 1);
});

check('a connection that the upstream closes while it is unused is no loss', (worker) => {
  for (let round = 0; round < 3 * directLossesMax; round++) {
    const socket = worker.proves();
    socket.arrives(endOfStream);
    worker.poll();
    assert.equal(socket.isClosed, true);
  }
  assert.equal(worker.counters.total('directGivenUp'), 0);
});

check('a connection that nobody has polled is looked at before it is used', (worker) => {
  for (let round = 0; round < 3 * directLossesMax; round++) {
    const socket = worker.proves();
    worker.nowMs += directIdleSweepMs;
    socket.arrives(round % 2 === 0 ? endOfStream : reset);
    // `proves` expects that its first question finds no connection, and opens the next one.
  }
  assert.equal(worker.counters.total('directGivenUp'), 0);
  assert.equal(worker.network.open.length, 1);
  worker.nowMs += directIdleSweepMs;
  const [socket] = worker.network.open;
  socket.recovers();
  assert.notEqual(worker.asks('alive.test'), -1);
  assert.equal(socket.asked[socket.asked.length - 1].name, 'alive.test');
});

check(
  'an unused connection is closed when it expires, a used one is not',
  (worker) => {
    const socket = worker.proves();
    worker.pass(3_999);
    assert.equal(socket.isClosed, false);
    worker.asks('a.test');
    socket.answers(socket.asked[1]);
    worker.poll();
    worker.pass(3_999);
    assert.equal(socket.isClosed, false);
    worker.pass(directIdleSweepMs);
    assert.equal(socket.isClosed, true);
    assert.equal(worker.direct.sweepAtMs, Number.POSITIVE_INFINITY);
  },
  { expireMs: 4_000 },
);

check(
  'an old connection takes no more questions, and is closed when it owes none',
  (worker) => {
    const socket = worker.proves();
    worker.nowMs += 2_950;
    worker.asks('last.test');
    worker.pass(50);
    assert.equal(worker.asks('next.test'), -1);
    assert.equal(worker.network.sockets.length, 2);
    socket.answers(socket.asked[1]);
    worker.poll();
    assert.deepEqual([worker.got, socket.isClosed], [['last.test'], false]);
    worker.pass(directSweepMs);
    assert.equal(socket.isClosed, true);
    worker.provesLast();
    assert.notEqual(worker.asks('next.test'), -1);
  },
  { maxAgeMs: 3_000 },
);

check(
  'after too many losses nothing is asked for a while, then connections are tried before they are used',
  (worker) => {
    const socket = worker.provesFast();
    // An answer makes up for a share of its own loss only.
    worker.isGood = false;
    worker.asksMany(directLossesMax);
    socket.answers(...socket.asked.slice(-directLossesMax));
    worker.poll();
    assert.equal(worker.direct.inflight, 0);
    const before = socket.asked.length;
    assert.equal(worker.asks('paused.test'), -1);
    worker.pass(directPauseMs - 1);
    assert.equal(worker.asks('paused.test'), -1);
    assert.equal(socket.asked.length, before, 'nothing was asked');
    worker.pass(1);
    worker.isGood = true;
    worker.provesLast();
    worker.asksMany(2);
    assert.deepEqual([worker.network.sockets.length, socket.isClosed], [1, false]);
  },
);

check('one loss after a pause is enough for the next one', (worker) => {
  worker.proves();
  for (let loss = 1; loss < directLossesMax; loss++) {
    worker.asksMany(1);
    worker.network.last.arrives(endOfStream);
    worker.poll();
    worker.proves();
  }
  for (let pause = 0; pause < 3; pause++) {
    worker.asksMany(1);
    worker.network.last.arrives(endOfStream);
    worker.poll();
    assert.equal(worker.asks('paused.test'), -1);
    assert.equal(worker.network.open.length, 0);
    worker.pass(directPauseMs);
    worker.proves();
  }
});

check('losses are made up for by many answers', (worker) => {
  const socket = worker.proves();
  const answersPerLoss = 1 / directLossesShare;
  for (let round = 0; round < 4 * directLossesMax; round++) {
    for (let index = 0; index < answersPerLoss; index++) {
      assert.notEqual(worker.asks('a.test'), -1, `round ${round}`);
      worker.isGood = index > 0;
      socket.answers(socket.asked[socket.asked.length - 1]);
      worker.poll();
    }
  }
});

check('while the main thread says no, nothing is asked and nothing opened', (worker) => {
  const { mayAsk } = worker.target;
  mayAsk[0] = 0;
  assert.equal(worker.asks('a.test'), -1);
  assert.equal(worker.network.sockets.length, 0);
  mayAsk[0] = 1;
  worker.proves();
  worker.asksMany(1);
  mayAsk[0] = 0;
  assert.equal(worker.asks('b.test'), -1);
  worker.network.last.answers(worker.network.last.asked[1]);
  worker.poll();
  assert.deepEqual(worker.got, ['n0.test'], 'answers still come');
});

check(
  'questions to one upstream are given up when others are followed; its connections stay if it is among them',
  (worker) => {
    const socket = worker.proves();
    const [row] = worker.asksMany(1);
    const [same, other] = [directTarget(), directTarget({ address: '10.96.0.11' })];
    worker.direct.follow([other, same]);
    assert.equal(worker.ends.get(row), 'given up');
    assert.equal(worker.ask('a.test'), -1, 'what is not followed is not asked');
    assert.notEqual(worker.asks('b.test', same), -1);
    assert.equal(worker.network.sockets.length, 1);
    worker.ask('c.test', other);
    assert.equal(worker.asks('d.test', other), -1);
    assert.equal(worker.network.last.to, '10.96.0.11 53');
    worker.direct.follow([other]);
    assert.deepEqual([socket.isClosed, worker.network.last.isClosed], [true, false]);
    worker.direct.follow([]);
    assert.equal(worker.network.open.length, 0);
  },
);

check('server blocks with the same upstream share its connections, those with other settings do not', (worker) => {
  worker.proves();
  const [twin, other] = [directTarget(), directTarget({ expireMs: 1_234 })];
  worker.direct.follow([worker.target, twin, other]);
  assert.notEqual(worker.ask('a.test', twin), -1);
  twin.mayAsk[0] = 0;
  assert.notEqual(worker.asks('a.test', worker.target), -1);
  assert.equal(worker.asks('a.test', twin), -1);
  assert.equal(worker.network.sockets.length, 1);
  worker.asks('b.test', other);
  assert.equal(worker.network.sockets.length, 2);
});

check('so many upstreams are asked and no more, whatever was followed before', (worker) => {
  const numbered = (from: number) =>
    Array.from({ length: directUpstreamsMax }, (_, index) => directTarget({ port: from + index }));
  const [before, after] = [numbered(1_000), numbered(2_000)];
  const opened = (targets: readonly DirectTarget[]): number => {
    for (const target of targets) worker.ask('a.test', target);
    return worker.network.open.length;
  };
  worker.direct.follow([...before, ...after]);
  assert.equal(opened([...before, ...after]), directUpstreamsMax);
  worker.direct.follow([...after, ...before]);
  assert.equal(opened([...after, ...before]), directUpstreamsMax);
  assert.ok(worker.network.open.every(({ to }) => to.startsWith('10.96.0.10 2')));
});

check('a connection is filled up to its target before the next one is used, then all of them evenly', (worker) => {
  worker.proves();
  for (let taken = 0; taken < directQueriesMax; ) {
    if (worker.asks(`n${taken}.test`) !== -1) taken++;
    const { last } = worker.network;
    const isTarget = worker.network.open.slice(0, -1).every(({ asked }) => asked.length > connectionInflightTarget);
    assert.ok(isTarget);
    if (last.asked.length > 0 || taken <= connectionInflightTarget) continue;
    worker.provesLast();
  }
  const { open } = worker.network;
  assert.deepEqual(
    open.map(({ asked }) => asked.length),
    new Array(directConnectionsMax).fill(1 + directInflightMax),
  );
});

check('one connection carries so many questions and no more', (worker) => {
  const socket = worker.proves();
  worker.network.connects = [errors.inProgress, errors.already];
  worker.asksMany(directInflightMax);
  assert.equal(worker.asks('more.test'), -1);
  socket.answers(socket.asked[4]);
  worker.poll();
  assert.notEqual(worker.asks('more.test'), -1);
  assert.equal(worker.asks('more.test'), -1);
  assert.equal(worker.network.sockets.length, 2, 'another one is on its way');
});

check('questions to a fast upstream share one connection as long as it has room', (worker) => {
  const socket = worker.provesFast();
  worker.asksMany(connectionInflightMax);
  assert.deepEqual([worker.network.sockets.length, socket.asksPerWrite.at(-1)], [1, connectionInflightMax]);
  assert.notEqual(worker.asks('opens-another.test'), -1);
  worker.provesLast();
  assert.notEqual(worker.asks('more.test'), -1);
  assert.equal(worker.network.sockets.length, 2);
});

check('a connection that is slower than the others gets no more questions', (worker) => {
  const socket = worker.provesFast();
  worker.asks('slow.test');
  const before = socket.asked.length;
  worker.nowMs += Math.ceil(fastRtt().slowMs);
  assert.equal(worker.asks('next.test'), -1);
  worker.provesLast();
  assert.notEqual(worker.asks('next.test'), -1);
  assert.deepEqual([socket.asked.length, worker.network.last.asked.length], [before, 2]);
});

check(
  'connections that owe answers are listed for poll where the caller wants them, now and then all open ones',
  (worker) => {
    const { direct, network, entries } = worker;
    const listed = (at: number) => {
      const count = direct.watch(entries, at);
      return [...entries.subarray(at * 2, (at + count) * 2)];
    };
    const often = (at: number) => Array.from({ length: 40 }, () => listed(at));
    const isAmong = (lists: number[][], ...fds: number[]) =>
      lists.some((list) => list.join() === fds.flatMap((fd) => [fd, linux.pollIn]).join());
    assert.deepEqual(listed(1), []);
    worker.ask('a.test');
    assert.deepEqual(listed(1), [], 'one that is not open yet cannot be read');
    worker.asks('b.test');
    const first = network.last;
    assert.deepEqual(listed(1), [first.fd, linux.pollIn]);
    assert.deepEqual(listed(3), [first.fd, linux.pollIn]);
    first.answers(first.asked[0]);
    worker.poll();
    worker.asksMany(connectionInflightTarget + 1);
    const second = worker.tries();
    assert.deepEqual(listed(1), [first.fd, linux.pollIn, second.fd, linux.pollIn]);
    second.answers(second.asked[0]);
    worker.poll();
    const one = often(1);
    assert.equal(
      one.filter((list) => list.length === 2).length,
      40 - Math.floor(one.length / 16),
      'mostly the one that owes',
    );
    assert.ok(isAmong(one, first.fd) && isAmong(one, first.fd, second.fd));
    first.arrives(reset);
    worker.poll();
    assert.ok(isAmong(often(1), second.fd) && isAmong(often(1)));
  },
);

check(
  'a connection that owes nothing and is closed by the upstream is noticed while others are waited for',
  (worker) => {
    const { network } = worker;
    const first = worker.proves();
    worker.asksMany(connectionInflightTarget + 1);
    const second = worker.tries();
    second.answers(second.asked[0]);
    worker.poll();
    second.arrives(reset);
    worker.poll();
    assert.deepEqual([second.isClosed, first.isClosed], [true, false]);
    assert.equal(network.sockets.length, 2);
  },
);

check('only what poll found ready is read, and nothing of a connection that was closed meanwhile', (worker) => {
  const { direct, entries } = worker;
  const socket = worker.proves();
  worker.asks('a.test');
  socket.answers(socket.asked[1]);
  assert.equal(direct.watch(entries, 1), 1);
  entries[3] = linux.pollIn;
  direct.read(entries, 1, worker.nowMs);
  assert.equal(direct.inflight, 1);
  entries[3] = linux.pollIn | (linux.pollIn << 16);
  direct.close();
  direct.read(entries, 1, worker.nowMs);
  assert.equal(worker.counters.total('directGivenUp'), 1);
});
