import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { wireToName } from '../../src/dns/names.js';
import { Numbering } from '../../src/resolve/stable-ids.js';
import { fromCounterKey, planZones, serverLabel } from '../../src/resolve/zone-plan.js';
import { loadOptions } from './lane-fixture.js';

const newNumberings = () => ({ cache: new Numbering(), counters: new Numbering() });

function plan(corefile: string, numberings = newNumberings()) {
  return planZones(parseConfig(corefile, 'Corefile', loadOptions), numberings);
}

describe('planZones', () => {
  it('makes one table per address and port', () => {
    const listeners = plan('a.test:53 b.test:54 {\n bind 192.0.2.1 192.0.2.2\n forward . 192.0.2.9\n}');
    assert.deepEqual(
      listeners.map(({ server, zones }) => [server, zones.map(({ wire }) => wireToName(wire, 0))]),
      [
        ['dns://192.0.2.1:53', ['a.test.']],
        ['dns://192.0.2.2:53', ['a.test.']],
        ['dns://192.0.2.1:54', ['b.test.']],
        ['dns://192.0.2.2:54', ['b.test.']],
      ],
    );
  });

  it('shares what is cached between the addresses of a block, and counts apart', () => {
    const [one, other] = plan('. {\n bind 192.0.2.1 192.0.2.2\n cache\n forward . 192.0.2.9\n}');
    assert.equal(one.zones[0].zoneId, other.zones[0].zoneId);
    assert.notEqual(one.zones[0].ordinal, other.zones[0].ordinal);
  });

  it('keeps apart what two blocks for one zone have cached', () => {
    const block = (address: string) => `. {\n bind ${address}\n cache\n forward . 192.0.2.9\n}\n`;
    const [one, other] = plan(block('192.0.2.1') + block('192.0.2.2'));
    assert.notEqual(one.zones[0].zoneId, other.zones[0].zoneId);
  });

  it('gives zones the same numbers after a reload', () => {
    const numberings = newNumberings();
    const zone = (name: string) => `${name} {\n cache\n forward . 192.0.2.9\n}\n`;
    const before = plan(zone('a.test') + zone('b.test'), numberings)[0].zones;
    const after = plan(zone('c.test') + zone('b.test'), numberings)[0].zones;
    assert.equal(after[1].zoneId, before[1].zoneId);
    assert.equal(after[1].ordinal, before[1].ordinal);
    assert.ok(![before[0].zoneId, before[1].zoneId].includes(after[0].zoneId));
  });

  it('gives translated answers a place of their own, by what they are made with', () => {
    const numberings = newNumberings();
    const zoneOf = (lines: string) => plan(`. {\n cache\n ${lines}\n forward . 192.0.2.9\n}`, numberings)[0].zones[0];
    const [plain, one, other, all, again] = [
      '',
      'dns64',
      'dns64 64:1337::/96',
      'dns64 {\n translate_all\n }',
      'dns64',
    ].map(zoneOf);
    assert.equal(plain.translation, null);
    const ids = [one, other, all].map(({ translation }) => translation!.zone.zoneId);
    assert.equal(new Set([plain.zoneId, ...ids]).size, 4);
    assert.equal(again.translation!.zone.zoneId, ids[0]);
    assert.deepEqual([one.zoneId, one.translation!.zone.translation], [plain.zoneId, null]);
    assert.equal(zoneOf('dns64\n aaaa nxdomain').translation, null, 'nothing is left to translate');
  });

  const rewriting = 'rewrite name a.test b.test';
  const acl = 'acl {\nallow net 10.1.0.0/16\nallow net 10.2.0.0/16\nblock\n}';

  it('serves all clients by one table, unless rules tell them apart where other names are asked', () => {
    for (const lines of ['', acl, rewriting, `${acl}\ntemplate IN MX a.test {\nrcode NXDOMAIN\n}`]) {
      const [{ table, tables, tableOf, zones }] = plan(`. {\ncache\n${lines}\nforward . 192.0.2.9\n}`);
      assert.deepEqual([tables.length, zones.length, tableOf('10.1.0.1') === table], [1, 1, true], lines);
    }
  });

  it('keeps answers apart for clients that rules of any block tell apart, where other names are asked', () => {
    const numberings = newNumberings();
    const corefile = (rules: string) =>
      `. {\ncache\n${rewriting}\nforward . 192.0.2.9\n}\na.test {\ncache\n${rules}\nforward . 192.0.2.9\n}`;
    const [{ table, tables, tableOf, zones }] = plan(corefile(acl), numberings);
    const idsOf = (client: string) =>
      tableOf(client)
        .byBytes.flat()
        .map(({ zoneId }) => zoneId);
    const [root, below] = idsOf('10.1.0.1');
    assert.deepEqual(idsOf('10.2.9.9'), [root, below], 'of one kind');
    const [otherRoot, otherBelow] = idsOf('fd00::1%eth0');
    assert.deepEqual([otherRoot === root, otherBelow === below], [false, true], 'a.test asks no other names');
    const shared = table.byBytes.flat();
    assert.deepEqual(
      shared.map(({ handOver, zoneId }) => [handOver, zoneId === root || zoneId === otherRoot]),
      [
        [1, false],
        [1, false],
      ],
      'answering threads, which do not tell them apart, hand them over',
    );
    assert.deepEqual([tables.length, zones.length], [3, 4]);
    const [again] = plan(corefile(acl), numberings);
    assert.equal(again.tableOf('10.1.0.1').byBytes.flat()[0].zoneId, root, 'the same after a reload');
    const [changed] = plan(corefile(acl.replace('10.2.0.0', '10.3.0.0')), numberings);
    assert.equal(
      changed.zones.some(({ zoneId }) => zoneId === root),
      false,
      'but not under other rules',
    );
  });

  it('keeps apart what listeners with other zones may lead other names to', () => {
    const corefile = (lines: string, bind = '192.0.2.1') =>
      `. {\nbind 192.0.2.1 192.0.2.2\ncache\n${lines}\nforward . 192.0.2.9\n}\n` +
      `b.test {\nbind ${bind}\nforward . 192.0.2.9\n}`;
    const isShared = (text: string): boolean => {
      const [one, other] = plan(text).map(({ zones }) => zones[0].zoneId);
      return one === other;
    };
    assert.equal(isShared(corefile(rewriting)), false);
    assert.equal(isShared(corefile(rewriting, '192.0.2.1 192.0.2.2')), true);
    assert.equal(isShared(corefile('')), true);
  });

  it('caches only the zones that `cache` names, as zones of their own', () => {
    const [{ zones }] = plan('. {\n cache 30 example.org\n forward . 192.0.2.9\n}');
    assert.deepEqual(
      zones.map(({ wire, cache, ordinal }) => [wireToName(wire, 0), cache !== null, ordinal === zones[0].ordinal]),
      [
        ['.', false, true],
        ['example.org.', true, true],
      ],
    );
  });

  it('labels servers as CoreDNS does', () => {
    assert.equal(serverLabel({ address: '::', port: 53 }), 'dns://:53');
    assert.equal(serverLabel({ address: 'fd00::1', port: 53 }), 'dns://[fd00::1]:53');
    assert.deepEqual(fromCounterKey('dns://:53 cluster.local.'), { server: 'dns://:53', zone: 'cluster.local.' });
  });
});
