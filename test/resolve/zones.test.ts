import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isInZone, wireToName } from '../../src/dns/names.js';
import { Query, readQuery } from '../../src/dns/query.js';
import { findZone } from '../../src/resolve/zones.js';
import { fixture, query } from './lane-fixture.js';

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
