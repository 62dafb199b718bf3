import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  askAgainAfterMsMin,
  directIdleSweepMs,
  directInflightMax,
  directSweepMs,
  messageBytesMax,
} from '../../src/limits.js';
import { errors, linux } from '../../src/os/system-calls.js';
import { framed } from '../simulation/framing.js';
import { answerFrame, check, directTarget, fastRtt, PollingWorker } from './polled.js';
import { question } from './scripted.js';

check(
  'the first question opens a connection, the first one after the handshake brings its trial: both are for the main thread',
  (worker) => {
    const { network, counters } = worker;
    network.connects = [errors.inProgress, errors.already, errors.already, 0, errors.isConnected];
    assert.deepEqual([worker.asks('a.test'), worker.asks('b.test'), worker.asks('c.test')], [-1, -1, -1]);
    assert.equal(network.sockets.length, 1, 'one handshake at a time');
    assert.deepEqual([network.last.to, network.last.family], ['10.96.0.10 53', linux.familyIpv4]);
    assert.ok(network.last.options.includes(`${linux.tcpLevel} ${linux.tcpNoDelay} 1`));
    assert.equal(worker.asks('d.test'), -1);
    worker.nowMs += 2;
    network.last.answers(network.last.asked[0]);
    worker.poll();
    const row = worker.asks('e.test');
    assert.deepEqual(
      network.last.asked.map(({ name }) => name),
      ['', 'e.test'],
    );
    worker.nowMs += 3;
    network.last.answers(network.last.asked[1]);
    worker.poll();
    assert.deepEqual([worker.ends.get(row), worker.got, worker.tookMs], ['answered', ['e.test'], [3]]);
    assert.deepEqual([counters.total('upstreamConnects'), counters.total('upstreamConnectFailures')], [1, 0]);
  },
);

check('a connection that is open at once is tried with the next question', (worker) => {
  worker.network.connects = [0, errors.isConnected];
  assert.equal(worker.asks('a.test'), -1);
  worker.provesLast();
  assert.notEqual(worker.asks('b.test'), -1);
});

check(
  'an IPv6 upstream on another port has a socket of its family',
  (worker) => {
    const socket = worker.proves();
    assert.deepEqual([socket.to, socket.family], ['fd00::a 5353', linux.familyIpv6]);
  },
  { address: 'fd00::a', port: 5353 },
);

check('a request has RD, AD and the question as it was spelt; the OPT of the client stays behind', (worker) => {
  const socket = worker.proves();
  worker.asks('MiXed.test');
  const { bytes } = socket.asked[1];
  assert.equal(bytes.subarray(2, 12).toString('hex'), '01200001000000000000');
  assert.deepEqual(bytes.subarray(12), question('MiXed.test'));
});

check('nothing is sent before flush, which sends all in one write', (worker) => {
  const socket = worker.proves();
  for (const name of ['a.test', 'b.test', 'c.test']) worker.ask(name);
  assert.deepEqual(socket.asksPerWrite, [1]);
  worker.flush();
  worker.flush();
  assert.deepEqual(socket.asksPerWrite, [1, 3]);
});

check('answers find their questions in any order, with the time that each took', (worker) => {
  const socket = worker.proves();
  const rows = [];
  for (const name of ['a.test', 'b.test', 'c.test', 'd.test']) {
    rows.push(worker.asks(name));
    worker.nowMs += 1;
  }
  for (const index of [2, 0, 3, 1]) {
    socket.answers(socket.asked[1 + index]);
    worker.poll();
    worker.nowMs += 10;
  }
  assert.deepEqual(worker.got, ['c.test', 'a.test', 'd.test', 'b.test']);
  assert.deepEqual(worker.tookMs, [2, 14, 21, 33]);
  assert.ok(rows.every((row) => worker.ends.get(row) === 'answered'));
  assert.equal(worker.counters.total('directGivenUp'), 0);
});

check('several answers in one read, and one in several, come out whole', (worker) => {
  const socket = worker.proves();
  for (const chunk of [1, 2, 3, 7, 1_000]) {
    worker.asksMany(4);
    const frames = Buffer.concat(socket.asked.slice(-4).map(answerFrame));
    for (let at = 0; at < frames.length; at += chunk) socket.arrives(frames.subarray(at, at + chunk));
    while (socket.isReadable) worker.poll();
    assert.equal(worker.direct.inflight, 0, `chunks of ${chunk}`);
  }
  assert.equal(worker.got.length, 20);
});

