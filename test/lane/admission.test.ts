/** Who may be answered and whether anybody is there, in the machine of the tests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientKey } from '../../src/lane/elements.js';
import { clientLayout, configLayout } from '../../src/lane/layout.js';
import { laneProgram } from '../../src/lane/program.js';
import { copyMark } from '../../src/lane/text.js';
import { witnessProgram } from '../../src/lane/witness.js';
import { laneAdmissionMs } from '../../src/limits.js';
import { query } from '../resolve/context-fixture.js';
import { type Ran, runProgram, type World } from './machine.js';
import {
  descriptorOf,
  frameOf,
  interfaceIndex,
  LaneWorld,
  laneAnswerFor,
  ours,
  ours6,
  pod,
  pod6,
  second,
} from './world.js';

const { instructions } = laneProgram('peer', descriptorOf);
const { instructions: witness } = witnessProgram(descriptorOf);
const startNs = 1_000n * second;
const storedAtMs = Number(startNs / 1_000_000n);
const ends = [
  { from: pod, to: ours, place: 0 },
  { from: pod6, to: ours6, place: 1 },
] as const;

function newLane(expiresAtMs = storedAtMs + 30_000): LaneWorld {
  const lane = new LaneWorld(startNs);
  const changes = { storedAtMs, expiresAtMs, staleUntilMs: storedAtMs + 3_600_000, generation: 1 };
  for (const { place } of ends) lane.publish(laneAnswerFor('www.example.com', { ...changes, place }, 1));
  return lane;
}

function ran(lane: LaneWorld, nowNs: bigint, world: Partial<World> = {}, end: (typeof ends)[number] = ends[0]): Ran {
  const frame = frameOf(query('www.example.com', 'A'), end);
  lane.beat(world.hasSocket === false ? startNs : nowNs);
  return runProgram(instructions, frame, { maps: lane.maps, nowNs, interfaceIndex, ...world });
}

const isAnswered = ({ verdict }: Ran): boolean => verdict === 7;
const admission = BigInt(laneAdmissionMs) * 1_000_000n;

test('shortly before a client is forgotten a copy of a packet goes up, once a second, and the packet is answered', () => {
  for (const end of ends) {
    const lane = newLane();
    lane.admit(end.from.address, startNs + admission);
    const early = ran(lane, startNs, {}, end);
    assert.deepEqual([isAnswered(early), early.copies], [true, []]);
    const late = startNs + (admission * 2n) / 3n;
    const first = ran(lane, late, {}, end);
    assert.deepEqual([isAnswered(first), first.copies, first.mark], [true, [copyMark], 0]);
    assert.deepEqual(ran(lane, late + second / 2n, {}, end).copies, []);
    assert.deepEqual(ran(lane, late + second, {}, end).copies, [copyMark]);
  }
});

test('a packet keeps its own mark when a copy was made', () => {
  const lane = newLane();
  lane.admit(pod.address, startNs + second);
  const { mark, copies } = ran(lane, startNs, { mark: 7 });
  assert.deepEqual([mark, copies], [7, [copyMark]]);
});

test('the copy passes our program with another sign, and the witness notes its sender and drops it', () => {
  const lane = newLane();
  const copy = ran(lane, startNs, { mark: copyMark });
  assert.deepEqual([copy.verdict, copy.mark, copy.priority, copy.copies], [-1, 0, copyMark, []]);
  lane.admit(pod.address, startNs + second);
  const frame = frameOf(query('www.example.com', 'A'));
  const world = { maps: lane.maps, nowNs: startNs, interfaceIndex };
  assert.equal(runProgram(witness, frame, { ...world, priority: copyMark }).verdict, 0);
  const client = lane.element('clients', clientKey(interfaceIndex, pod.address))!;
  assert.equal(new DataView(client.buffer).getBigUint64(clientLayout.until, true), startNs + admission);
  assert.equal(runProgram(witness, frame, world).verdict, -1, 'any other packet is kept');
});

test('no copy is made where nobody would note it', () => {
  const lane = newLane();
  lane.admit(pod.address, startNs + second);
  const gone = ran(lane, startNs, { hasSocket: false });
  assert.deepEqual([isAnswered(gone), gone.copies], [true, []]);
  lane.configure(configLayout.deadAfter, 0n);
  assert.deepEqual(ran(lane, startNs).copies, []);
});

test('of a process that was killed no socket is left, so its clients stay known and expired answers are given at once', () => {
  for (const end of ends) {
    const lane = newLane(storedAtMs + 1_000);
    lane.admit(end.from.address, startNs + second / 2n);
    const late = startNs + (3n * second) / 2n;
    assert.equal(isAnswered(ran(lane, late, {}, end)), false);
    assert.equal(lane.passed('stranger'), 1n);
    assert.equal(isAnswered(ran(lane, late, { hasSocket: false }, end)), true);
    lane.admit(end.from.address, late + second);
    assert.equal(isAnswered(ran(lane, late, {}, end)), false);
    assert.equal(lane.passed('expired'), 1n);
  }
});

test('a client that never reached us is not answered, dead process or not', () => {
  const lane = newLane();
  const frame = frameOf(query('www.example.com', 'A'), { from: { ...pod, address: '10.244.9.9' }, to: ours });
  const { verdict } = runProgram(instructions, frame, {
    maps: lane.maps,
    nowNs: startNs,
    interfaceIndex,
    hasSocket: false,
  });
  assert.equal(verdict, -1);
});
