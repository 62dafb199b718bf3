import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { handoverPeersMax, introductionTimeoutMs } from '../../src/limits.js';
import type { LocalSockets } from '../../src/os/network.js';
import type { Link } from '../../src/takeover/link.js';
import { MeetingPlace } from '../../src/takeover/meeting-place.js';
import { ManualClock } from '../simulation/clock.js';
import { memoryLocalSockets } from '../simulation/local-sockets.js';

function newWorld(other: Partial<LocalSockets> = {}) {
  const clock = new ManualClock();
  const sockets = memoryLocalSockets(clock);
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const accepted: Link[] = [];
  const newPlace = (): MeetingPlace =>
    new MeetingPlace(
      {
        ...{ clock, path: '/p', self: { version: '1', pid: 1, network: '', entriesFormat: 1 } },
        log: { debug: say, info: say, warn: say, error: say },
        sockets: { ...sockets, ...other },
        greeting: () => ({ bytes: new Uint8Array(0), descriptors: [] }),
      },
      { message() {}, entries() {}, closed() {} },
      (link) => void accepted.push(link),
    );
  return { clock, sockets, lines, accepted, newPlace };
}

describe('MeetingPlace', () => {
  test('is taken from whoever had it', () => {
    const { newPlace } = newWorld();
    const [one, two] = [newPlace(), newPlace()];
    assert.equal(one.isOurs, false);
    one.take();
    assert.equal(one.isOurs, true);
    two.take();
    assert.deepEqual([one.isOurs, two.isOurs], [false, true]);
    one.leave();
    assert.equal(two.isOurs, true);
    two.leave();
    assert.equal(newPlace().connect('successor'), null);
  });

  test('who comes and does not say who he is has to go, and so has who is too many', async () => {
    const { clock, sockets, accepted, newPlace } = newWorld();
    newPlace().take();
    const closed: number[] = [];
    for (let index = 0; index <= handoverPeersMax; index++) {
      sockets.connect('/p', { data() {}, ended() {}, closed: () => void closed.push(index) });
    }
    await clock.pass(5);
    assert.deepEqual([accepted.length, closed], [handoverPeersMax, [handoverPeersMax]]);
    await clock.pass(introductionTimeoutMs + 5);
    assert.equal(closed.length, handoverPeersMax + 1);
    sockets.connect('/p', { data() {}, ended() {}, closed: () => assert.fail('there is room again') });
    await clock.pass(5);
    assert.equal(accepted.length, handoverPeersMax + 1);
  });

  test('a path that cannot be used is said once', () => {
    const why = 'EACCES';
    const { lines, newPlace } = newWorld({
      connect: () => ({ stream: null, why }),
      listen: () => ({ listener: null, why }),
    });
    const place = newPlace();
    assert.equal(place.connect('successor'), null);
    place.take();
    place.take();
    assert.deepEqual(lines, ['not using the handover socket /p: EACCES']);
  });

  test("somebody else's is left alone", () => {
    const { sockets, newPlace } = newWorld();
    sockets.listenDeaf('/p');
    const place = newPlace();
    place.isForeign = true;
    place.take();
    assert.equal(place.connect('successor'), null);
    assert.equal(place.isOurs, false);
  });
});
