/**
 * The whole program against rubbish from both sides: clients over UDP and TCP, and an upstream that answers a real
 * question with a changed answer. In between a good question is asked, once of the cache and once of the upstream.
 */
import assert from 'node:assert/strict';
import type { Random } from '../../src/os/random.js';
import { readMalformed, readUpstream } from '../corpus/read.js';
import { assertEchoed, assertGood, question, startOnLoopback } from '../real/loopback.js';
import { openTcp, openUdp } from '../real/packets.js';
import { goodAnswer, startStandIn } from '../real/stand-in.js';
import { seededRandom } from '../simulation/random.js';
import { mutated, randomBytes } from './mutate.js';

const packetsPerRound = 50;
const goodId = 0x600d;

const fromClients = [question(1, 'host', 1), ...readMalformed().map(({ bytes }) => bytes)];
const fromServers = readUpstream().map(({ bytes }) => bytes);

/** As many rounds as `goOn` allows; throws what was wrong. */
export async function fuzzProgram(seed: number, goOn: (round: number) => boolean): Promise<number> {
  const random = seededRandom(seed);
  const upstream = await startStandIn((query) => answersTo(random, query));
  const forward = `forward . 127.0.0.1:${upstream.port} {\n        force_tcp\n    }`;
  const zerohop = await startOnLoopback(`cache 30\n    ${forward}`, question(1, 'good', 1));
  let round = 0;
  try {
    for (; goOn(round); round++) await oneRound(random, zerohop.place, round);
    const { address, port } = zerohop.metrics;
    const page = await (await fetch(`http://${address}:${port}/metrics`)).text();
    assert.match(page, /^coredns_panics_total 0$/mu);
  } finally {
    await zerohop.stop();
    upstream.close();
  }
  return round;
}

async function oneRound(random: Random, place: { address: string; port: number }, round: number): Promise<void> {
  const udp = await openUdp(place);
  for (let count = 0; count < packetsPerRound; count++) udp.send(rubbish(random, count));
  udp.send(question(goodId, 'good', 1));
  assertGood(await udp.receive(goodId));
  const fresh = question(goodId, `good${round}`, 1);
  udp.send(fresh);
  assertEchoed(await udp.receive(goodId), fresh, 'the fresh question');
  udp.close();
  // A stream may be closed for what it carries; the next client is served.
  const spoiled = await openTcp(place);
  for (let count = 0; count < 5; count++) spoiled.send(rubbish(random, count));
  spoiled.close();
  const tcp = await openTcp(place);
  tcp.send(question(goodId, 'good', 1));
  assertGood(await tcp.receive(goodId));
  tcp.close();
}

/** Ids other than the good questions'. */
function rubbish(random: Random, count: number): Buffer {
  const packet = random.below(4) === 0 ? randomBytes(random, 1 + random.below(300)) : mutated(random, fromClients);
  if (packet.length > 1) packet.writeUInt16BE(count);
  return packet.length === 0 ? Buffer.from([0]) : packet;
}

/** Good questions get good answers; the others what an upstream gone mad would say. */
function answersTo(random: Random, query: Buffer): readonly Uint8Array[] {
  const label = query.subarray(13, 13 + query[12]).toString('latin1');
  if (label.startsWith('good')) return [goodAnswer(query)];
  const changed = mutated(random, [goodAnswer(query), goodAnswer(query), ...fromServers]);
  if (changed.length > 1 && random.below(4) > 0) changed[0] = query[0];
  if (changed.length > 1 && random.below(4) > 0) changed[1] = query[1];
  return random.below(10) === 0 ? [] : random.below(4) === 0 ? [changed, goodAnswer(query)] : [changed];
}
