import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import packets from 'dns-packet';
import fc from 'fast-check';
import { kindDenial } from '../../src/cache/blocks.js';
import {
  byCache,
  byTemplate,
  Counters,
  countedType,
  countedTypes,
  countersMemory,
  histogramPlaces,
  overTcp,
  overUdp,
  rcodesCounted,
  zonePlaces,
} from '../../src/counters.js';
import { readQuery } from '../../src/dns/query.js';
import { extendedErrorTextBytesMax, messageBytesMax, refreshAgainMs, refreshesRemembered } from '../../src/limits.js';
import {
  edeNetworkError,
  edeNoReachableAuthority,
  edeStale,
  edeStaleNxdomain,
  extendedErrorOf,
  Prng,
  type QueryLogRecord,
  queryLogRecordOf,
  RecentRefreshes,
} from '../../src/resolve/worker-context.js';
import { answerFor } from '../cache/answers.js';
import { type Decoded, type Fixture, fixture, query } from './context-fixture.js';

const plain = '. {\n cache\n forward . 192.0.2.1\n}';

interface Told extends Fixture {
  /** The answer that `write` leaves in the slot for this packet, in the zone. */
  tells(packet: Buffer, write: () => number): Decoded & { readonly bytes: number };
}

function context(corefile = plain): Told {
  const made = fixture(corefile);
  return {
    ...made,
    tells(packet, write) {
      assert.equal(readQuery(packet, packet.length, made.context.query), 'ok');
      made.context.zone = made.zone('.');
      const bytes = write();
      const answer = packets.decode(Buffer.from(made.context.slot.bytes.slice(0, bytes))) as Decoded;
      return { ...answer, rcode: answer.rcode, bytes };
    },
  };
}

const opt = (answer: Decoded) => {
  const [record] = (answer.additionals ?? []).filter(({ type }) => type === 'OPT') as packets.OptAnswer[];
  return record as unknown as Omit<packets.OptAnswer, 'options'> & { options: { code: number; data: Buffer }[] };
};

describe('extendedErrorOf', () => {
  it('takes as much of the text as has room', () => {
    assert.deepEqual(extendedErrorOf(15, 'nö'), { code: 15, text: new Uint8Array(Buffer.from('nö')) });
    const { text } = extendedErrorOf(15, 'x'.repeat(10_000));
    assert.equal(text.length, extendedErrorTextBytesMax);
    assert.equal(text.buffer.byteLength, text.length, 'it holds no more memory than that');
  });

  it('has the codes of RFC 8914', () => {
    const codes = [edeStale, edeStaleNxdomain, edeNoReachableAuthority, edeNetworkError].map(({ code }) => code);
    assert.deepEqual(codes, [3, 19, 22, 23]);
  });
});

