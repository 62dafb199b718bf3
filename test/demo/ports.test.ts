import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '../../src/demo/ports.js';
import type { Endpoint, Network } from '../../src/os/network.js';
import { ManualClock } from '../simulation/clock.js';
import { MemoryNetwork } from '../simulation/network.js';
import { seededRandom } from '../simulation/random.js';

const at = (port: number): Endpoint => ({ address: '127.0.0.1', port });
const noEvents = { data() {}, ended() {}, closed() {} };

function world(): { clock: ManualClock; network: MemoryNetwork; free(port: number): Promise<number> } {
  const clock = new ManualClock();
  const network = new MemoryNetwork(clock, seededRandom(1));
  return { clock, network, free: (port) => clock.until(freePort({ network, clock }, at(port))) };
}

test('the wanted port when nobody has it', async () => {
  const { clock, network, free } = world();
  assert.equal(await free(1053), 1053);
  await clock.pass(1_000);
  assert.deepEqual(network.open, { datagramSockets: 0, connections: 0 });
  assert.equal(clock.timersSet, 0);
});

test('the next one when TCP, UDP, or both are taken', async () => {
  const { network, free } = world();
  await network.listenStreams(at(1053), () => noEvents);
  await network.openDatagrams(at(1054), { datagram() {}, error() {} });
  assert.equal(await free(1053), 1055);
  assert.equal(await free(1055), 1055);
});

test('a port that could be shared is taken all the same', async () => {
  const { clock, network } = world();
  await network.listenStreams(at(1053), () => noEvents);
  // As with SO_REUSEPORT: binding succeeds although somebody listens.
  const sharing: Network = {
    openDatagrams: (to, events) => network.openDatagrams(to, events),
    connectDatagrams: (to, events) => network.connectDatagrams(to, events),
    connectStream: (to, events) => network.connectStream(to, events),
    connectPath: (path, events) => network.connectPath(path, events),
    listenStreams: async (to) => ({ local: to, close() {} }),
  };
  assert.equal(await clock.until(freePort({ network: sharing, clock }, at(1053))), 1054);
});

test('a port where connects hang is not free', async () => {
  const { network, free } = world();
  await network.listenStreams(at(1053), () => noEvents);
  network.stall(at(1053));
  assert.equal(await free(1053), 1054);
});

test('when a hundred are taken, or there are no more, it says so', async () => {
  const { network, free } = world();
  for (let port = 2000; port < 2100; port++) await network.listenStreams(at(port), () => noEvents);
  await assert.rejects(free(2000), /No port of 127\.0\.0\.1 from 2000 on is free/);
  await network.listenStreams(at(65535), () => noEvents);
  await assert.rejects(free(65535), /from 65535 on/);
});
