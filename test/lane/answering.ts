/**
 * Runs in a node's namespace: opens the lane with a few answers, attaches it to the links that its arguments name
 * (`pod0=peer`, `br0=same`), knows the clients behind them, says `ready`, and answers nothing by itself.
 */
import { readFileSync } from 'node:fs';
import packets from 'dns-packet';
import { Normaliser } from '../../src/dns/normalise.js';
import { openLane } from '../../src/lane/maps.js';
import { Bpf } from '../../src/os/bpf.js';
import { hashKey } from '../dns/hash-key.js';
import { calls } from '../os/loopback-sockets.js';
import { LaneWorld, ours, ours6, pod, pod6, second } from './world.js';

const bpf = new Bpf(calls);
const lane = await openLane(bpf, () => {});
if ('step' in lane) throw new Error(`${lane.step} ${lane.errno} ${lane.complaint}`);
const nowNs = process.hrtime.bigint();
const world = new LaneWorld(nowNs + 3_600n * second, (map, key, value) => {
  const result = bpf.update(lane.maps[map], key, value);
  if (result < 0) throw new Error(`${map}: ${result}`);
});

const normaliser = new Normaliser(hashKey());
const soa = { mname: 'ns.test', rname: 'admin.test', serial: 1, refresh: 60, retry: 60, expire: 60, minimum: 30 };
const kept: readonly packets.Packet[] = [
  answer('one.lane.test', 'A', ['10.1.2.3']),
  answer('many.lane.test', 'A', ['10.1.2.3', '10.1.2.4', '10.1.2.5']),
  answer('six.lane.test', 'AAAA', ['fd00:1::3']),
  {
    ...answer('gone.lane.test', 'A', []),
    flags: packets.RECURSION_AVAILABLE | 3,
    authorities: [{ name: 'lane.test', type: 'SOA', ttl: 30, data: soa }],
  },
];
for (const message of kept) {
  if (!normaliser.read(packets.encode(message))) throw new Error('no message');
  const { message: bytes, messageBytes, questionEnd, ttlOffsets, records } = normaliser.out;
  const storedAtMs = Number(nowNs / 1_000_000n);
  for (const place of [0, 1]) {
    world.publish({
      message: Uint8Array.from(bytes.subarray(0, messageBytes)),
      questionEnd,
      ttlPlaces: [...ttlOffsets.subarray(0, records)],
      storedAtMs,
      expiresAtMs: storedAtMs + 3_600_000,
      staleUntilMs: 0,
      staleTtlSeconds: 30,
      key: 0,
      place,
      udpBytes: 1232,
      flagsSet: 0,
      flagsCleared: 0,
      generation: 1,
    });
  }
}

for (const [name, form] of process.argv.slice(2).map((word) => word.split('='))) {
  const index = Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
  const link = await bpf.attach(form === 'peer' ? lane.programs.peer : lane.programs.same, index);
  if (link < 0) throw new Error(`${name}: ${link}`);
  for (const { address } of [pod, pod6, ours, ours6]) world.admit(address, 2n ** 62n, index);
}
process.stdout.write('ready\n');
process.stdin.resume();

function answer(name: string, type: 'A' | 'AAAA', data: readonly string[]): packets.Packet {
  const questions = [{ name, type, class: 'IN' as const }];
  const answers = data.map((each) => ({ name, type, ttl: 300, data: each }));
  return { type: 'response', id: 1, flags: packets.RECURSION_AVAILABLE, questions, answers };
}
