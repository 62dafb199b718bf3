/** The program in the machine of the tests: the spine is the oracle, and what the verifier would forbid fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bpfInstructionBytes } from '../../src/lane/assembler.js';
import type { LaneAnswer } from '../../src/lane/entry.js';
import { configLayout, type LaneCause, laneCauses, variantBits } from '../../src/lane/layout.js';
import { laneProgram } from '../../src/lane/program.js';
import type { SendsBack } from '../../src/lane/reply.js';
import { query } from '../resolve/context-fixture.js';
import { seededRandom } from '../simulation/random.js';
import { fillCorpus, lifetimeSeconds, randomQuery } from './corpus.js';
import { type Ran, runProgram, type World } from './machine.js';
import {
  descriptorOf,
  frameOf,
  interfaceIndex,
  LaneWorld,
  laneAnswerFor,
  messageIn,
  ours,
  ours6,
  pod,
  pod6,
  second,
} from './world.js';

const { instructions, labels } = laneProgram('peer', descriptorOf);
const startNs = 1_000n * second;

function newLane(): LaneWorld {
  return new LaneWorld(startNs);
}

function ran(lane: LaneWorld, frame: Uint8Array, world: Partial<World> = {}): Ran {
  return runProgram(instructions, frame, { maps: lane.maps, nowNs: startNs, interfaceIndex, ...world });
}

const storedAtMs = Number(startNs / 1_000_000n);

function published(name = 'www.example.com', changes: Partial<LaneAnswer> = {}, records = 1): LaneAnswer {
  return laneAnswerFor(name, { storedAtMs, expiresAtMs: storedAtMs + 30_000, generation: 1, ...changes }, records);
}

const asked = frameOf(query('www.example.com', 'A'));

type Outcome = LaneCause | 'answered' | 'stale' | 'not ours';

/** What became of the packet, by the counters of one run. */
function outcome(lane: LaneWorld, frame: Uint8Array, world: Partial<World> = {}): Outcome {
  const before = laneCauses.map((cause) => lane.passed(cause));
  const answeredBefore = answersOf(lane);
  const { verdict, packet, sentTo } = ran(lane, frame, world);
  const causes = laneCauses.filter((cause, number) => lane.passed(cause) !== before[number]);
  const answered = answersOf(lane).flatMap((count, variant) => (count > answeredBefore[variant] ? [variant] : []));
  assert.ok(causes.length + answered.length <= 1);
  const isAnswered = answered.length === 1;
  assert.equal(verdict, isAnswered ? 7 : -1);
  assert.deepEqual(sentTo, isAnswered ? { interfaceIndex, isToPeer: true } : null);
  if (isAnswered) return (answered[0] & variantBits.isStale) === 0 ? 'answered' : 'stale';
  assert.deepEqual(Buffer.from(packet), Buffer.from(frame), 'what goes its usual way is not changed');
  return causes[0] ?? 'not ours';
}

/** Of the first slots together, by variant. */
function answersOf(lane: LaneWorld): readonly number[] {
  const slots = [0, 1, 2, 3].map((slot) => lane.answers(slot));
  return slots[0].map((_, variant) => slots.reduce((sum, counts) => sum + counts[variant], 0));
}

test('whatever it answers is what the spine answers, byte for byte, and it answers all that is plain', () => {
  const lane = newLane();
  const { kept, oracle } = fillCorpus(lane, storedAtMs);
  const random = seededRandom(1);
  let answers = 0;
  for (let round = 0; round < 4_000; round++) {
    const nowMs = storedAtMs + random.below((lifetimeSeconds + 1) * 1_000);
    const nowNs = BigInt(nowMs) * 1_000_000n;
    lane.beat(nowNs);
    const { query: message, isPlain } = randomQuery(random, kept);
    const isIpv6 = random.below(2) === 1;
    const frame = frameOf(message, isIpv6 ? { from: pod6, to: ours6 } : { from: pod, to: ours });
    const expected = oracle(message, nowMs);
    const { verdict, packet } = ran(lane, frame, { nowNs });
    const what = message.toString('hex');
    if (verdict === 7) {
      answers++;
      assert.equal(messageIn(packet, frame).toString('hex'), expected?.toString('hex'), what);
    } else {
      assert.equal(verdict, -1);
      assert.deepEqual(Buffer.from(packet), frame);
      const mayPass = expected === null || !isPlain || (expected[2] & 2) !== 0 || expected.length > 440;
      assert.ok(mayPass, `not answered: ${what}`);
    }
  }
  assert.ok(answers > 2_000, `${answers} answers`);
});

