import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { tcpClientsMax, tcpClientsOfAddressLeast, tcpIdleLeastMs, tcpUnsentBytesMax } from '../../src/limits.js';
import { type PlacedClient, TcpPlaces } from '../../src/listen/tcp-places.js';

class One implements PlacedClient {
  isIdle = true;
  activeAtMs = 0;
  unsentBytes = 0;
  countedBytes = 0;
  gaveUp: string | null = null;

  constructor(readonly address: string) {}

  giveUp(cause: 'crowded' | 'slow'): void {
    assert.equal(this.gaveUp, null);
    this.gaveUp = cause;
  }
}

/** Connections of one address until it gets no more; the number of the last tells when it was active. */
function fill(places: TcpPlaces, address: string, { isIdle = true, most = Number.POSITIVE_INFINITY } = {}): One[] {
  const all: One[] = [];
  while (all.length < most && places.makeRoom(address)) {
    const one = new One(address);
    one.isIdle = isIdle;
    one.activeAtMs = all.length;
    places.add(one);
    all.push(one);
    if (all.some(({ gaveUp }) => gaveUp !== null)) break;
  }
  return all;
}

test('one address has as many places as are free for others, and then its own longest idle connection gives way', () => {
  const places = new TcpPlaces();
  const busy = fill(places, 'a', { isIdle: false });
  assert.equal(busy.length, tcpClientsMax / 2);
  busy[7].isIdle = true;
  busy[9].isIdle = true;
  assert.ok(places.makeRoom('a'));
  assert.deepEqual(
    busy.filter(({ gaveUp }) => gaveUp === 'crowded'),
    [busy[7]],
  );
  places.remove(busy[7]);
  assert.equal(places.taken, tcpClientsMax / 2 - 1, 'it is not counted off twice');
});

test('when it is full, the longest idle connection of the address that has most is closed for another’s', () => {
  const places = new TcpPlaces();
  const all = ['a', 'b', 'c', 'd'].map((address) => fill(places, address, { isIdle: false }));
  for (let n = 0; places.taken < tcpClientsMax; n++) fill(places, `other ${n}`, { isIdle: false, most: 1 });
  all[1][0].isIdle = true;
  all[0][5].isIdle = true;
  all[0][5].activeAtMs = 1_000;
  assert.ok(places.makeRoom('victim'));
  assert.equal(all[0][5].gaveUp, 'crowded', 'idle before busy');
  places.add(new One('victim'));
  assert.ok(places.makeRoom('victim'));
  assert.equal(all[0][0].gaveUp, 'crowded', 'without an idle one the longest quiet');
  assert.equal(all[1][0].gaveUp, null);
});

test('where each address has one busy connection nobody is closed, and the newcomer is turned away', () => {
  const places = new TcpPlaces();
  const all = Array.from({ length: tcpClientsMax }, (_, n) => fill(places, `${n}`, { isIdle: false, most: 1 })[0]);
  assert.equal(places.makeRoom('newcomer'), false);
  all[100].isIdle = true;
  assert.ok(places.makeRoom('newcomer'));
  assert.equal(all[100].gaveUp, 'crowded');
});

test('idle connections are kept shorter as places run out, a second at least', () => {
  const places = new TcpPlaces();
  const kept: number[] = [];
  for (let n = 0; n <= tcpClientsMax; n++) {
    kept.push(places.idleMs(10_000));
    places.add(new One(`${n}`));
  }
  assert.deepEqual([kept[0], kept[tcpClientsMax / 2], kept[tcpClientsMax]], [10_000, 10_000, tcpIdleLeastMs]);
  assert.equal(kept[(tcpClientsMax * 3) / 4], 5_000);
  assert.ok(kept.every((ms, index) => index === 0 || ms <= kept[index - 1]));
  assert.equal(places.idleMs(300), 300);
});

test('what is unread in all is bounded: the address with most of it loses the connection with most', () => {
  const places = new TcpPlaces();
  const add = (address: string, unsentBytes: number): One => {
    const one = Object.assign(new One(address), { isIdle: false, unsentBytes });
    places.add(one);
    places.wrote(one);
    return one;
  };
  const victim = add('victim', 250_000);
  const flood = Array.from({ length: 64 }, (_, n) => add('flood', tcpUnsentBytesMax / 64 - (n === 20 ? 0 : 2_048)));
  assert.deepEqual(
    flood.filter(({ gaveUp }) => gaveUp === 'slow'),
    [flood[20]],
  );
  assert.equal(victim.gaveUp, null);
  // What was read meanwhile counts no more.
  for (const one of flood) one.unsentBytes = 0;
  add('third', 500_000);
  add('third', 200_000);
  assert.deepEqual(
    flood.filter(({ gaveUp }) => gaveUp !== null),
    [flood[20]],
  );
});

test('the places taken are those of open connections, and an address with few always finds one', () => {
  const step = fc.record({ client: fc.nat(20), leaves: fc.boolean(), isIdle: fc.boolean(), nth: fc.nat(1_000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 1_500, size: 'max' }), (steps) => {
      const places = new TcpPlaces();
      const flood = fill(places, 'flood', { isIdle: false });
      let open: One[] = [...flood];
      for (const { client, leaves, isIdle, nth } of steps) {
        if (leaves) {
          const one = open[nth % open.length];
          places.remove(one);
          open = open.filter((each) => each !== one);
        } else {
          const address = `client ${client}`;
          const has = open.filter((each) => each.address === address).length;
          const mayStay = places.makeRoom(address);
          open = open.filter(({ gaveUp }) => gaveUp === null);
          if (has < tcpClientsOfAddressLeast / 2) assert.ok(mayStay);
          if (mayStay) {
            const one = Object.assign(new One(address), { isIdle });
            places.add(one);
            open.push(one);
          }
        }
        assert.equal(places.taken, open.length);
        assert.ok(places.taken <= tcpClientsMax);
      }
    }),
    { numRuns: 20 },
  );
});
