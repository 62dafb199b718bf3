import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  askAgainAfterMsMin,
  connectionInflightTarget,
  directIdleSweepMs,
  directLossesMax,
  directPauseMs,
  directSweepMs,
} from '../../src/limits.js';
import { errors, linux } from '../../src/os/system-calls.js';
import { framed } from '../simulation/framing.js';
import { answerFrame, check, directTarget, endOfStream, PollingWorker, reset } from './polled.js';

const brokenPipe = -32;
const noFiles = -24;

/** Questions one after another until as many connections are proven as asked for, each filled to its target. */
function provesMany(worker: PollingWorker, count: number): void {
  worker.proves();
  while (worker.network.open.length < count) {
    worker.asksMany(connectionInflightTarget + 1);
    worker.provesLast();
  }
}

/** So many losses that the upstream is left alone, on one connection, which stays. */
function losesTooMuch(worker: PollingWorker): void {
  const { network } = worker;
  worker.isGood = false;
  for (let loss = 0; loss < directLossesMax; loss++) {
    assert.notEqual(worker.asks(`bad${loss}.test`), -1);
    for (const socket of network.open) if (socket.asked.at(-1)!.name === `bad${loss}.test`) answersLast(socket);
    worker.poll();
  }
  worker.isGood = true;
  assert.equal(worker.asks('paused.test'), -1);
}

function answersLast(socket: PollingWorker['network']['last']): void {
  socket.answers(socket.asked[socket.asked.length - 1]);
}

check('a trial asks what health checks ask, and its answer proves the connection and goes to nobody', (worker) => {
  worker.ask('opens.test');
  const socket = worker.tries('somebodys.test');
  assert.equal(socket.asked[0].bytes.subarray(2, 12).toString('hex'), '01200001000000000000');
  assert.equal(socket.asked[0].bytes.subarray(12).toString('hex'), '0000020001', 'NS of the root');
  assert.equal(worker.direct.inflight, 0);
  answersLast(socket);
  worker.poll();
  assert.deepEqual([worker.got, worker.ends.size], [[], 0]);
  assert.notEqual(worker.asks('a.test'), -1);
  assert.equal(worker.counters.total('answersRejectedId'), 0);
});

check('until the trial is answered the main thread asks, and there is one trial', (worker) => {
  worker.ask('opens.test');
  const socket = worker.tries();
  for (let asked = 0; asked < 5; asked++) assert.equal(worker.asks('a.test'), -1);
  assert.deepEqual([socket.asked.length, worker.network.sockets.length], [1, 1]);
  answersLast(socket);
  worker.poll();
  worker.asksMany(3);
});

check('a second answer to a trial has no question', (worker) => {
  const socket = worker.proves();
  answersLast(socket);
  worker.poll();
  assert.equal(worker.counters.total('answersRejectedId'), 1);
});

check('an answer with another id proves nothing', (worker) => {
  worker.ask('opens.test');
  const socket = worker.tries();
  const [asked] = socket.asked;
  socket.arrives(answerFrame({ ...asked, id: asked.id ^ 1 }), framed(new Uint8Array(0)), framed(Uint8Array.of(1)));
  while (socket.isReadable) worker.poll();
  assert.equal(worker.asks('a.test'), -1);
  assert.equal(worker.counters.total('answersRejectedId'), 1);
  assert.equal(worker.counters.total('answersRejectedMalformed'), 2);
});

check('a silent trial closes its connection, which is one loss', (worker) => {
  for (let loss = 1; loss <= directLossesMax; loss++) {
    const opened = worker.network.sockets.length;
    assert.equal(worker.ask('opens.test'), -1);
    assert.equal(worker.network.sockets.length, opened + 1, `loss ${loss}`);
    const socket = worker.tries();
    worker.pass(askAgainAfterMsMin - 1);
    assert.equal(socket.isClosed, false);
    worker.pass(directSweepMs);
    assert.equal(socket.isClosed, true);
  }
  assert.equal(worker.counters.total('directGivenUp'), 0, 'nobody waited');
  assert.equal(worker.asks('paused.test'), -1);
  assert.equal(worker.network.open.length, 0);
});

for (const [how, end] of [
  ['ends', endOfStream],
  ['is reset', reset],
] as const) {
  check(`a connection that ${how} during its trial is a loss`, (worker) => {
    for (let loss = 1; loss <= directLossesMax; loss++) {
      worker.ask('opens.test');
      const socket = worker.tries();
      socket.arrives(end);
      worker.poll();
      assert.equal(socket.isClosed, true, `loss ${loss}`);
    }
    const opened = worker.network.sockets.length;
    worker.ask('paused.test');
    assert.equal(worker.network.sockets.length, opened);
  });
}

