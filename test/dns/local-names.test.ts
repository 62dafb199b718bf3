import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isLocalName } from '../../src/dns/local-names.js';
import { isInZone, lowerCaseName, nameToWire, wireToName } from '../../src/dns/names.js';
import { Query, readQuery } from '../../src/dns/query.js';

function isLocal(name: string | Uint8Array, takesPrefix = true): boolean {
  const wire = typeof name === 'string' ? nameToWire(name) : name;
  const header = Buffer.from('000001000001000000000000', 'hex');
  const packet = Buffer.concat([header, wire, Buffer.from([0, 1, 0, 1])]);
  const query = new Query();
  assert.equal(readQuery(packet, packet.length, query), 'ok');
  return isLocalName(packet, query, takesPrefix);
}

describe('isLocalName', () => {
  it('is localhost and what is below it, in any case', () => {
    for (const name of ['localhost', 'LocalHost', 'a.localhost', 'a.b.localhost'])
      assert.ok(isLocal(name, false), name);
    for (const name of ['.', 'local', 'xlocalhost', 'localhost.example', 'localhosts'])
      assert.ok(!isLocal(name, false), name);
  });

  it('is also what begins with localhost, if that is wanted', () => {
    for (const name of ['localhost.example', 'LOCALHOST.a.b']) assert.ok(isLocal(name), name);
    for (const name of ['a.localhost.example', 'localhosts.example', '.']) assert.ok(!isLocal(name), name);
  });

  it('is three reverse zones', () => {
    for (const net of ['0', '127', '255']) {
      assert.ok(isLocal(`${net}.in-addr.arpa`));
      assert.ok(isLocal(`3.2.1.${net}.IN-ADDR.arpa`));
    }
    for (const name of ['in-addr.arpa', 'arpa', '10.in-addr.arpa', '27.in-addr.arpa', '127.in-addr.arpa.x']) {
      assert.ok(!isLocal(name), name);
    }
  });

  it('says what names in text say', () => {
    const zones = ['localhost.', '0.in-addr.arpa.', '127.in-addr.arpa.', '255.in-addr.arpa.'];
    const label = fc.oneof(
      fc.constantFrom('localhost', 'LOCALHOST', 'in-addr', 'arpa', '127', '0', '255', 'a.localhost', 'x'),
      fc.string({ minLength: 1, maxLength: 12 }),
    );
    const names = fc.array(label, { maxLength: 5 }).map((labels) => {
      const bytes = labels.map((text) => Buffer.from(text, 'latin1'));
      return Buffer.concat([...bytes.flatMap((one) => [Buffer.from([one.length]), one]), Buffer.alloc(1)]);
    });
    fc.assert(
      fc.property(names, fc.boolean(), (wire, takesPrefix) => {
        const name = lowerCaseName(wireToName(wire, 0));
        const begins = takesPrefix && name.startsWith('localhost.');
        assert.equal(isLocal(wire, takesPrefix), begins || zones.some((zone) => isInZone(name, zone)), name);
      }),
    );
  });
});
