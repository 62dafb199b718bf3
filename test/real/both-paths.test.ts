/**
 * Nothing that a client or operator sees depends on who receives UDP: two programs, one with workers, one
 * on portable I/O, are asked the same one after another, and give the same answers byte for byte and the same numbers.
 * And a third on a machine where koffi cannot be loaded.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { metricsAgeMs } from '../../src/limits.js';
import { readMalformed } from '../corpus/read.js';
import { seededRandom } from '../simulation/random.js';
import { assertGood, type LoopbackZerohop, question, startOnLoopback } from './loopback.js';
import { type Client, freePort, openUdp } from './packets.js';
import { mutatedPacket, type Random, randomPacket } from './random-packets.js';
import { goodAnswer, questionEnd, type StandIn, startStandIn } from './stand-in.js';
import { ioPath } from './zerohop.js';

const seed = Math.floor(Math.random() * 2 ** 31);
const first = question(1, 'good', 1);

/** Names by which the upstream answers otherwise than with one address. */
const recordsOf: Readonly<Record<string, number>> = { some: 20, many: 60, crowd: 500 };
const rcodeOf: Readonly<Record<string, number>> = { absent: 3, broken: 2, refused: 5 };
const labels = ['good', 'other', 'third', ...Object.keys(recordsOf), ...Object.keys(rcodeOf)];
const types = [1, 1, 1, 28, 16, 255, 2, 33, 252, 65];

describe('workers and portable I/O', { skip: ioPath !== 'threads' && 'it starts both by itself' }, () => {
  let upstream: StandIn;
  const programs: LoopbackZerohop[] = [];
  let clients: Client[] = [];
  /** A start takes as many questions as it takes time. */
  let earlier: Map<string, number>[] = [];

  before(async () => {
    upstream = await startStandIn((query) => [answerOf(query)]);
    const forward = `forward . 127.0.0.1:${upstream.port} {\n        force_tcp\n    }`;
    for (const io of ['threads', 'portable']) {
      const lines = `cache 3600 {\n        keepttl\n    }\n    prometheus 127.0.0.1:${await freePort()}\n    ${forward}`;
      programs.push(await startOnLoopback(lines, first, { ZEROHOP_IO: io }));
    }
    clients = await Promise.all(programs.map(({ place }) => openUdp(place)));
    await asksBoth(first);
    earlier = await Promise.all(programs.map(numbersOf));
  });
  after(async () => {
    for (const client of clients) client.close();
    for (const program of programs) await program.stop();
    upstream?.close();
  });

  test('they are what they are called', () => {
    const isPortable = ({ program }: LoopbackZerohop) => /serving UDP in the event loop/.test(program.stdout());
    assert.deepEqual(programs.map(isPortable), [false, true]);
  });

  const makers: Readonly<Record<string, (random: Random) => Buffer>> = {
    questions: anyQuestion,
    'questions with a long OPT, and with something behind them': longQuestion,
    'queries with bytes changed': mutatedPacket,
    'bytes at random': randomPacket,
  };
  for (const [words, make] of Object.entries(makers)) {
    test(`the same answers to ${words} (seed ${seed})`, async () => {
      const random = seededRandom(seed);
      for (let count = 400; count > 0; count--) await asksBoth(make(random));
    });
  }

  test('the same answers to every packet of the corpus', async () => {
    for (const { bytes } of readMalformed()) await asksBoth(Buffer.from(bytes));
  });

  test('the same numbers, except for time, sizes of their own and connections to the upstream', async () => {
    const after = await Promise.all(programs.map(numbersOf));
    const [threads, portable] = after.map((numbers, index) => changes(earlier[index], numbers));
    assert.ok(threads.length > 100, `${threads.length} numbers`);
    assert.deepEqual(threads, portable);
  });

  async function asksBoth(packet: Buffer): Promise<void> {
    for (const client of clients) client.send(packet);
    // Under 12 bytes, and responses, are dropped; whatever else is sent has an answer.
    const isDropped = packet.length < 12 || (packet[2] & 0x80) !== 0;
    const expected = isDropped ? askedAfter() : packet.readUInt16BE(0);
    const [one, other] = await Promise.all(clients.map((client) => client.receive(expected)));
    assert.deepEqual(one, other, packet.toString('hex'));
    for (const client of clients) assert.deepEqual(client.left(), [], packet.toString('hex'));
  }

  /** A question with an answer behind what has none: an answer to that would have come before. */
  function askedAfter(): number {
    for (const client of clients) client.send(question(0x600d, 'good', 1));
    return 0x600d;
  }
});

