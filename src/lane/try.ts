/**
 * `-kernellane=try`: whether this kernel lets this process answer hits in the kernel. Maps are made, the programs are
 * loaded, and one of them answers a packet that nobody has sent and is attached to `lo` for a moment, where it answers
 * nobody. Nothing is left.
 */
import { getSystemErrorName } from 'node:util';
import { Bpf } from '../os/bpf.js';
import type { SystemCallsOrWhyNot } from '../os/system-calls.js';
import { clientKey, clientValue, configValue, longValue, numberKey } from './elements.js';
import { indexPlace, type LaneAnswer, laneHash, writeSlot } from './entry.js';
import { bucketBytes, laneSlotBytes } from './layout.js';
import { closeLane, type LaneInKernel, openLane, refusalText } from './maps.js';

interface LaneTrial {
  readonly isPossible: boolean;
  /** One sentence, with what to change where something can be changed. */
  readonly sentence: string;
}

/** TC_ACT_REDIRECT. */
const verdictSent = 7;
const loopbackIndex = 1;
const timedRuns = 1_000;

/** `kernel` is its release, as uname says it. */
export async function tryLane(system: SystemCallsOrWhyNot, kernel: string, nowMs: () => number): Promise<LaneTrial> {
  if (system.calls === null) return impossible(system.why);
  const { calls } = system;
  const bpf = new Bpf(calls);
  const startedMs = nowMs();
  const close = (fd: number): void => void calls.close(fd);
  const lane = await openLane(bpf, close);
  if ('step' in lane) return impossible(refusalText(lane));
  const tookMs = nowMs() - startedMs;
  try {
    const link = await bpf.attach(lane.programs.same, loopbackIndex);
    if (link < 0)
      return impossible(`Linux ${kernel} has no tcx links (${getSystemErrorName(link)}); it takes Linux 6.6 or later`);
    calls.close(link);
    const answered = answersTest(bpf, lane);
    if (answered === null) return impossible('the program does not answer as it should; please report this');
    const times = `${lane.instructions} instructions in three programs, loaded in ${Math.round(tookMs)} ms, ${answered} ns an answer`;
    return { isPossible: true, sentence: `The kernel lane is possible here: Linux ${kernel}, ${times}.` };
  } finally {
    closeLane(lane, close);
  }
}

function impossible(why: string): LaneTrial {
  return { isPossible: false, sentence: `The kernel lane is not possible here: ${why}.` };
}

const seed = 1n;
const forever = 2n ** 62n;
/** example. A 192.0.2.1, as it is stored. */
const stored = Buffer.from('000081800001000100000000076578616d706c650000010001c00c000100010000001e0004c0000201', 'hex');
const questionEnd = 12 + 9 + 4;
/** 10.0.0.2 asks 169.254.20.10: ExAmPlE. A, id 0x1234, RD. */
const question = Buffer.from('123401000001000000000000074578416d506c450000010001', 'hex');
const asked = Buffer.from(
  `0200000000020200000000010800450000350000400040110000${'0a000002a9fe140a'}9c4000350021${'0000'}${question.toString('hex')}`,
  'hex',
);
const testAnswer: LaneAnswer = {
  message: stored,
  questionEnd,
  ttlPlaces: [questionEnd + 6],
  storedAtMs: 0,
  expiresAtMs: Number.POSITIVE_INFINITY,
  staleUntilMs: 0,
  staleTtlSeconds: 30,
  key: 0,
  place: 0,
  udpBytes: 1232,
  flagsSet: 0,
  flagsCleared: 0,
  generation: 1,
};

/** Nanoseconds that an answer takes, or null where it is wrong. */
function answersTest(bpf: Bpf, { maps, programs }: LaneInKernel): number | null {
  const slot = new Uint8Array(laneSlotBytes);
  writeSlot(slot, testAnswer);
  const { bucket, entry } = indexPlace(laneHash(slot, seed), 0);
  const ways = new Uint8Array(bucketBytes);
  ways.set(longValue(entry));
  const config = configValue({
    heartbeatNs: forever,
    deadAfterNs: 0n,
    inertFromNs: forever,
    seed,
    generation: testAnswer.generation,
    digest: 0n,
    places: [{ address: '169.254.20.10', port: 53 }],
  });
  const writes: readonly (readonly [number, Uint8Array, Uint8Array])[] = [
    [maps.slots, numberKey(0), slot],
    [maps.index, numberKey(bucket), ways],
    [maps.config, numberKey(0), config],
    [maps.clients, clientKey(loopbackIndex, '10.0.0.2'), clientValue(forever)],
  ];
  for (const [map, key, value] of writes) if (bpf.update(map, key, value) < 0) return null;
  const { verdict, packet } = bpf.run(programs.peer, asked);
  const message = packet.subarray(42);
  const isRight =
    verdict === verdictSent &&
    message.length === stored.length &&
    message[0] === question[0] &&
    message[3] === stored[3] &&
    Buffer.from(message.subarray(questionEnd, questionEnd + 6)).equals(stored.subarray(questionEnd, questionEnd + 6)) &&
    Buffer.from(message.subarray(-4)).equals(stored.subarray(-4));
  return isRight ? timed(bpf, programs.peer) : null;
}

function timed(bpf: Bpf, program: number): number {
  const times = Array.from({ length: timedRuns }, () => bpf.run(program, asked).nanoseconds).sort(
    (one, other) => one - other,
  );
  return times[timedRuns >> 1];
}
