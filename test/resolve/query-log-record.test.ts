import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { overTcp, overUdp } from '../../src/counters.js';
import type { QueryLogRecord } from '../../src/resolve/query-log-record.js';
import { queryLogRecordOf } from '../../src/resolve/query-log-record.js';
import { answerFor } from '../cache/answers.js';
import { type Fixture, fixture, query } from './lane-fixture.js';

const remote = { address: '10.244.0.7', port: 40_000 };
const local = { address: '169.254.20.10', port: 53 };

/** What is said of a packet that can be answered at once. */
function recordOf(
  { lane, ask }: Fixture,
  packet: Buffer,
  transport: typeof overUdp | typeof overTcp = overUdp,
): QueryLogRecord {
  lane.transport = transport;
  const answer = ask(packet) as Buffer;
  return queryLogRecordOf(lane, packet, { transport, remote, local, reply() {} }, answer.length, {
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
  it('tells of the question, the asker and the answer', () => {
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
      answer: made.lane.slot.bytes.subarray(0, packet.length + 2 * 16),
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
    const asker = { transport: overUdp, remote, local, reply() {} } as const;
    const authorityType = () =>
      queryLogRecordOf(made.lane, packet, asker, answer.length, { durationMs: 0, upstream: null }).authorityType;
    const soaAt = packet.length + 1; // behind the root, which owns it
    made.lane.slot.bytes[soaAt + 1] = 2;
    assert.equal(authorityType(), 2);
    made.lane.slot.bytes[soaAt + 1] = 6;
    assert.equal(authorityType(), 6);
    made.lane.slot.bytes[9] = 0;
    assert.equal(authorityType(), 0);
  });
});
