import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { introductionTimeoutMs } from '../../src/limits.js';
import type { Greeting, LocalSockets } from '../../src/os/network.js';
import { Hearing, type PeerLink } from '../../src/takeover/protocol.js';
import { dropSockets, fetchCache, fetchSockets, greetingOf, type Offered } from '../../src/takeover/succession.js';
import { ManualClock } from '../simulation/clock.js';

function newWorld(offered: Offered = { groups: [], descriptors: [] }) {
  const clock = new ManualClock();
  const held: Offered[] = [];
  const seats = { offer: () => offered, hold: (what: Offered) => void held.push(what) };
  let came: (greeting: Greeting) => void = () => {};
  let isGivenUp = false;
  const sockets = {
    fetch(_: string, then: (greeting: Greeting) => void) {
      came = then;
      return () => {
        isGivenUp = true;
      };
    },
  } as LocalSockets;
  return { clock, held, seats, sockets, comes: (greeting: Greeting) => came(greeting), isGivenUp: () => isGivenUp };
}

describe('sockets', () => {
  const offered = { groups: ['udp 192.0.2.1 53', 'udp ::1 53'], descriptors: [7, 8] };

  test('those that one offers another holds', () => {
    const { seats, held, comes, ...world } = newWorld(offered);
    fetchSockets({ ...world, path: '/p', seats });
    comes(greetingOf(seats));
    assert.deepEqual(held, [offered]);
    world.clock.passMs(introductionTimeoutMs);
    assert.equal(world.isGivenUp(), false);
    dropSockets(seats);
    assert.deepEqual(held[1], { groups: [], descriptors: [] });
  });

  test('what comes with nonsense belongs to no group', () => {
    const { seats, held, comes, ...world } = newWorld();
    fetchSockets({ ...world, path: '/p', seats });
    comes({ bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n'), descriptors: [7] });
    assert.deepEqual(held, [{ groups: [], descriptors: [7] }]);
  });

  test('nobody waits for them for ever', () => {
    const { seats, clock, ...world } = newWorld();
    fetchSockets({ ...world, clock, path: '/p', seats });
    clock.passMs(introductionTimeoutMs);
    assert.equal(world.isGivenUp(), true);
  });
});

describe('the cache', () => {
  const self = { version: '', pid: 1, network: '', entriesFormat: 1 };

  async function fetches(peer: object, then: (hearing: Hearing) => void): Promise<{ said: string[]; lines: string[] }> {
    const clock = new ManualClock();
    const [said, lines]: [string[], string[]] = [[], []];
    const say = (line: string): void => void lines.push(line);
    const hearing = new Hearing(clock);
    const link = {
      peer: { ...self, clockMs: clock.nowMs(), ...peer },
      say: ({ type }: { type: string }) => void said.push(type),
    };
    const log = { debug: say, info: say, warn: say, error: say };
    const fetched = fetchCache(link as unknown as PeerLink, hearing, { clock, log, self });
    then(hearing);
    await clock.pass(10_000);
    await fetched;
    return { said, lines };
  }

  test('is asked for, and is there when the other one says so', async () => {
    assert.deepEqual(await fetches({}, (hearing) => hearing.heard('given')), { said: ['give'], lines: [] });
  });

  test('that comes to an end too early is said; one of another form or clock is not asked for', async () => {
    assert.match((await fetches({}, (hearing) => hearing.heard('closed'))).lines[0], /cache handover incomplete/);
    for (const peer of [{ entriesFormat: 2 }, { clockMs: 0 }]) {
      const { said, lines } = await fetches(peer, () => {});
      assert.deepEqual(said, []);
      assert.match(lines[0], /handover skipped/);
    }
  });
});