check('a trial that cannot be written closes its connection', (worker) => {
  worker.ask('opens.test');
  worker.network.last.writes = brokenPipe;
  assert.equal(worker.asks('trial.test'), -1);
  assert.equal(worker.network.open.length, 0);
});

check('the answer to a trial is read before the connection counts as silent, though nobody polled', (worker) => {
  for (let round = 0; round < 3 * directLossesMax; round++) {
    worker.ask('opens.test');
    const socket = worker.tries();
    answersLast(socket);
    worker.pass(5 * askAgainAfterMsMin);
    assert.equal(socket.isClosed, false, `round ${round}`);
    assert.notEqual(worker.asks('a.test'), -1);
    answersLast(socket);
    worker.poll();
    socket.arrives(endOfStream);
    worker.poll();
  }
});

check('an open connection that nobody has polled is looked at before its trial', (worker) => {
  for (let round = 0; round < 3 * directLossesMax; round++) {
    worker.ask('opens.test');
    const socket = worker.network.last;
    // The second one finds the connection open, whose trial is dropped; the third one that it has ended.
    worker.ask('unsent.test');
    worker.direct.giveUpAll();
    worker.nowMs += directIdleSweepMs;
    socket.arrives(round % 2 === 0 ? endOfStream : reset);
    const opened = worker.network.sockets.length;
    assert.equal(worker.asks('next.test'), -1);
    assert.equal(worker.network.sockets.length, opened + 1, `round ${round}`);
    assert.deepEqual([socket.isClosed, socket.asked.length], [true, 0]);
    worker.provesLast().arrives(endOfStream);
    worker.poll();
  }
});

check(
  'an old connection is not tried',
  (worker) => {
    worker.ask('opens.test');
    const old = worker.network.last;
    worker.ask('unsent.test');
    worker.direct.giveUpAll();
    worker.nowMs += 3_000;
    assert.equal(worker.asks('next.test'), -1);
    assert.equal(old.asked.length, 0);
    assert.notEqual(worker.provesLast(), old);
  },
  { maxAgeMs: 3_000 },
);