test('only plain packets for our addresses are its business, and it counts no other', () => {
  const lane = newLane();
  lane.publish(published());
  assert.equal(outcome(lane, asked), 'answered');
  for (const [at, value, what] of [
    [12, 0x86, 'another protocol'],
    [14, 0x46, 'IP options'],
    [14, 0x65, 'another version'],
    [23, 6, 'TCP'],
    [33, 11, 'another address'],
    [37, 54, 'another port'],
  ] as const) {
    const frame = Buffer.from(asked);
    frame[at] = value;
    assert.equal(outcome(lane, frame), 'not ours', what);
  }
  assert.equal(outcome(lane, asked.subarray(0, 53)), 'not ours');
  assert.equal(outcome(lane, asked, { vlan: 1 }), 'not ours');
  lane.beat(0n);
  assert.equal(outcome(lane, asked), 'not ours');
});

test('over IPv6 only plain packets for our addresses are its business, at a place of their own', () => {
  const lane = newLane();
  const ends = { from: pod6, to: ours6 };
  const asked6 = frameOf(query('www.example.com', 'A'), ends);
  lane.publish(published());
  assert.equal(outcome(lane, asked6), 'missed');
  lane.publish(published('www.example.com', { place: 1 }));
  assert.equal(outcome(lane, asked6), 'answered');
  assert.equal(ran(lane, asked6).packet.length, messageIn(ran(lane, asked6).packet, asked6).length + 62);
  for (const [at, value, expected] of [
    [14, 0x50, 'not ours'],
    [20, 0, 'not ours'],
    [53, 0x0b, 'not ours'],
    [57, 54, 'not ours'],
    [19, 0, 'shape'],
    [59, 0, 'shape'],
    [37, 0x08, 'stranger'],
  ] as const) {
    const frame = Buffer.from(asked6);
    frame[at] = value;
    assert.equal(outcome(lane, frame), expected, `${at}`);
  }
  assert.equal(outcome(lane, asked6.subarray(0, 73)), 'not ours');
});

test('the longest answers of a slot are given over IPv6 too, with their checksum', () => {
  const lane = newLane();
  const [from, to] = [pod6, ours6];
  const name = [63, 63, 63, 61].map((bytes) => 'n'.repeat(bytes)).join('.');
  lane.publish(published(name, { place: 1, udpBytes: 4096 }, 10));
  lane.publish(published('m'.repeat(63), { place: 1, udpBytes: 4096 }, 16));
  for (const long of [name, 'm'.repeat(63)]) {
    const frame = frameOf(query(long, 'A', { udpBytes: 4096 }), { from, to });
    assert.ok(messageIn(ran(lane, frame).packet, frame).length > 340);
  }
});

test('a port of 0 is never ours, though places that are not used are 0', () => {
  const lane = newLane();
  lane.publish(published());
  const frame = frameOf(query('www.example.com', 'A'), { from: pod, to: { address: '0.0.0.0', port: 0 } });
  assert.equal(outcome(lane, frame), 'not ours');
});

test('fragments, lengths that do not agree, and what is no query with one question go their usual way', () => {
  const lane = newLane();
  lane.publish(published());
  const changed = (at: number, value: number): Buffer => {
    const frame = Buffer.from(asked);
    frame[at] = value;
    return frame;
  };
  for (const [at, value, what] of [
    [20, 0x20, 'more fragments'],
    [21, 1, 'a later fragment'],
    [17, 0, 'IP length'],
    [39, 0, 'UDP length'],
    [44, 0x81, 'a response'],
    [44, 0x09, 'another opcode'],
    [47, 2, 'two questions'],
    [49, 1, 'an answer'],
    [51, 1, 'an authority'],
    [53, 2, 'two additional records'],
    [53, 1, 'an OPT that is not there'],
  ] as const)
    assert.equal(outcome(lane, changed(at, value)), 'shape', what);
  // Ethernet fills short frames; what is behind the IP packet is not the packet's.
  assert.equal(outcome(lane, Buffer.concat([asked, Buffer.alloc(9)])), 'answered');
  assert.equal(outcome(lane, asked.subarray(0, asked.length - 1)), 'shape');
});