test('where koffi cannot be loaded it serves all the same, and one line says why', async () => {
  const upstream = await startStandIn((query) => [goodAnswer(query)]);
  const withoutKoffi = `import module from 'node:module';
const resolve = module._resolveFilename;
module._resolveFilename = (name, ...rest) => {
  if (name === 'koffi') throw new Error('this machine has none');
  return resolve(name, ...rest);
};`;
  const forward = `forward . 127.0.0.1:${upstream.port} {\n        force_tcp\n    }`;
  const zerohop = await startOnLoopback(`cache 30\n    ${forward}`, first, {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(withoutKoffi)}`,
    ZEROHOP_IO: '',
  });
  const client = await openUdp(zerohop.place);
  client.send(question(2, 'good', 1));
  assertGood(await client.receive(2));
  const why = /serving UDP in the event loop[^"]*/g;
  assert.deepEqual(zerohop.program.stdout().match(why), [
    'serving UDP in the event loop, not in workers: cannot load koffi: this machine has none',
  ]);
  client.close();
  await zerohop.stop();
  upstream.close();
});

function answerOf(query: Buffer): Buffer {
  const label = query
    .subarray(13, 13 + query[12])
    .toString('latin1')
    .toLowerCase();
  const answer = goodAnswer(query);
  if (rcodeOf[label] !== undefined) return denial(answer, query, rcodeOf[label]);
  const end = questionEnd(query);
  const records = recordsOf[label] ?? 1;
  if (records === 1 || answer.length === end) return answer;
  answer.writeUInt16BE(records, 6);
  const more = Array.from({ length: records - 1 }, (_, index) => {
    return Buffer.concat([answer.subarray(end, end + 14), Buffer.from([index >> 8, index & 0xff])]);
  });
  return Buffer.concat([answer, ...more]);
}

/** Without records; NXDOMAIN with a SOA, which makes it one to be kept. */
function denial(answer: Buffer, query: Buffer, rcode: number): Buffer {
  const soa =
    rcode === 3 ? [Buffer.from('000006000100000e10001600000000000100000e1000000e1000000e1000000e10', 'hex')] : [];
  const whole = Buffer.concat([answer.subarray(0, questionEnd(query)), ...soa]);
  whole[3] |= rcode;
  whole.writeUInt16BE(0, 6);
  whole.writeUInt16BE(soa.length, 8);
  return whole;
}

function anyQuestion(random: Random): Buffer {
  const label = labels[random.below(labels.length)].replace(/./g, (letter) =>
    random.below(4) === 0 ? letter.toUpperCase() : letter,
  );
  const packet = question(random.below(0x1_0000), label, types[random.below(types.length)]);
  // RD and CD or not.
  packet[2] = random.below(2);
  packet[3] = random.below(4) === 0 ? 0x10 : 0;
  return random.below(3) === 0 ? packet : withOpt(packet, random, Buffer.alloc(0));
}

const optSizes = [0, 512, 1232, 1400, 4096, 65_535];

function withOpt(packet: Buffer, random: Random, options: Buffer): Buffer {
  const opt = Buffer.from('0000290000000000000000', 'hex');
  opt.writeUInt16BE(optSizes[random.below(optSizes.length)], 3);
  opt[6] = random.below(20) === 0 ? 1 : 0;
  opt[7] = random.below(2) === 0 ? 0x80 : 0;
  opt.writeUInt16BE(options.length, 9);
  packet.writeUInt16BE(1, 10);
  return Buffer.concat([packet, opt, options]);
}

/** Up to 9,000 bytes: by padding (RFC 7830), or by bytes behind the last record. */
function longQuestion(random: Random): Buffer {
  const packet = question(random.below(0x1_0000), 'good', 1);
  const length = random.below(2) === 0 ? random.below(9_000) : 4_000 + random.below(200);
  if (random.below(2) === 0) return Buffer.concat([packet, Buffer.alloc(length)]);
  const padding = Buffer.alloc(4 + length);
  padding.writeUInt16BE(12);
  padding.writeUInt16BE(length, 2);
  return withOpt(packet, random, padding);
}

/** Time, memory, descriptors, how many packets came at a time; and how many connections an upstream needed, which is a matter of time. */
const itsOwn =
  /^(?:process_|nodejs_|go_|\w+_duration_seconds|\w+_start_time|\w+_cache_used_bytes|zerohop_upstream_conn|coredns_proxy_conn|zerohop_batch|zerohop_event_loop|zerohop_main_thread|zerohop_direct)/;

/** The series of /metrics, without the port that tells the programs apart. */
async function numbersOf({ metrics, place }: LoopbackZerohop): Promise<Map<string, number>> {
  await pause(metricsAgeMs);
  const page = await (await fetch(`http://${metrics.address}:${metrics.port}/metrics`)).text();
  const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#') && !itsOwn.test(line));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space).replaceAll(`:${place.port}`, ':port'), Number(line.slice(space + 1))];
    }),
  );
}

/** What has changed since, series by series. */
function changes(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string[] {
  const difference = ([series, value]: [string, number]) => [series, value - (before.get(series) ?? 0)] as const;
  return [...after].map(difference).flatMap(([series, count]) => (count === 0 ? [] : [`${series} ${count}`]));
}