describe('WorkerContext', () => {
  it('lets a stored answer count down, to 0 at the least', () => {
    const { tells, context: one, cache, store } = context();
    const ref = cache.keep(store, answerFor('a.test', { records: 3 }), 0);
    const ttls = (ageSeconds: number) => {
      const { answers } = tells(query('a.test', 'A'), () =>
        one.answerStored(query('a.test', 'A'), ref, ageSeconds, null),
      );
      return (answers as packets.StringAnswer[]).map(({ ttl }) => ttl);
    };
    assert.deepEqual(
      [ttls(0), ttls(29), ttls(31), ttls(0)],
      [
        [30, 30, 30],
        [1, 1, 1],
        [0, 0, 0],
        [30, 30, 30],
      ],
    );
  });

  it('says of a stale answer that it is, and whether it denies', () => {
    const { tells, context: one, cache, store } = context();
    const packet = query('a.test', 'A', {});
    const good = cache.keep(store, answerFor('a.test'), 0);
    const stale = tells(packet, () => one.answerStale(packet, good, 30));
    assert.deepEqual(
      opt(stale).options.map(({ code, data }) => [code, data.readUInt16BE()]),
      [[15, 3]],
    );
    const denial = answerFor('a.test', { kind: kindDenial });
    denial.message[3] |= 3;
    const gone = cache.keep(store, denial, 0);
    const denied = tells(packet, () => one.answerStale(packet, gone, 0));
    assert.deepEqual([denied.rcode, opt(denied).options[0].data.readUInt16BE()], ['NXDOMAIN', 19]);
    assert.equal((denied.answers as packets.StringAnswer[])[0].ttl, 0);
  });

  it('answers empty with an rcode, and explains it to clients with EDNS only', () => {
    const { tells, context: one } = context();
    const without = query('a.test', 'A');
    const answer = tells(without, () => one.answerEmpty(without, 2, edeNetworkError));
    assert.deepEqual([answer.rcode, answer.bytes, answer.additionals], ['SERVFAIL', without.length, []]);
    const packet = query('a.test', 'A', { dnssecOk: true });
    const explained = tells(packet, () => one.answerEmpty(packet, 2, extendedErrorOf(22, 'nobody there')));
    assert.equal(opt(explained).options[0].data.toString('utf8', 2), 'nobody there');
    assert.equal(opt(explained).flag_do, true);
  });

  it('sends over UDP no more than client and zone take, over TCP what there is', () => {
    const { tells, context: one, cache, store } = context('. {\n bufsize 1000\n cache\n forward . 192.0.2.1\n}');
    const ref = cache.keep(store, answerFor('a.test', { records: 300 }), 0);
    const bytes = (packet: Buffer) => tells(packet, () => one.answerStored(packet, ref, 0, null)).bytes;
    const within = (packet: Buffer, limit: number) => {
      const sent = bytes(packet);
      assert.ok(sent <= limit && sent > limit - 16, `${sent} of ${limit}`);
    };
    one.transport = overUdp;
    within(query('a.test', 'A'), 512);
    within(query('a.test', 'A', { udpBytes: 700 }), 700);
    within(query('a.test', 'A', { udpBytes: 4096 }), 1000);
    one.transport = overTcp;
    assert.equal(bytes(query('a.test', 'A')), 24 + 300 * 16);
    assert.equal(
      opt(tells(query('a.test', 'A', {}), () => one.answerEmpty(query('a.test', 'A', {}), 2, null))).udpPayloadSize,
      1000,
    );
  });

  it('fits our OPT into the largest message there can be', () => {
    const { tells, context: one, cache, store } = context();
    const records = Math.floor((messageBytesMax - 24 - 600) / 16);
    const ref = cache.keep(store, answerFor('a.test', { records }), 0);
    one.transport = overTcp;
    const packet = query('a.test', 'A', {});
    const error = extendedErrorOf(15, 'x'.repeat(extendedErrorTextBytesMax));
    const answer = tells(packet, () => one.answerStored(packet, ref, 0, error));
    assert.ok(answer.bytes <= messageBytesMax);
    assert.deepEqual([answer.answers?.length, answer.flag_tc], [records, false]);
    assert.equal(opt(answer).options[0].data.length, 2 + extendedErrorTextBytesMax);
  });

  it('tells clients that ask for it which server it is', () => {
    const { tells, context: one } = context('. {\n nsid node 7\n forward . 192.0.2.1\n}');
    const packet = Buffer.concat([query('a.test', 'A', {}), Buffer.from([0, 3, 0, 0])]);
    packet[packet.length - 5] = 4; // the OPT's data are the four bytes added
    const [{ code, data }] = opt(tells(packet, () => one.answerEmpty(packet, 0, null))).options;
    assert.deepEqual([code, String(data)], [3, 'node 7']);
  });

  it('tells TCP clients that ask for it how long they may be quiet', () => {
    const { tells, context: one } = context('. {\n timeouts {\n idle 20s\n }\n forward . 192.0.2.1\n}');
    const packet = Buffer.concat([query('a.test', 'A', {}), Buffer.from([0, 11, 0, 0])]);
    packet[packet.length - 5] = 4; // the OPT's data are the four bytes added
    const keepalive = () => opt(tells(packet, () => one.answerEmpty(packet, 0, null))).options;
    one.transport = overUdp;
    assert.deepEqual(keepalive(), []);
    one.transport = overTcp;
    assert.deepEqual(
      keepalive().map(({ code, data }) => [code, data.readUInt16BE()]),
      [[11, 200]],
    );
  });

  it('denies in the name of its zone', () => {
    const { tells, context: one, zone } = context('. {\n cache 9\n forward . 192.0.2.1\n}');
    const packet = query('a.test', 'AAAA');
    const answer = tells(packet, () => one.answerDenial(packet, zone('.'), 3));
    const [soa] = answer.authorities as packets.SoaAnswer[];
    assert.deepEqual([answer.rcode, answer.flag_aa, soa.name, soa.ttl], ['NXDOMAIN', true, '.', 9]);
  });
});

