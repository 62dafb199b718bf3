import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import { seeAll, seeLocal, seeLocalPrefix } from '../../src/config/config.js';
import { isInZone, wireToName } from '../../src/dns/names.js';
import { Query, readQuery } from '../../src/dns/query.js';
import { findZone, isToBeSeen, zoneOfClient, zoneOfQuestion } from '../../src/resolve/zones.js';
import { fixture, query } from './context-fixture.js';

function zoneFor(corefileZones: string, name: string, type = 'A'): string | null {
  const { listener } = fixture(`${corefileZones} {\n forward . 192.0.2.1\n}`);
  const packet = query(name, type);
  const read = new Query();
  readQuery(packet, packet.length, read);
  const zone = findZone(listener.table, packet, read);
  return zone === null ? null : wireToName(zone.wire, 0);
}

describe('findZone', () => {
  it('finds the longest zone, at label boundaries, without regard to case', () => {
    const zones = '. cluster.local svc.cluster.local';
    assert.equal(zoneFor(zones, 'web.default.SVC.Cluster.Local'), 'svc.cluster.local.');
    assert.equal(zoneFor(zones, 'cluster.local'), 'cluster.local.');
    assert.equal(zoneFor(zones, 'mycluster.local'), '.');
    assert.equal(zoneFor(zones, '.'), '.');
  });

  it('finds nothing where nothing is responsible', () => {
    assert.equal(zoneFor('cluster.local', 'example.com'), null);
    assert.equal(zoneFor('cluster.local', 'local'), null);
  });

  it("gives a DS question at a zone's own name to the parent, if there is one", () => {
    assert.equal(zoneFor('. cluster.local', 'cluster.local', 'DS'), '.');
    assert.equal(zoneFor('. cluster.local', 'x.cluster.local', 'DS'), 'cluster.local.');
    assert.equal(zoneFor('cluster.local', 'cluster.local', 'DS'), 'cluster.local.');
  });

  it('agrees with a search through all zones', () => {
    const label = fc.constantFrom('a', 'b', 'ab');
    const name = fc.array(label, { maxLength: 4 }).map((labels) => labels.join('.') || '.');
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 5 }), name, (zones, asked) => {
        const dotted = (text: string) => (text === '.' ? '.' : `${text}.`);
        const [expected = null] = zones
          .map(dotted)
          .filter((zone) => isInZone(dotted(asked), zone))
          .sort((one, other) => other.length - one.length);
        assert.equal(zoneFor(zones.join(' '), asked), expected);
      }),
      { numRuns: 200 },
    );
  });
});

describe('isToBeSeen', () => {
  it('is about all queries, or those for names of this machine', () => {
    const seen = (bits: number, name: string) => {
      const packet = query(name, 'A');
      const read = new Query();
      readQuery(packet, packet.length, read);
      return isToBeSeen(bits, packet, read);
    };
    const names = ['a.test', 'a.localhost', 'localhost.test'];
    const of = (bits: number) => names.map((name) => seen(bits, name));
    assert.deepEqual(of(seeAll), [true, true, true]);
    assert.deepEqual(of(seeLocal), [false, true, false]);
    assert.deepEqual(of(seeLocal | seeLocalPrefix), [false, true, true]);
  });
});

describe('zoneOfClient', () => {
  it('is another for AAAA questions of clients that are translated for', () => {
    const isOther = (lines: string, type: string, family: 0 | 1, change?: (packet: Buffer) => void) => {
      const { zone } = fixture(`. {\n ${lines}\n forward . 192.0.2.1\n}`);
      const packet = query('a.test', type, { dnssecOk: true });
      change?.(packet);
      const read = new Query();
      readQuery(packet, packet.length, read);
      return zoneOfClient(zone('.'), read, family) !== zone('.');
    };
    assert.deepEqual(
      [0, 1].map((family) => isOther('dns64', 'AAAA', family as 0 | 1)),
      [false, true],
    );
    assert.deepEqual([isOther('', 'AAAA', 1), isOther('dns64', 'A', 1)], [false, false]);
    assert.equal(isOther('dns64 {\n allow_ipv4\n }', 'AAAA', 0), true);
    const classAt = 12 + 8 + 2;
    assert.equal(
      isOther('dns64', 'AAAA', 1, (packet) => packet.writeUInt16BE(3, classAt)),
      false,
      'another class',
    );
    assert.equal(
      isOther('dns64', 'AAAA', 1, (packet) => packet.writeUInt8(0x10, 3)),
      false,
      'DO and CD',
    );
  });
});

test('zoneOfQuestion is the zone whose block serves the name', () => {
  const { listener } = fixture('. {\n forward . 192.0.2.1\n}\na.test {\n forward . 192.0.2.1\n}');
  const blockOf = (name: string) =>
    zoneOfQuestion(listener.table, Uint8Array.from(query(name, 'A').subarray(12)), new Query())?.block;
  assert.deepEqual(['x.A.test', 'a.test', 'test', '.'].map(blockOf), [1, 1, 0, 0]);
});