test('a client that is not known goes its usual way; while nobody is there, one that was known stays so', () => {
  const lane = newLane();
  lane.publish(published('www.example.com', { expiresAtMs: Number.POSITIVE_INFINITY }));
  lane.admit(pod.address, startNs + 10n * second);
  assert.equal(outcome(lane, asked), 'answered');
  assert.equal(outcome(lane, asked, { interfaceIndex: 2 }), 'stranger');
  assert.equal(
    outcome(lane, frameOf(query('www.example.com', 'A'), { from: { ...pod, address: '10.244.0.8' }, to: ours })),
    'stranger',
  );
  const later = startNs + 10n * second;
  lane.beat(later);
  assert.equal(outcome(lane, asked, { nowNs: later }), 'stranger');
  lane.beat(later - 3n * second);
  assert.equal(outcome(lane, asked, { nowNs: later }), 'answered');
  assert.equal(
    outcome(lane, frameOf(query('www.example.com', 'A'), { from: { ...pod, address: '10.244.0.8' }, to: ours })),
    'stranger',
  );
});

test('an expired answer is given while nobody is there, says so, and not for longer than it may', () => {
  const lane = newLane();
  const stale = { expiresAtMs: storedAtMs + 1_000, staleUntilMs: storedAtMs + 3_600_000, staleTtlSeconds: 17 };
  lane.publish(published('www.example.com', stale, 3));
  const expired = startNs + second;
  assert.equal(outcome(lane, asked, { nowNs: expired }), 'expired');
  const dead = startNs + 3n * second;
  assert.equal(outcome(lane, asked, { nowNs: dead }), 'stale');
  const answer = messageIn(ran(lane, asked, { nowNs: dead }).packet, asked);
  const end = 12 + 17 + 4;
  for (let record = 0; record < 3; record++) assert.equal(answer.readUInt32BE(end + 16 * record + 6), 17);
  const withOpt = frameOf(query('www.example.com', 'A', {}));
  const told = messageIn(ran(lane, withOpt, { nowNs: dead }).packet, withOpt);
  assert.equal(told.subarray(-17).toString('hex'), '00002904d0000000000006000f00020003');
  assert.equal(outcome(lane, asked, { nowNs: startNs + 3_600n * second - 1n }), 'stale');
  assert.equal(outcome(lane, asked, { nowNs: startNs + 3_600n * second }), 'expired');
});

test('a stale denial of a name has a code of its own, and one that is never stale ends with its time', () => {
  const lane = newLane();
  const denial = published('gone.example', { expiresAtMs: storedAtMs, staleUntilMs: storedAtMs + 60_000 });
  denial.message[3] = (denial.message[3] & 0xf0) | 3;
  lane.publish(denial);
  lane.publish(published('short.example', { expiresAtMs: storedAtMs }));
  const frame = frameOf(query('gone.example', 'A', {}));
  const told = messageIn(ran(lane, frame, { nowNs: startNs + 3n * second }).packet, frame);
  assert.equal(told.subarray(-6).toString('hex'), '000f00020013');
  assert.equal(outcome(lane, frameOf(query('short.example', 'A')), { nowNs: startNs + 3n * second }), 'expired');
});

test('from its end on it answers nothing, and counts nothing', () => {
  const lane = newLane();
  lane.publish(published());
  lane.configure(configLayout.inertFrom, startNs + second);
  assert.equal(outcome(lane, asked, { nowNs: startNs + second - 1n }), 'answered');
  assert.equal(outcome(lane, asked, { nowNs: startNs + second }), 'not ours');
});

test('entries of another generation, of another place, and collisions are misses', () => {
  const lane = newLane();
  lane.publish(published('other.example', { generation: 2 }));
  assert.equal(outcome(lane, frameOf(query('other.example', 'A'))), 'missed');
  lane.publish(published('place.example', { place: 1 }));
  assert.equal(outcome(lane, frameOf(query('place.example', 'A'))), 'missed');
  lane.publish(published());
  assert.equal(outcome(lane, asked), 'answered');
  for (const name of ['www.example.con', 'wwwwexample.com', 'www.example.co'])
    assert.equal(outcome(lane, frameOf(query(name, 'A'))), 'missed', name);
});