describe('WorkerContext.count', () => {
  it('counts one answer in every family of its zone, and in no other zone', () => {
    const { tells, context: one } = context();
    const packet = query('a.test', 'AAAA', { dnssecOk: true });
    const wide = new Counters(countersMemory(3));
    Object.assign(one.counters, { events: wide.events, zones: wide.zones, memory: wide.memory });
    const base = one.counters.zoneBase(1);
    one.transport = overTcp;
    one.family = 1;
    const { bytes } = tells(packet, () => one.answerEmpty(packet, 5, null));
    one.count(base, byTemplate, packet.length, bytes, 0.0003);
    const { zones } = one.counters;
    const places: [number, number][] = [
      [zonePlaces.requests + 3 * countedTypes.length + countedType(28), 1],
      [zonePlaces.responses + byTemplate * rcodesCounted + 5, 1],
      [zonePlaces.dnssecOk, 1],
      [zonePlaces.duration + 1, 1],
      [zonePlaces.duration + histogramPlaces.duration - 1, 0.0003],
      [zonePlaces.requestBytes + histogramPlaces.size + 1, 1],
      [zonePlaces.requestBytes + 2 * histogramPlaces.size - 1, packet.length],
      [zonePlaces.responseBytes + histogramPlaces.size + 1, 1],
      [zonePlaces.responseBytes + 2 * histogramPlaces.size - 1, bytes],
    ];
    const expected = new Float64Array(zones.length);
    for (const [place, number] of places) expected[base + place] = number;
    assert.deepEqual(zones, expected);
    assert.equal(one.counters.total('answersTruncated'), 0);
  });

  it('counts what was cut', () => {
    const { tells, context: one, cache, store } = context();
    const ref = cache.keep(store, answerFor('a.test', { records: 100 }), 0);
    const packet = query('a.test', 'A');
    const { bytes } = tells(packet, () => one.answerStored(packet, ref, 0, null));
    one.count(0, byCache, packet.length, bytes, 0);
    assert.equal(one.counters.total('answersTruncated'), 1);
  });
});

test('a block is asked for once in a while, whatever the others do', () => {
  const recent = new RecentRefreshes();
  assert.equal(recent.isNew(1_048_576, 5_000), true);
  assert.equal(recent.isNew(1_048_576, 5_001), false);
  assert.equal(recent.isNew(1_048_576 + 128, 5_001), true);
  assert.equal(recent.isNew(1_048_576, 5_000 + refreshAgainMs - 1), false);
  assert.equal(recent.isNew(1_048_576, 5_000 + refreshAgainMs), true);
});

test('two blocks of one place are both asked for', () => {
  const recent = new RecentRefreshes();
  const other = 1_048_576 + 128 * refreshesRemembered;
  for (const block of [1_048_576, other, 1_048_576]) assert.equal(recent.isNew(block, 1), true);
});

describe('Prng', () => {
  it('gives numbers in range, each as often, from any seed', () => {
    for (const seed of [0, 1, 2, 2 ** 31, 2 ** 32 - 1]) {
      const dice = new Prng(seed);
      const counts = new Array(8).fill(0);
      for (let draw = 0; draw < 8000; draw++) counts[dice.below(8)]++;
      for (const count of counts) assert.ok(Math.abs(count - 1000) < 150, `${seed}: ${counts}`);
    }
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 65_536 }), (seed, below) => {
        const drawn = new Prng(seed).below(below);
        assert.ok(Number.isInteger(drawn) && drawn >= 0 && drawn < below);
      }),
    );
  });

  it('is repeated by its seed, and another with the next', () => {
    const draws = (seed: number) => {
      const dice = new Prng(seed);
      return Array.from({ length: 20 }, () => dice.below(100));
    };
    assert.deepEqual(draws(5), draws(5));
    const same = draws(5).filter((drawn, index) => drawn === draws(6)[index]).length;
    assert.ok(same < 5);
  });
});