test('the id of a trial is none of the rows that are under way, and each answer finds its own', () => {
  const ids: number[] = [];
  const worker = new PollingWorker(directTarget(), { below: () => ids.shift() ?? 60_000 });
  const socket = worker.proves();
  worker.network.connects = [errors.inProgress, errors.already];
  ids.push(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
  const rows = worker.asksMany(directLossesMax + 2);
  worker.isGood = false;
  socket.answers(...socket.asked.slice(1, 1 + directLossesMax));
  worker.poll();
  assert.equal(worker.asks('paused.test'), -1);
  worker.isGood = true;
  worker.nowMs += directPauseMs;
  // It has just answered, so that it is tried while it owes another row.
  socket.answers(socket.asked[directLossesMax + 1]);
  worker.poll();
  ids.push(10, 10, 11);
  assert.equal(worker.asks('trial.test'), -1);
  assert.deepEqual([socket.asked.at(-2)!.id, socket.asked.at(-1)!.id], [10, 11]);
  answersLast(socket);
  worker.poll();
  assert.equal(worker.direct.inflight, 1);
  socket.answers(socket.asked[socket.asked.length - 2]);
  worker.poll();
  assert.equal(worker.ends.get(rows[rows.length - 1]), 'answered');
  assert.notEqual(worker.asks('next.test'), -1);
  worker.direct.close();
});

test('an unproven connection is not proven by the answers to its rows', () => {
  const worker = new PollingWorker();
  const socket = worker.proves();
  worker.network.connects = [errors.inProgress, errors.already];
  worker.asksMany(directLossesMax + 1);
  worker.isGood = false;
  socket.answers(...socket.asked.slice(1, 1 + directLossesMax));
  worker.poll();
  worker.isGood = true;
  worker.nowMs += directPauseMs;
  answersLast(socket);
  worker.poll();
  assert.equal(worker.direct.inflight, 0);
  assert.equal(worker.asks('trial.test'), -1);
  assert.equal(socket.asked.at(-1)!.name, '');
  worker.direct.close();
});

check('what is given up before it was sent is not sent, a trial neither', (worker) => {
  worker.ask('opens.test');
  const socket = worker.network.last;
  assert.equal(worker.ask('unsent.test'), -1);
  worker.direct.giveUpAll();
  worker.flush();
  assert.equal(socket.asked.length, 0);
  worker.pass(askAgainAfterMsMin + directSweepMs);
  assert.equal(socket.isClosed, false, 'it owes nothing');
  worker.provesLast();
  worker.asksMany(1);
});

check('a trial that was sent goes on when all questions are given up', (worker) => {
  worker.ask('opens.test');
  const socket = worker.tries();
  worker.direct.giveUpAll();
  assert.equal(worker.asks('a.test'), -1);
  assert.equal(socket.asked.length, 1);
  answersLast(socket);
  worker.poll();
  assert.notEqual(worker.asks('a.test'), -1);
});

check('a trial goes on when others are followed', (worker) => {
  worker.ask('opens.test');
  const socket = worker.tries();
  worker.direct.follow([directTarget({ address: '10.96.0.11' }), worker.target]);
  answersLast(socket);
  worker.poll();
  assert.notEqual(worker.asks('a.test'), -1);
  assert.equal(worker.network.sockets.length, 1);
});

check('while one connection is coming no other one is opened, and full ones carry what is asked', (worker) => {
  const first = worker.proves();
  worker.network.connects = [errors.inProgress, errors.already, 0, errors.isConnected];
  worker.asksMany(connectionInflightTarget + 1);
  worker.asksMany(1);
  assert.equal(worker.network.sockets.length, 2, 'one connects');
  const second = worker.tries();
  worker.asksMany(3);
  assert.deepEqual([first.asked.length, second.asked.length], [1 + connectionInflightTarget + 1 + 1 + 3, 1]);
  assert.equal(worker.network.sockets.length, 2, 'one is tried');
  answersLast(second);
  worker.poll();
  worker.asksMany(connectionInflightTarget);
  assert.equal(second.asked.length, 1 + connectionInflightTarget);
  worker.asksMany(1);
  assert.equal(worker.network.sockets.length, 3);
});

check('while a trial is owed an answer, what was read is acknowledged by the next sweep', (worker) => {
  worker.ask('opens.test');
  const socket = worker.tries();
  socket.arrives(framed(Buffer.from('ffff', 'hex')));
  worker.poll();
  const [id] = socket.asked.map((asked) => asked.id);
  assert.notEqual(id, 0xffff);
  worker.pass(directSweepMs);
  assert.ok(socket.options.some((option) => option.includes(` ${linux.tcpQuickAcknowledge} `)));
});

check('after a pause each connection is tried before it carries questions, one at a time', (worker) => {
  provesMany(worker, 3);
  const { open } = worker.network;
  for (const socket of open) socket.answers(...socket.asked.slice(1));
  worker.poll();
  assert.deepEqual([open.length, worker.direct.inflight], [3, 0]);
  losesTooMuch(worker);
  worker.pass(directPauseMs);
  const before = open.map(({ asked }) => asked.length);
  const tried = () => open.map(({ asked }, index) => asked.length - before[index]);
  for (let asked = 0; asked < 4; asked++) assert.equal(worker.asks('next.test'), -1);
  assert.equal(
    tried().reduce((sum, one) => sum + one),
    1,
    'one trial',
  );
  assert.equal(worker.network.sockets.length, 3, 'none is opened beside it');
  answersLast(open[tried().indexOf(1)]);
  worker.poll();
  worker.asksMany(connectionInflightTarget);
  assert.equal(worker.asks('more.test'), -1, 'the next connection is tried when it is needed');
  worker.asksMany(1);
  assert.deepEqual(tried().toSorted(), [0, 1, connectionInflightTarget + 2]);
});

check('nothing is tried with the question whose own attempt to connect was one failure too many', (worker) => {
  const socket = worker.proves();
  worker.asksMany(connectionInflightTarget);
  worker.network.socketFails = noFiles;
  worker.asksMany(directLossesMax - 1);
  const before = socket.asked.length;
  assert.equal(worker.asks('paused.test'), -1);
  assert.equal(socket.asked.length, before);
});

check('a silent trial after a pause is enough for the next one', (worker) => {
  worker.proves();
  losesTooMuch(worker);
  for (let pause = 0; pause < 3; pause++) {
    worker.pass(directPauseMs);
    if (pause > 0) worker.ask('opens.test');
    worker.tries();
    worker.pass(askAgainAfterMsMin);
    const opened = worker.network.sockets.length;
    assert.deepEqual([worker.asks('paused.test'), worker.network.open.length], [-1, 0]);
    assert.equal(worker.network.sockets.length, opened);
  }
});

check('the answer to a trial makes up for no loss and says nothing of how long answers take', (worker) => {
  for (let loss = 1; loss <= directLossesMax; loss++) {
    worker.proves();
    worker.asksMany(1);
    worker.network.last.arrives(endOfStream);
    worker.poll();
  }
  const opened = worker.network.sockets.length;
  worker.ask('paused.test');
  assert.equal(worker.network.sockets.length, opened);
  assert.deepEqual(worker.tookMs, []);
});
