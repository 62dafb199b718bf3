/** One client by itself, on a stream that only notes what it is told: when things happen, not whether (tcp.test.ts). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TimeoutsConfig } from '../../src/config/config.js';
import { Counters, countersMemory } from '../../src/counters.js';
import { lentQueriesLeast, tcpClientUnsentBytesMax } from '../../src/limits.js';
import type { Client } from '../../src/listen/client.js';
import type { HowReturned, Lending, LentClient, Loan } from '../../src/listen/lender.js';
import { TcpClient } from '../../src/listen/tcp-client.js';
import { TcpPlaces } from '../../src/listen/tcp-places.js';
import { TcpTurns } from '../../src/listen/tcp-turns.js';
import type { Stream } from '../../src/os/network.js';
import { ManualClock } from '../simulation/clock.js';
import { framed } from '../simulation/framing.js';
import { at, idleMs, message, timeouts, writeMs } from './tcp-world.js';

/** A worker that lets the test answer in its place, and gives back at once what is recalled, unless it is busy. */
class NotedLending implements Lending {
  lent: LentClient | null = null;
  answered = 0;
  activeAtMs = 0;
  isBusy = false;
  takes = true;
  readonly #notes: string[];

  constructor(notes: string[]) {
    this.#notes = notes;
  }

  pays(): boolean {
    return true;
  }

  lend(client: LentClient, nowMs: number): Loan | null {
    if (!this.takes) return null;
    this.#notes.push(`lend ${client.fd}`);
    this.lent = client;
    this.answered = 0;
    this.activeAtMs = nowMs;
    const recall = (): void => {
      this.#notes.push('recall');
      if (!this.isBusy) this.returns('usable');
    };
    const self = this;
    return {
      get answered() {
        return self.answered;
      },
      get activeAtMs() {
        return self.activeAtMs;
      },
      recall,
    };
  }

  returns(how: HowReturned, unsent: Uint8Array | null = null): void {
    const { lent } = this;
    this.lent = null;
    lent!.returned(how, unsent);
  }
}

function clientOnNotes(more: { readonly timeouts?: Partial<TimeoutsConfig>; readonly fd?: number } = {}) {
  const clock = new ManualClock(0);
  const counters = new Counters(countersMemory(0));
  const notes: string[] = [];
  const askers: Client[] = [];
  const lending = new NotedLending(notes);
  const stream = {
    remote: { address: '10.244.0.7', port: 40_000 },
    fd: more.fd ?? 77,
    unsentBytes: 0,
    write: (bytes: Uint8Array) => notes.push(`write ${bytes.length}`),
    pause: () => notes.push('pause'),
    resume: () => notes.push('resume'),
    end: () => notes.push('end'),
    destroy: () => notes.push('destroy'),
  };
  const client = new TcpClient(
    {
      clock,
      counters,
      places: new TcpPlaces(),
      turns: new TcpTurns(() => clock.nowMs()),
      timeouts: { ...timeouts, ...more.timeouts },
      serve: (_packet, client) => askers.push(client),
      local: at,
      lending,
      workLater: () => notes.push('later'),
      gone: () => notes.push('gone'),
    },
    stream satisfies Stream,
  );
  const takeNotes = (): string[] => notes.splice(0);
  /** A query that comes and is answered. */
  const asksOnce = (): void => {
    client.data(framed(message(1)));
    askers.pop()!.reply(message(1));
    client.work();
  };
  return { clock, counters, client, stream, askers, lending, takeNotes, asksOnce };
}

test('nothing is written within a reply, everything at the end of the turn', () => {
  const { client, askers, takeNotes } = clientOnNotes();
  client.data(Buffer.concat([framed(message(1)), framed(message(2)), framed(message(3))]));
  assert.deepEqual(takeNotes(), []);
  for (const client of askers.slice(0, 2)) client.reply(message(0, 100));
  assert.deepEqual(takeNotes(), ['later', 'later']);
  client.work();
  assert.deepEqual(takeNotes(), ['write 204']);
  client.work();
  assert.deepEqual(takeNotes(), []);
});