test('what does not fit into a slot is not published; what does not fit the client goes its usual way', () => {
  const lane = newLane();
  assert.equal(lane.publish(published('many.example', {}, 17)), -1);
  assert.equal(lane.publish(published('sixteen.example', {}, 16)), 0);
  const name = 'sixteen.example';
  assert.equal(outcome(lane, frameOf(query(name, 'A'))), 'answered');
  lane.publish(published('small.example', { udpBytes: 50 }));
  assert.equal(outcome(lane, frameOf(query('small.example', 'A', { udpBytes: 4096 }))), 'large');
});

test('flags that the zone sets and clears are as the spine makes them', () => {
  const lane = newLane();
  lane.publish(published('www.example.com', { flagsSet: 0x0400, flagsCleared: 0x0080 }));
  const answer = messageIn(ran(lane, asked).packet, asked);
  assert.equal(answer.readUInt16BE(2), 0x8000 | 0x0400 | 0x0100);
});

test('an answer without an end of its own keeps its TTLs', () => {
  const lane = newLane();
  lane.publish(published('www.example.com', { expiresAtMs: Number.POSITIVE_INFINITY, ttlPlaces: [] }));
  const nowNs = startNs + 1_000_000n * second;
  lane.beat(nowNs);
  const answer = messageIn(ran(lane, asked, { nowNs }).packet, asked);
  assert.equal(answer.readUInt32BE(12 + 21 + 6), 30);
});

test('answers are counted by slot and by variant: with an OPT, over IPv6, stale', () => {
  const lane = newLane();
  lane.publish(published('other.example'));
  const stale = { expiresAtMs: storedAtMs + 1_000, staleUntilMs: storedAtMs + 60_000 };
  const slot = lane.publish(published('www.example.com', stale));
  const slot6 = lane.publish(published('www.example.com', { place: 1, ...stale }));
  const ends6 = { from: pod6, to: ours6 };
  const withOpt = query('www.example.com', 'A', {});
  const late = { nowNs: startNs + 4n * second };
  for (let time = 0; time < 3; time++) ran(lane, asked);
  ran(lane, frameOf(withOpt));
  ran(lane, frameOf(withOpt), late);
  ran(lane, frameOf(query('www.example.com', 'A'), ends6));
  ran(lane, frameOf(withOpt, ends6), late);
  const { hasOpt, isIpv6, isStale } = variantBits;
  const counts = (of: Readonly<Record<number, number>>): number[] =>
    Array.from({ length: 8 }, (_, variant) => of[variant] ?? 0);
  assert.deepEqual(lane.answers(slot), counts({ 0: 3, [hasOpt]: 1, [hasOpt | isStale]: 1 }));
  assert.deepEqual(lane.answers(slot6), counts({ [isIpv6]: 1, [hasOpt | isIpv6 | isStale]: 1 }));
  assert.deepEqual(lane.answers(0), counts({}));
});

test('a helper that fails before anything is written passes the packet on; afterwards it is lost', () => {
  const lane = newLane();
  lane.publish(published());
  assert.equal(outcome(lane, asked, { failing: 38 }), 'failed');
  assert.equal(outcome(lane, asked, { failing: 26 }), 'not ours');
  assert.equal(ran(lane, asked, { failing: 9 }).verdict, 2);
});

test('an answer leaves at the other end of a veth, or out of the interface that it came from', () => {
  const lane = newLane();
  lane.publish(published());
  const ways: readonly (readonly [SendsBack, boolean])[] = [
    ['peer', true],
    ['same', false],
  ];
  for (const [sendsBack, isToPeer] of ways) {
    const { instructions: form } = laneProgram(sendsBack, descriptorOf);
    const { sentTo } = runProgram(form, asked, { maps: lane.maps, nowNs: startNs, interfaceIndex });
    assert.deepEqual(sentTo, { interfaceIndex, isToPeer });
  }
});

test('the program stays small, and its labels lead through it in order', () => {
  const count = instructions.length / bpfInstructionBytes;
  assert.ok(count < 850, `${count} instructions`);
  const places = [...labels.values()];
  assert.deepEqual(
    places,
    places.toSorted((one, other) => one - other),
  );
});
