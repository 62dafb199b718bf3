/**
 * Runs in a node's namespace: opens the lane at the interface that its first argument names, where the client in the
 * second may ask, and publishes and takes out the names `t0`, `t1` and so on, as many as the third says, as fast as it can.
 * Says `ready`, then `PUBLISHED TIMES` every so often.
 */
import { readFileSync } from 'node:fs';
import { argv, stdout } from 'node:process';
import packets from 'dns-packet';
import { Normaliser } from '../../src/dns/normalise.js';
import { clientKey, clientValue, configValue, numberKey } from '../../src/lane/elements.js';
import type { LaneAnswer } from '../../src/lane/entry.js';
import { laneForms, openLane } from '../../src/lane/maps.js';
import { Slots } from '../../src/lane/slots.js';
import { Bpf } from '../../src/os/bpf.js';
import { hashKey } from '../dns/hash-key.js';
import { calls } from '../os/loopback-sockets.js';
import { ours, seed } from './world.js';

const [link, client, count] = [argv[2], argv[3], Number(argv[4])];
const changesAtOnce = 500;
const forever = 2n ** 62n;

const bpf = new Bpf(calls);
const lane = await openLane(bpf, () => {});
if ('step' in lane) throw new Error(`${lane.step} ${lane.errno} ${lane.complaint}`);
const { maps, programs } = lane;
const [slots, index, marks] = (['slots', 'index', 'marks'] as const).map((map) => {
  const { valueBytes, entries } = laneForms[map];
  const memory = calls.showMemory(maps[map], valueBytes * entries);
  if (typeof memory === 'number') throw new Error(`${map}: ${memory}`);
  return memory;
});
const table = new Slots({ slots, index, marks }, seed);

const config = configValue({
  heartbeatNs: forever,
  deadAfterNs: 0n,
  inertFromNs: forever,
  seed,
  generation: 1,
  digest: 0n,
  places: [ours],
});
const interfaceIndex = Number(readFileSync(`/sys/class/net/${link}/ifindex`, 'utf8'));
bpf.update(maps.config, numberKey(0), config);
bpf.update(maps.clients, clientKey(interfaceIndex, client), clientValue(forever));
if ((await bpf.attach(programs.peer, interfaceIndex)) < 0) throw new Error('it cannot be attached');

const normaliser = new Normaliser(hashKey());
const answers = Array.from({ length: count }, (_, number) => answerTo(number));
/** The slot of each name; -1: it is not published. */
const places = new Int32Array(count).fill(-1);
let published = 0;
let turn = 0;

stdout.write('ready\n');
setImmediate(change);

function change(): void {
  for (let times = 0; times < changesAtOnce; times++) {
    const nowMs = performance.now();
    // As soon as it may be, a slot is used again.
    table.wake(nowMs, () => {});
    // All slots rest now and then; whatever is published stays so meanwhile.
    if (table.free === 0) break;
    changeOne(turn++ % count, nowMs);
  }
  if (turn % 64 === 0) stdout.write(`${published}\n`);
  setImmediate(change);
}

/** Now and then it is taken out, else published anew in place of itself. */
function changeOne(number: number, nowMs: number): void {
  if (places[number] >= 0 && turn % 7 === 0) {
    table.takeOut(places[number], nowMs);
    places[number] = -1;
    return;
  }
  const slot = table.publish(answers[number], nowMs, () => {});
  if (typeof slot !== 'number') return;
  places[number] = slot;
  published++;
}

function answerTo(number: number): LaneAnswer {
  const name = `t${number}.lane.test`;
  const message = packets.encode({
    type: 'response',
    flags: packets.RECURSION_AVAILABLE,
    questions: [{ name, type: 'A', class: 'IN' }],
    answers: [{ name, type: 'A', ttl: 300, data: `10.2.${number >> 8}.${number & 255}` }],
  });
  if (!normaliser.read(message)) throw new Error('no message');
  const { message: bytes, messageBytes, questionEnd, ttlOffsets, records } = normaliser.out;
  return {
    message: Uint8Array.from(bytes.subarray(0, messageBytes)),
    questionEnd,
    ttlPlaces: [...ttlOffsets.subarray(0, records)],
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
}