check('one answer may begin in a read that ends another', (worker) => {
  const socket = worker.proves();
  worker.asksMany(3);
  const frames = Buffer.concat(socket.asked.slice(-3).map(answerFrame));
  const cut = frames.length / 3 + 9;
  socket.arrives(frames.subarray(0, cut), frames.subarray(cut));
  worker.pollOnce();
  assert.equal(worker.direct.inflight, 2);
  worker.poll();
  assert.equal(worker.direct.inflight, 0);
});

check('the longest answer is longer than what one read brings', (worker) => {
  const socket = worker.proves();
  worker.asks('long.test');
  const short = answerFrame(socket.asked[1]).subarray(2);
  socket.arrives(framed(Buffer.concat([short, Buffer.alloc(messageBytesMax - short.length)])));
  worker.pollOnce();
  assert.equal(worker.direct.inflight, 1);
  worker.poll();
  assert.deepEqual(worker.got, ['long.test']);
});

check('a silence in which more is owed is acknowledged once, by a sweep: the server may wait for that', (worker) => {
  const socket = worker.proves();
  const acknowledged = () =>
    socket.options.filter((option) => option.includes(` ${linux.tcpQuickAcknowledge} `)).length;
  worker.asksMany(3);
  socket.answers(socket.asked[1]);
  worker.poll();
  assert.equal(acknowledged(), 0, 'the next request may come at once');
  worker.pass(directSweepMs);
  worker.pass(directSweepMs);
  assert.equal(acknowledged(), 1);
  socket.answers(socket.asked[2]);
  worker.poll();
  worker.pass(directSweepMs);
  assert.equal(acknowledged(), 2, 'another silence');
  socket.answers(socket.asked[3]);
  worker.poll();
  worker.pass(directSweepMs);
  assert.equal(acknowledged(), 2, 'nothing is owed any more');
});

check('unknown ids and messages without one are counted and change nothing', (worker) => {
  const socket = worker.proves();
  const row = worker.asks('a.test');
  const { id, bytes } = socket.asked[1];
  socket.arrives(framed(new Uint8Array(0)));
  worker.poll();
  socket.arrives(framed(Uint8Array.of(1)));
  worker.poll();
  socket.arrives(answerFrame({ id: id ^ 1, name: '', bytes }));
  worker.poll();
  assert.equal(worker.counters.total('answersRejectedMalformed'), 2);
  assert.equal(worker.counters.total('answersRejectedId'), 1);
  assert.equal(worker.direct.inflight, 1);
  socket.answers(socket.asked[1], socket.asked[1]);
  worker.poll();
  assert.equal(worker.ends.get(row), 'answered');
  assert.equal(worker.counters.total('answersRejectedId'), 2, 'a second answer has no question');
});

test('ids come from the random source and differ in flight', () => {
  const ids = [7, 7, 7, 8, 8, 9, 7];
  const worker = new PollingWorker(directTarget(), { below: () => ids.shift() ?? 60_000 });
  const socket = worker.proves();
  worker.asksMany(3);
  assert.deepEqual(
    socket.asked.map(({ id }) => id),
    [7, 7, 8, 9],
  );
  socket.answers(...socket.asked.slice(1));
  worker.poll();
  worker.asks('again.test');
  assert.equal(socket.asked[4].id, 7);
  worker.direct.close();
});

check('reads that bring nothing change nothing', (worker) => {
  const socket = worker.proves();
  worker.asks('a.test');
  socket.arrives(errors.interrupted);
  worker.poll();
  socket.recovers();
  socket.arrives(errors.tryAgain);
  worker.poll();
  socket.recovers();
  assert.deepEqual([worker.direct.inflight, worker.network.open.length], [1, 1]);
  socket.answers(socket.asked[1]);
  worker.poll();
  assert.equal(worker.direct.inflight, 0);
});

check(
  'a connection that is silent for as long as a question may wait is closed, and its questions are given up',
  (worker) => {
    worker.proves();
    const rows = worker.asksMany(3);
    worker.pass(askAgainAfterMsMin - 1);
    assert.deepEqual([worker.direct.inflight, worker.network.open.length], [3, 1]);
    worker.pass(directSweepMs);
    assert.ok(rows.every((row) => worker.ends.get(row) === 'given up'));
    assert.deepEqual([worker.direct.inflight, worker.network.open.length], [0, 0]);
    assert.equal(worker.counters.total('directGivenUp'), 3);
  },
);