test('the FIN follows the last answer, at the end of the turn', () => {
  const { client, askers, takeNotes } = clientOnNotes();
  client.data(framed(message(1)));
  client.ended();
  client.work();
  assert.deepEqual(takeNotes(), ['later']);
  askers[0].reply(message(1));
  client.work();
  assert.deepEqual(takeNotes(), ['later', 'write 14', 'end']);
  client.data(framed(message(2)));
  client.work();
  client.closed();
  assert.deepEqual(takeNotes(), ['gone']);
  assert.equal(askers.length, 1);
});

test('after the connection is closed nothing touches the stream', () => {
  const { client, askers, takeNotes } = clientOnNotes();
  client.data(framed(message(1)));
  client.closed();
  askers[0].reply(message(1));
  client.work();
  client.drain();
  client.destroy();
  assert.deepEqual(takeNotes(), ['gone']);
});

test('too many unsent bytes drop the connection at the write that made them', () => {
  const { client, counters, stream, askers, takeNotes } = clientOnNotes();
  client.data(framed(message(1)));
  stream.unsentBytes = tcpClientUnsentBytesMax + 1;
  askers[0].reply(message(1));
  client.work();
  assert.deepEqual(takeNotes(), ['later', 'write 14', 'destroy']);
  assert.equal(counters.total('tcpClosedSlow'), 1);
});

test('unsent bytes that shrink, however little, keep a slow client; those that do not lose it', () => {
  const { client, counters, stream, askers } = clientOnNotes();
  client.data(framed(message(1)));
  askers[0].reply(message(1, 1_000));
  client.work();
  stream.unsentBytes = 900;
  let nowMs = 0;
  for (; stream.unsentBytes > 800; stream.unsentBytes--) {
    nowMs += writeMs - 1;
    client.sweep(nowMs);
  }
  assert.equal(counters.total('tcpClosedSlow'), 0);
  client.sweep(nowMs + writeMs - 1);
  client.sweep(nowMs + 2 * writeMs);
  assert.equal(counters.total('tcpClosedSlow'), 1);
});

test('idleness is counted from the last answer, and not while one is owed', () => {
  const { clock, client, counters, askers, takeNotes } = clientOnNotes();
  client.data(framed(message(1)));
  client.sweep(10 * idleMs);
  clock.passMs(5_000);
  askers[0].reply(message(1));
  client.work();
  client.sweep(5_000 + idleMs - 1);
  assert.equal(counters.total('tcpClosedIdle'), 0);
  takeNotes();
  client.sweep(5_000 + idleMs);
  client.sweep(5_000 + 2 * idleMs);
  assert.deepEqual(takeNotes(), ['destroy']);
  assert.equal(counters.total('tcpClosedIdle'), 1);
});

