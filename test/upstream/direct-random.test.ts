import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  askAgainAfterMsMin,
  connectTimeoutMs,
  directConnectionsMax,
  directInflightMax,
  directQueriesMax,
  directSweepMs,
} from '../../src/limits.js';
import { errors } from '../../src/os/system-calls.js';
import { seededRandom } from '../simulation/random.js';
import {
  type Asked,
  answerFrame,
  directTarget,
  endOfStream,
  type PolledSocket,
  PollingWorker,
  reset,
} from './polled.js';

const targets = [directTarget(), directTarget({ address: 'fd00::a', expireMs: 700, maxAgeMs: 2_000 })];

/** The upstream's side of a socket: which requests it has not answered, and the trial among them. */
class Peer {
  /** Not answered rightly yet. */
  trial: Asked | null = null;
  #seen = 0;
  #answered = 0;
  readonly #socket: PolledSocket;

  constructor(socket: PolledSocket) {
    this.#socket = socket;
  }

  get owed(): readonly Asked[] {
    return this.#socket.asked.slice(this.#answered);
  }

  /** What has arrived since this was last read. */
  news(): readonly Asked[] {
    const news = this.#socket.asked.slice(this.#seen);
    this.#seen = this.#socket.asked.length;
    return news;
  }

  /** Answers all that it owes, in another order, cut into pieces; some ids are wrong. */
  answers(seed: number): void {
    const random = seededRandom(seed);
    const owed = [...this.owed];
    this.#answered = this.#socket.asked.length;
    const frames: Buffer[] = [];
    while (owed.length > 0) {
      const [asked] = owed.splice(random.below(owed.length), 1);
      const luck = random.below(10);
      // Some are never answered, some are answered twice or in vain.
      if (luck === 0) continue;
      if (luck !== 2 && asked === this.trial) this.trial = null;
      if (luck === 1) frames.push(answerFrame(asked));
      frames.push(answerFrame(luck === 2 ? { ...asked, id: asked.id ^ 1 } : asked));
    }
    const all = Buffer.concat(frames);
    for (let at = 0; at < all.length; ) {
      const bytes = random.below(3) === 0 ? 1 + random.below(30) : all.length - at;
      this.#socket.arrives(all.subarray(at, at + bytes));
      at += bytes;
    }
  }
}

class Run {
  readonly worker: PollingWorker;
  readonly #peers = new Map<PolledSocket, Peer>();
  /** Names of rows; what arrives under another name is a trial. */
  readonly #rows = new Set<string>();
  #asked = 0;
  trials = 0;

  constructor(seed: number) {
    // Even ones, each once: neither a wrong id nor a late answer is another row's by chance.
    let id = seed;
    const below = (most: number) => (2 * id++) % most;
    this.worker = new PollingWorker(targets[0], { below });
    this.worker.direct.follow(targets);
  }

  does(step: Step): void {
    const { worker } = this;
    const { direct, network } = worker;
    const { open } = network;
    const socket = open.length === 0 ? null : open[step.at % open.length];
    if (step.does === 'ask') {
      for (let index = 0; index <= step.at % 60 && direct.inflight < directQueriesMax; index++) {
        const name = `n${this.#asked++}.test`;
        if (worker.ask(name, targets[step.at & 1]) !== -1) this.#rows.add(name);
      }
    } else if (step.does === 'flush') worker.flush();
    else if (step.does === 'answer' && socket !== null) this.#peerOf(socket).answers(step.at);
    else if (step.does === 'poll') worker.poll();
    else if (step.does === 'pass') worker.pass(1 + (step.at % (step.at % 3 === 0 ? 900 : 60)));
    else if (step.does === 'end') socket?.arrives(step.at % 2 === 0 ? endOfStream : reset);
    else if (step.does === 'jam' && socket !== null) socket.writes = step.at % 2 === 0 ? 3 : errors.tryAgain;
    else if (step.does === 'network') network.connects = networks[step.at % networks.length];
    else if (step.does === 'judge') worker.isGood = step.at % 8 !== 0;
    else if (step.does === 'follow') direct.follow(step.at % 3 === 0 ? targets : [targets[(step.at % 3) - 1]]);
    else if (step.does === 'give up') direct.giveUpAll();
  }

  #peerOf(socket: PolledSocket): Peer {
    const peer = this.#peers.get(socket) ?? new Peer(socket);
    this.#peers.set(socket, peer);
    return peer;
  }

  /** That each row ends once and gets its own answer, and that no closed descriptor is used, is seen to by the worker. */
  holds(): void {
    const { direct, underWay, network } = this.worker;
    assert.equal(direct.inflight, underWay);
    assert.ok(network.open.length <= targets.length * directConnectionsMax);
    assert.ok(underWay <= network.open.length * directInflightMax);
    for (const socket of network.sockets) this.#judge(socket);
    const tried = network.open.filter((socket) => this.#peerOf(socket).trial !== null).map(({ to }) => to);
    assert.equal(new Set(tried).size, tried.length, 'one trial to each upstream at a time');
  }

  #judge(socket: PolledSocket): void {
    const peer = this.#peerOf(socket);
    for (const asked of peer.news()) {
      const isTrial = !this.#rows.has(asked.name);
      assert.ok(isTrial || asked !== socket.asked[0], 'a connection begins with a trial');
      assert.equal(peer.trial, null, 'nothing is asked behind a trial');
      if (!isTrial) continue;
      peer.trial = asked;
      this.trials++;
    }
  }
}

const networks = [
  ...[[0], [errors.inProgress, 0, errors.isConnected], [errors.inProgress, errors.already, errors.isConnected]],
  ...[[errors.refused], [errors.inProgress, errors.already]],
];
const does = ['ask', 'ask', 'ask', 'flush', 'answer', 'answer', 'poll', 'poll', 'pass'] as const;
const seldom = ['end', 'jam', 'network', 'judge', 'follow', 'give up'] as const;
const step = fc.record({
  does: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...does) },
    { weight: 1, arbitrary: fc.constantFrom(...seldom) },
  ),
  at: fc.nat(10_000),
});
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

test('whatever comes in whatever order, each question ends once, and nothing is left', () => {
  let answered = 0;
  let givenUp = 0;
  let trials = 0;
  fc.assert(
    fc.property(fc.nat(), fc.array(step, { maxLength: 200, size: 'max' }), (seed, steps) => {
      const run = new Run(seed);
      for (const each of steps) {
        run.does(each);
        run.holds();
      }
      const { worker } = run;
      answered += worker.got.length;
      trials += run.trials;
      givenUp += worker.counters.total('directGivenUp');
      // Nobody answers any more, and what has come is read.
      worker.flush();
      for (let turn = 0; turn < 1_000 && worker.network.open.some(({ isReadable }) => isReadable); turn++)
        worker.poll();
      for (const ms of [directSweepMs, askAgainAfterMsMin, connectTimeoutMs, 20_000]) worker.pass(ms);
      assert.deepEqual([worker.direct.inflight, worker.underWay], [0, 0]);
      assert.deepEqual(worker.network.open, [], 'unused connections expire');
      assert.equal(worker.direct.sweepAtMs, Number.POSITIVE_INFINITY);
    }),
    { numRuns: 200 },
  );
  const counts = `${answered} answered, ${givenUp} given up, ${trials} trials`;
  assert.ok(answered > 200 && givenUp > 200 && trials > 200, counts);
});
