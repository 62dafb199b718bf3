import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hostsRecordsPerNameMax } from '../../../src/limits.js';
import { type HostsEntry, HostsIndex } from '../../../src/plugins/hosts/index-of-names.js';

describe('HostsIndex', () => {
  it('knows what a map of objects knows', () => {
    const name = fc.constantFrom('a.', 'b.test.', 'c.b.test.', '*.d.', 'e\\.f.', 'g.');
    const address = fc.constantFrom('10.0.0.1', '10.0.0.2', '::1');
    fc.assert(
      fc.property(fc.array(fc.tuple(name, address, fc.boolean()), { maxLength: 80 }), (adds) => {
        const index = new HostsIndex();
        const model = new Map<string, Record<keyof HostsEntry, string[]>>();
        const known = (of: string) => {
          const entry = model.get(of) ?? { a: [], aaaa: [], ptr: [] };
          model.set(of, entry);
          return entry;
        };
        for (const [of, text, leadsBack] of adds) {
          const isIpv6 = text.includes(':');
          index.addAddress(of, isIpv6 ? 1 : 0, index.address(text));
          known(of)[isIpv6 ? 'aaaa' : 'a'].push(text);
          if (!leadsBack) continue;
          index.addReverse(`${text} reverse`, of);
          known(`${text} reverse`).ptr.push(of);
        }
        assert.deepEqual([...index.names()], [...model.keys()]);
        for (const [of, entry] of model) assert.deepEqual(index.find(of), entry);
        const count = [...model.values()].flatMap(({ a, aaaa, ptr }) => [...a, ...aaaa, ...ptr]).length;
        assert.deepEqual([index.size, index.entries, index.leftOut], [model.size, count, 0]);
        for (const other of ['', 'a', 'b.', 'é.', 'c.b.test']) assert.equal(index.find(other), undefined);
      }),
    );
  });

  it('finds each of many names, also where hashes are alike', () => {
    const index = new HostsIndex();
    const texts = Array.from({ length: 50_000 }, (_, number) => `n${number}.test.`);
    for (const [number, text] of texts.entries()) index.addAddress(text, 0, index.address(`10.0.0.${number & 255}`));
    for (const [number, text] of texts.entries()) assert.deepEqual(index.find(text)?.a, [`10.0.0.${number & 255}`]);
    assert.equal(index.find('n50000.test.'), undefined);
  });

  it('takes so many records of a kind and name, and counts the rest', () => {
    const index = new HostsIndex();
    for (let times = 0; times < hostsRecordsPerNameMax + 3; times++)
      index.addAddress('a.', 0, index.address('10.0.0.1'));
    index.addAddress('a.', 1, index.address('::1'));
    assert.deepEqual([index.find('a.')?.a.length, index.find('a.')?.aaaa], [hostsRecordsPerNameMax, ['::1']]);
    assert.equal(index.leftOut, 3);
  });
});