describe('a client that is lent', () => {
  test('is offered, lent at rest, and read here again after it has come back', () => {
    const { client, askers, lending, takeNotes, asksOnce } = clientOnNotes();
    asksOnce();
    assert.deepEqual(takeNotes(), ['later', 'write 14'], 'nobody has offered it');
    client.offer();
    assert.deepEqual(takeNotes(), ['lend 77', 'pause']);
    lending.answered = lentQueriesLeast;
    lending.returns('usable');
    client.work();
    assert.deepEqual(takeNotes(), ['later', 'resume'], 'what it came back for is served first');
    client.data(framed(message(2)));
    client.work();
    assert.deepEqual(takeNotes(), []);
    askers[0].reply(message(2));
    client.work();
    assert.deepEqual(takeNotes(), ['later', 'write 14', 'lend 77', 'pause']);
  });

  test('is not lent while a query or a part of one waits, or something is unsent', () => {
    const { client, stream, askers, takeNotes, asksOnce } = clientOnNotes();
    asksOnce();
    client.data(framed(message(2)).subarray(0, 5));
    client.offer();
    client.data(framed(message(2)).subarray(5));
    client.offer();
    takeNotes();
    askers[0].reply(message(2));
    stream.unsentBytes = 3;
    client.work();
    client.offer();
    assert.deepEqual(takeNotes(), ['later', 'write 14']);
    stream.unsentBytes = 0;
    client.offer();
    assert.deepEqual(takeNotes(), ['lend 77', 'pause']);
  });

  test('is not lent without a descriptor, without a worker, or when its queries are limited', () => {
    for (const more of [{ fd: -1 }, { timeouts: { tcpQueriesMax: 3 } }, {}]) {
      const { client, lending, takeNotes, asksOnce } = clientOnNotes(more);
      lending.takes = more.fd !== undefined || more.timeouts !== undefined;
      asksOnce();
      takeNotes();
      client.offer();
      assert.deepEqual(takeNotes(), []);
    }
  });

  test('is not lent again soon when there was a crowd, or when it came back at once', () => {
    for (const [how, answered] of [
      ['crowded', 100],
      ['usable', lentQueriesLeast - 1],
    ] as const) {
      const { client, lending, takeNotes, asksOnce } = clientOnNotes();
      client.offer();
      lending.answered = answered;
      lending.returns(how);
      client.work();
      takeNotes();
      asksOnce();
      assert.deepEqual(takeNotes(), ['later', 'write 14']);
      client.offer();
      assert.deepEqual(takeNotes(), ['lend 77', 'pause']);
    }
  });

  test('is taken back when it is withdrawn, and its queries count wherever they were answered', () => {
    const { client, lending, takeNotes, asksOnce } = clientOnNotes();
    asksOnce();
    assert.equal(client.newQueries(), 1);
    client.offer();
    lending.answered = 3;
    assert.deepEqual([client.newQueries(), client.newQueries()], [3, 0]);
    lending.answered = 5;
    takeNotes();
    client.withdraw();
    assert.deepEqual(takeNotes(), ['recall', 'later']);
    client.work();
    asksOnce();
    assert.equal(client.newQueries(), 3);
  });

  test('sends what the worker could not', () => {
    const { client, lending, takeNotes } = clientOnNotes();
    client.offer();
    lending.returns('usable', new Uint8Array(33));
    takeNotes();
    client.work();
    assert.deepEqual(takeNotes(), ['write 33', 'resume']);
  });

  test('is idle since the worker has answered it', () => {
    const { client, counters, lending, takeNotes, asksOnce } = clientOnNotes();
    asksOnce();
    client.offer();
    lending.activeAtMs = 5_000;
    assert.deepEqual([client.activeAtMs, client.isIdle], [5_000, true]);
    lending.answered = 1;
    client.sweep(5_000 + idleMs - 1);
    takeNotes();
    client.withdraw();
    client.sweep(5_000 + idleMs - 1);
    assert.equal(counters.total('tcpClosedIdle'), 0);
    client.sweep(5_000 + idleMs);
    assert.equal(counters.total('tcpClosedIdle'), 1);
  });

  test('is closed when it is back, and not before', () => {
    for (const close of ['destroy', 'drain', 'sweep'] as const) {
      const { client, lending, takeNotes } = clientOnNotes();
      client.offer();
      lending.isBusy = true;
      takeNotes();
      if (close === 'sweep') client.sweep(100 * idleMs);
      else client[close]();
      assert.deepEqual(takeNotes(), ['recall'], close);
      client.destroy();
      client.work();
      assert.deepEqual(takeNotes(), []);
      lending.returns('usable', new Uint8Array(33));
      assert.deepEqual(takeNotes(), ['destroy']);
    }
  });

  test('is dropped when the worker died in the middle', () => {
    const { client, lending, takeNotes } = clientOnNotes();
    client.offer();
    takeNotes();
    lending.returns('broken');
    assert.deepEqual(takeNotes(), ['destroy']);
  });
});