check('an answer that came before the silence was noticed is taken', (worker) => {
  const socket = worker.proves();
  const row = worker.asks('a.test');
  socket.answers(socket.asked[1]);
  worker.pass(askAgainAfterMsMin);
  assert.equal(worker.ends.get(row), 'answered');
  assert.equal(socket.isClosed, false);
});

check('an answer that comes after its question was given up is dropped, and counted', (worker) => {
  const socket = worker.proves();
  worker.asksMany(2);
  worker.direct.giveUpAll();
  assert.equal(worker.counters.total('directGivenUp'), 2);
  socket.answers(socket.asked[1], socket.asked[2]);
  worker.poll();
  assert.equal(worker.got.length, 0);
  assert.equal(worker.counters.total('answersRejectedId'), 2);
  assert.equal(socket.isClosed, false);
});

check('behind a slow name all but the oldest question are given up, and the connection stays', (worker) => {
  const socket = worker.provesFast();
  const { heldUpMs } = fastRtt();
  const first = worker.asks('slow.test');
  worker.nowMs += 5;
  const others = worker.asksMany(2);
  worker.pass(Math.floor(heldUpMs) - 5);
  assert.equal(worker.direct.inflight, 3);
  worker.pass(directSweepMs);
  assert.equal(worker.direct.inflight, 1);
  assert.ok(others.every((row) => worker.ends.get(row) === 'given up'));
  socket.answers(socket.asked[socket.asked.length - 3]);
  worker.poll();
  assert.equal(worker.ends.get(first), 'answered');
  assert.equal(socket.isClosed, false);
  assert.ok(heldUpMs < askAgainAfterMsMin);
});

check('a question that waits too long on a connection that answers others is given up alone', (worker) => {
  const socket = worker.proves();
  const lost = worker.asks('lost.test');
  for (let passed = 0; passed < askAgainAfterMsMin; passed += 20) {
    assert.equal(worker.ends.has(lost), false);
    worker.asks('quick.test');
    socket.answers(socket.asked[socket.asked.length - 1]);
    worker.poll();
    worker.pass(20);
  }
  assert.equal(worker.ends.get(lost), 'given up');
  assert.deepEqual([worker.direct.inflight, socket.isClosed], [0, false]);
});

check('silence is counted from what the connection owes now, not from what was given up before', (worker) => {
  const socket = worker.proves();
  worker.asksMany(2);
  worker.direct.giveUpAll();
  worker.pass(askAgainAfterMsMin);
  const row = worker.asks('later.test');
  worker.pass(directSweepMs);
  assert.equal(worker.ends.get(row), undefined);
  socket.answers(socket.asked[3]);
  worker.poll();
  assert.equal(worker.ends.get(row), 'answered');
  assert.equal(worker.network.sockets.length, 1);
});

check('what is given up before it was sent is not sent', (worker) => {
  const socket = worker.proves();
  worker.network.connects = [errors.inProgress, errors.already];
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < directInflightMax; index++) worker.ask(`n${index}.test`);
    worker.direct.giveUpAll();
  }
  worker.flush();
  assert.deepEqual([socket.asked.length, worker.direct.inflight], [1, 0]);
  worker.asks('a.test');
  assert.equal(socket.asked[1].name, 'a.test');
});

check(
  'a sweep is due soon while questions are under way, seldom while connections are open, and else never',
  (worker) => {
    const { direct } = worker;
    const dueInMs = () => direct.sweepAtMs - worker.nowMs;
    assert.equal(dueInMs(), Number.POSITIVE_INFINITY);
    worker.ask('a.test');
    assert.equal(dueInMs(), directIdleSweepMs);
    worker.tries();
    assert.equal(dueInMs(), directSweepMs);
    worker.pass(directSweepMs - 1);
    assert.equal(dueInMs(), 1, 'a sweep before its time does nothing');
    worker.pass(1);
    assert.equal(dueInMs(), directSweepMs);
    worker.network.last.answers(worker.network.last.asked[0]);
    worker.poll();
    worker.pass(directSweepMs);
    assert.equal(dueInMs(), directIdleSweepMs);
    worker.pass(10_000);
    assert.equal(dueInMs(), Number.POSITIVE_INFINITY);
  },
);
