/** Who is noted, in the machine of the tests and by real packets to real sockets. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { clientKey, numberKey } from '../../src/lane/elements.js';
import { closeLane, type LaneInKernel, openLane } from '../../src/lane/maps.js';
import { witnessProgram } from '../../src/lane/witness.js';
import { laneAdmissionMs } from '../../src/limits.js';
import { openSocket } from '../../src/os/bound-socket.js';
import { Bpf } from '../../src/os/bpf.js';
import { linux } from '../../src/os/system-calls.js';
import { calls, openClient } from '../os/loopback-sockets.js';
import { runProgram } from './machine.js';
import { laneIsMissing } from './possible.js';
import { descriptorOf, frameOf, LaneWorld, ours, ours6, pod, pod6, second } from './world.js';

const { instructions } = witnessProgram(descriptorOf);
const admission = BigInt(laneAdmissionMs) * 1_000_000n;
const startNs = 1_000n * second;
const message = Buffer.from('a query');

/** Until when the client is known, after this frame. */
function noted(lane: LaneWorld, frame: Uint8Array, nowNs: bigint, address: string, interfaceIndex = 7): bigint {
  const { verdict, packet } = runProgram(instructions, frame, { maps: lane.maps, nowNs, interfaceIndex });
  assert.equal(verdict, -1, 'every byte is kept');
  assert.deepEqual(Buffer.from(packet), Buffer.from(frame));
  const until = lane.element('clients', clientKey(interfaceIndex, address));
  return until === null ? 0n : new DataView(until.buffer).getBigUint64(0, true);
}

test('a sender is known for a while on the interface it came over, of both families', () => {
  for (const [from, to] of [
    [pod, ours],
    [pod6, ours6],
  ]) {
    const lane = new LaneWorld(startNs);
    assert.equal(noted(lane, frameOf(message, { from, to }), startNs, from.address), startNs + admission);
    assert.equal(lane.element('clients', clientKey(8, from.address)), null);
    assert.notEqual(lane.element('interfaces', numberKey(7)), null);
  }
});

test('it is noted again when half of its time is over, not with every packet', () => {
  const lane = new LaneWorld(startNs);
  const frame = frameOf(message);
  noted(lane, frame, startNs, pod.address);
  const half = startNs + admission / 2n;
  assert.equal(noted(lane, frame, half - 1n, pod.address), startNs + admission);
  assert.equal(noted(lane, frame, half, pod.address), half + admission);
});

test('what is no IP packet, or too short for an address, notes nobody', () => {
  const lane = new LaneWorld(startNs);
  const strange = frameOf(message);
  strange[13] = 6;
  assert.equal(noted(lane, strange, startNs, pod.address), 0n);
  assert.equal(noted(lane, frameOf(message).subarray(0, 28), startNs, pod.address), 0n);
});

describe('on sockets', { skip: laneIsMissing }, () => {
  const bpf = laneIsMissing === false ? new Bpf(calls) : (null as never);
  const loopbackIndex = 1;
  let lane: LaneInKernel;

  before(async () => {
    const opened = await openLane(bpf, (fd) => void calls.close(fd));
    assert.ok(!('step' in opened), 'step' in opened ? opened.complaint : '');
    lane = opened;
  });
  after(() => closeLane(lane, (fd) => void calls.close(fd)));

  for (const address of ['127.0.0.1', '::1']) {
    test(`a packet that reaches the socket of ${address} notes its sender, and arrives`, async () => {
      const wish = { at: { address, port: 0 }, ipv6Only: 'yes', sharedWith: 'nobody' } as const;
      const { fd, local } = openSocket(calls, wish);
      assert.equal(calls.setOption(fd, linux.socketLevel, linux.attachBpf, new Int32Array([lane.programs.witness])), 0);
      const key = clientKey(loopbackIndex, address);
      const until = new Uint8Array(8);
      assert.equal(bpf.lookUp(lane.maps.clients, key, until), -2);
      const client = await openClient(address);
      await client.send('a query', local.port);
      const bytes = new Uint8Array(64);
      assert.equal(calls.receiveBytes(fd, bytes), 7);
      assert.equal(bpf.lookUp(lane.maps.clients, key, until), 0);
      const left = new DataView(until.buffer).getBigUint64(0, true) - process.hrtime.bigint();
      assert.ok(left > admission / 2n && left <= admission, `${left} ns`);
      client.close();
      calls.close(fd);
    });
  }
});