const remote = { address: '10.244.0.7', port: 40_000 };
const local = { address: '169.254.20.10', port: 53 };

/** What is said of a packet that can be answered at once. */
function recordOf(
  { context, ask }: Fixture,
  packet: Buffer,
  transport: typeof overUdp | typeof overTcp = overUdp,
): QueryLogRecord {
  context.transport = transport;
  const answer = ask(packet) as Buffer;
  return queryLogRecordOf(context, packet, { transport, remote, local, reply() {} }, answer.length, {
    durationMs: 1.5,
    upstream: null,
  });
}

function known(name: string, records = 1): Fixture {
  const made = fixture('. {\n aaaa nodata\n cache\n forward . 192.0.2.1\n}');
  made.cache.keep(made.store, answerFor(name, { zoneId: made.zone('.').zoneId, records }), 0);
  return made;
}

describe('queryLogRecordOf', () => {
  it('tells of the question, the client and the answer', () => {
    const packet = query('WWW.a.test', 'A', { udpBytes: 4096, dnssecOk: false });
    const made = known('www.a.test', 2);
    assert.deepEqual(recordOf(made, packet), {
      remote,
      local,
      transport: 'udp',
      id: 0x1234,
      opcode: 0,
      name: 'WWW.a.test.',
      type: 1,
      class: 1,
      queryBytes: packet.length,
      dnssecOk: false,
      bufsizeBytes: 4096,
      rcode: 0,
      flags: 0x8180,
      answerBytes: packet.length + 2 * 16,
      answerRecords: 2,
      authorityType: 0,
      durationMs: 1.5,
      upstream: null,
      query: packet,
      answer: made.context.slot.bytes.subarray(0, packet.length + 2 * 16),
    });
  });

  it('gives the sizes that hold without EDNS and over TCP', () => {
    const made = known('a.test');
    assert.equal(recordOf(made, query('a.test', 'A')).bufsizeBytes, 512);
    const overStream = recordOf(made, query('a.test', 'A', { udpBytes: 1232 }), overTcp);
    assert.deepEqual([overStream.transport, overStream.bufsizeBytes], ['tcp', 65_535]);
  });

  it('sees the SOA of a denial, its rcode and AA', () => {
    const denied = recordOf(known('a.test'), query('a.test', 'AAAA', {}));
    assert.deepEqual([denied.authorityType, denied.answerRecords, denied.rcode], [6, 0, 0]);
    assert.equal(denied.flags & 0x0400, 0x0400);
    const nxdomain = recordOf(fixture('. {\n aaaa nxdomain\n}'), query('a.test', 'AAAA', { dnssecOk: true }));
    assert.deepEqual([nxdomain.authorityType, nxdomain.rcode, nxdomain.dnssecOk], [6, 3, true]);
  });

  it('sees what the authority section begins with, and that it is empty', () => {
    const made = known('a.test');
    const packet = query('a.test', 'AAAA');
    const answer = made.ask(packet) as Buffer;
    const client = { transport: overUdp, remote, local, reply() {} } as const;
    const authorityType = () =>
      queryLogRecordOf(made.context, packet, client, answer.length, { durationMs: 0, upstream: null }).authorityType;
    const soaAt = packet.length + 1; // behind the root, which owns it
    made.context.slot.bytes[soaAt + 1] = 2;
    assert.equal(authorityType(), 2);
    made.context.slot.bytes[soaAt + 1] = 6;
    assert.equal(authorityType(), 6);
    made.context.slot.bytes[9] = 0;
    assert.equal(authorityType(), 0);
  });
});
