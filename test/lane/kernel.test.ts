/** The same program in the kernel: what the verifier says, and packets in and out, beside the machine of the tests. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { closeLane, type LaneInKernel, openLane } from '../../src/lane/maps.js';
import { laneProgram } from '../../src/lane/program.js';
import type { LaneMap } from '../../src/lane/text.js';
import { Bpf } from '../../src/os/bpf.js';
import { calls } from '../os/loopback-sockets.js';
import { seededRandom } from '../simulation/random.js';
import { fillCorpus, randomQuery } from './corpus.js';
import { runProgram } from './machine.js';
import { laneIsMissing } from './possible.js';
import {
  descriptorOf,
  frameOf,
  interfaceIndex,
  LaneWorld,
  messageIn,
  ours,
  ours6,
  pod,
  pod6,
  second,
} from './world.js';

describe('in the kernel', { skip: laneIsMissing }, () => {
  const bpf = laneIsMissing === false ? new Bpf(calls) : (null as never);
  let lane: LaneInKernel;

  before(async () => {
    const opened = await openLane(bpf, (fd) => void calls.close(fd));
    assert.ok(!('step' in opened), 'step' in opened ? `${opened.step} ${opened.errno}: ${opened.complaint}` : '');
    lane = opened;
  });
  after(() => closeLane(lane, (fd) => void calls.close(fd)));

  test('its answers are the spine’s, byte for byte, and the machine of the tests does as the kernel', () => {
    const nowNs = process.hrtime.bigint();
    const storedAtMs = Number(nowNs / 1_000_000n) - 5_500;
    const writes = (map: LaneMap, key: Uint8Array, value: Uint8Array): void => {
      assert.equal(bpf.update(lane.maps[map], key, value), 0, map);
    };
    const world = new LaneWorld(nowNs + 3_600n * second, writes);
    const { kept, oracle } = fillCorpus(world, storedAtMs);
    const { instructions } = laneProgram('peer', descriptorOf);
    const random = seededRandom(2);
    let answers = 0;
    for (let round = 0; round < 5_000; round++) {
      const { query } = randomQuery(random, kept);
      const frame = frameOf(query, random.below(2) === 0 ? { from: pod, to: ours } : { from: pod6, to: ours6 });
      const { verdict, packet } = bpf.run(lane.programs.peer, frame);
      const simulated = runProgram(instructions, frame, { maps: world.maps, nowNs, interfaceIndex });
      assert.equal(verdict, simulated.verdict, query.toString('hex'));
      if (verdict !== 7) {
        assert.equal(verdict, -1);
        assert.deepEqual(Buffer.from(packet), frame);
        continue;
      }
      answers++;
      const message = messageIn(packet, frame);
      // The kernel reads a clock that is up to a tick late, and a second may have begun since.
      const nowMs = Number(process.hrtime.bigint()) / 1e6;
      const expected = [nowMs, nowMs - 100].map((atMs) => oracle(query, atMs)?.toString('hex'));
      assert.ok(expected.includes(message.toString('hex')), query.toString('hex'));
    }
    assert.ok(answers > 2_500, `${answers} answers`);
  });

  test('a program that may not be loaded comes with the verifier’s words and the label before the place', async () => {
    const { fd, complaint } = await bpf.load('wrong', 'on interfaces', Uint8Array.from([0x95, 0, 0, 0, 0, 0, 0, 0]));
    assert.equal(fd, -13);
    assert.match(complaint, /R0 !read_ok/);
  });

  test('without another descriptor nothing stays open', async () => {
    const closed: number[] = [];
    let made = 0;
    const few = new Bpf({
      addressOf: calls.addressOf,
      bpfLater: calls.bpfLater,
      bpf: (command, attributes) => (++made > 4 ? -24 : calls.bpf(command, attributes)),
    });
    const refused = await openLane(few, (fd) => {
      closed.push(fd);
      calls.close(fd);
    });
    assert.deepEqual(refused, { step: 'map', errno: -24, complaint: '' });
    assert.equal(closed.length, 4);
  });
});
