/**
 * Cached answers of many kinds, the queries of pods about them, and what the spine answers to each: the oracle for the
 * program, in memory and in the kernel.
 */
import packets from 'dns-packet';
import { kindDenial, kindSuccess } from '../../src/cache/blocks.js';
import { Normaliser } from '../../src/dns/normalise.js';
import type { LaneAnswer } from '../../src/lane/entry.js';
import { hashKey } from '../dns/hash-key.js';
import { fixture } from '../resolve/context-fixture.js';
import type { seededRandom } from '../simulation/random.js';
import type { LaneWorld } from './world.js';

type Random = ReturnType<typeof seededRandom>;

const names = [
  'a.test',
  'web.default.svc.cluster.local',
  'web.default.svc.cluster.local.default.svc.cluster.local',
  'www.example.com',
  'Mixed-Case.Example.ORG',
  'x',
  `${'l'.repeat(63)}.${'m'.repeat(63)}.${'n'.repeat(63)}.${'o'.repeat(61)}`,
  '1234567.example',
  '12345678.example',
  '_http._tcp.web.default.svc.cluster.local',
];
/** 65 is HTTPS, which dns-packet does not know by name. */
const types = ['A', 'AAAA', 'TXT', 'SRV', 'UNKNOWN_65', 'MX'] as const;
export const lifetimeSeconds = 30;

interface Kept {
  readonly name: string;
  readonly type: string;
}

export interface Corpus {
  readonly kept: readonly Kept[];
  /** What the spine answers, or null for what it leaves to others or drops. */
  oracle(query: Uint8Array, nowMs: number): Buffer | null;
}

/** Stores answers at `storedAtMs`, in the spine's cache and in the lane. */
export function fillCorpus(lane: LaneWorld, storedAtMs: number): Corpus {
  const { cache, zone, ask } = fixture('. {\n cache\n aaaa forward\n forward . 192.0.2.1\n}');
  const store = cache.newStore({ successEntriesMax: 1_000, denialEntriesMax: 1_000 });
  const normaliser = new Normaliser(hashKey());
  const kept: Kept[] = [];
  for (const [index, name] of names.entries()) {
    for (const type of types) {
      for (const key of [0, 1, 2]) {
        const message = packets.encode(answerTo(name, type, (index + key) % 4));
        if (!normaliser.read(message)) continue;
        const isDenial = (message[3] & 15) !== 0 || normaliser.out.records === 0;
        const keep = {
          ...normaliser.out,
          kind: isDenial ? kindDenial : kindSuccess,
          zoneId: zone('.').zoneId,
          key,
          lifetimeMs: lifetimeSeconds * 1000,
        } as const;
        cache.keep(store, keep, storedAtMs);
        const { messageBytes, questionEnd, ttlOffsets, records } = normaliser.out;
        const answer: LaneAnswer = {
          message: Uint8Array.from(normaliser.out.message.subarray(0, messageBytes)),
          questionEnd,
          ttlPlaces: [...ttlOffsets.subarray(0, records)],
          storedAtMs,
          expiresAtMs: storedAtMs + keep.lifetimeMs,
          staleUntilMs: 0,
          staleTtlSeconds: 30,
          key,
          place: 0,
          udpBytes: 1232,
          flagsSet: 0,
          flagsCleared: 0,
          generation: 1,
        };
        const published = [0, 1].map((place) => lane.publish({ ...answer, place }));
        if (published[0] >= 0) kept.push({ name, type });
      }
    }
  }
  return {
    kept,
    oracle(query, nowMs) {
      const answer = ask(Uint8Array.from(query), nowMs);
      return answer === 'handed over' ? null : answer;
    },
  };
}

/** Of one to four records, a denial with a SOA, or nothing at all. */
function answerTo(name: string, type: (typeof types)[number], what: number): packets.Packet {
  const soa = { mname: 'ns.test', rname: 'admin.test', serial: 1, refresh: 60, retry: 60, expire: 60, minimum: 30 };
  const flags =
    packets.RECURSION_DESIRED | packets.RECURSION_AVAILABLE | (what % 2 === 0 ? packets.AUTHORITATIVE_ANSWER : 0);
  const questions = [{ name, type: type as packets.RecordType, class: 'IN' as const }];
  const authentic = what === 1 ? packets.AUTHENTIC_DATA : 0;
  const head = { type: 'response' as const, id: 7, flags: flags | authentic, questions };
  if (what === 3) {
    const authorities = [{ name: 'test', type: 'SOA' as const, ttl: lifetimeSeconds, data: soa }];
    return { ...head, flags: flags | 3, authorities };
  }
  const data = Array.from({ length: what + 1 }, (_, index) => dataOf(type, index));
  return {
    ...head,
    answers: data.map((each) => ({ name, type, ttl: lifetimeSeconds + 5, data: each })) as packets.Answer[],
  };
}

function dataOf(type: (typeof types)[number], index: number): unknown {
  if (type === 'A') return `10.0.0.${index}`;
  if (type === 'AAAA') return `fd00::${index + 1}`;
  if (type === 'SRV') return { priority: 0, weight: index, port: 80, target: 'web.default.svc.cluster.local' };
  if (type === 'MX') return { preference: index, exchange: 'mail.test' };
  return type === 'TXT' ? [`text ${index} ${'t'.repeat(60 * index)}`] : Buffer.from([0, 1, 0]);
}

/** A query as pods, libraries and broken programs send it; `isPlain`: nothing about it is odd. */
export function randomQuery(
  random: Random,
  kept: readonly Kept[],
): { readonly query: Buffer; readonly isPlain: boolean } {
  const { name, type } = random.below(20) === 0 ? { name: 'nobody.knows', type: 'A' } : kept[random.below(kept.length)];
  const spelled = random.below(2) === 0 ? name : [...name].map((letter) => spelling(random, letter)).join('');
  const hasOpt = random.below(2) === 0;
  const opt = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: [0, 512, 1232, 4096, 65_535, random.below(2_000)][random.below(6)],
    flags: random.below(3) === 0 ? 0x8000 : 0,
    options: [] as unknown[],
  };
  let isPlain = true;
  if (hasOpt && random.below(8) === 0) {
    opt.options.push({ code: 10, data: Buffer.alloc(8) });
    isPlain = false;
  }
  const query = packets.encode({
    type: 'query',
    id: random.below(65_536),
    flags:
      packets.RECURSION_DESIRED * random.below(2) +
      0x10 * random.below(2) +
      0x20 * random.below(2) +
      0x40 * random.below(2),
    questions: [{ name: spelled, type: type as packets.RecordType, class: 'IN' }],
    additionals: hasOpt ? [opt as unknown as packets.Answer] : [],
  });
  const change = random.below(4) === 0 ? random.below(5) : -1;
  if (change < 0) return { query, isPlain };
  if (change === 0) query[random.below(query.length)] ^= 1 << random.below(8);
  if (change === 1) query[2 + random.below(10)] = random.below(256);
  if (change === 2) return { query: query.subarray(0, random.below(query.length)), isPlain: false };
  if (change === 3)
    return { query: Buffer.concat([query, Buffer.alloc(1 + random.below(20), random.below(256))]), isPlain: false };
  if (change === 4) query[12 + random.below(query.length - 12)] = random.below(256);
  return { query, isPlain: false };
}

function spelling(random: Random, letter: string): string {
  return random.below(2) === 0 ? letter.toUpperCase() : letter.toLowerCase();
}
