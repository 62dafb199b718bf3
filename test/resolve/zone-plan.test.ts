import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseConfig } from '../../src/config/load.js';
import { wireToName } from '../../src/dns/names.js';
import { idleNumbersKept, zoneIdsMax } from '../../src/limits.js';
import {
  fromCounterKey,
  type Holding,
  Numbering,
  planZones,
  ReusableNumbering,
  serverLabel,
} from '../../src/resolve/zone-plan.js';
import { loadOptions } from './context-fixture.js';

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
      shared.map(({ defers, zoneId }) => [defers, zoneId === root || zoneId === otherRoot]),
      [
        [1, false],
        [1, false],
      ],
      'workers, which do not tell them apart, hand them over',
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

describe('Numbering', () => {
  it('numbers texts in the order in which they come and remembers them', () => {
    const numbering = new Numbering();
    assert.deepEqual(
      ['a', 'b', 'a', '', 'A'].map((text) => numbering.of(text)),
      [0, 1, 0, 2, 3],
    );
    assert.deepEqual(numbering.texts(), ['a', 'b', '', 'A']);
    assert.equal(numbering.size, 4);
  });

  it('ends with a sentence at its bound, and what has a number keeps it', () => {
    const numbering = new Numbering();
    for (let index = 0; index < zoneIdsMax; index++) numbering.of(`zone ${index}`);
    assert.throws(() => numbering.of('one more'), /more than 65535 different zones were served; restart/u);
    assert.equal(numbering.size, zoneIdsMax);
    assert.equal(numbering.of(`zone ${zoneIdsMax - 1}`), zoneIdsMax - 1);
    assert.ok(zoneIdsMax - 1 <= 0xffff, 'a cache key spends 16 bits on it');
  });
});

describe('ReusableNumbering', () => {
  const yes = () => true;
  const newNumbering = () => {
    const cleared: number[] = [];
    return { cleared, numbering: new ReusableNumbering((number) => void cleared.push(number)) };
  };
  /** Releases so many numbers that have been held together, so that those before them are the longest idle. */
  const makeIdle = (numbering: ReusableNumbering, count: number, name: string): void => {
    const holding = numbering.hold();
    for (let index = 0; index < count; index++) holding.of(`${name} ${index}`);
    holding.release(yes);
  };

  it('gives a text its number for as long as anybody holds it', () => {
    const { numbering, cleared } = newNumbering();
    const one = numbering.hold();
    const other = numbering.hold();
    assert.deepEqual([one.of('a'), one.of('b'), one.of('a'), other.of('b')], [0, 1, 0, 1]);
    one.release(yes);
    makeIdle(numbering, idleNumbersKept + 10, 'idle');
    makeIdle(numbering, idleNumbersKept + 10, 'more');
    assert.deepEqual([other.of('b'), numbering.textOf(1)], [1, 'b']);
    assert.ok(!cleared.includes(1));
    assert.notEqual(numbering.textOf(0), 'a', 'nobody holds it');
  });

  it('gives back the number, as it was, to a text that comes back while it is idle', () => {
    const { numbering, cleared } = newNumbering();
    makeIdle(numbering, idleNumbersKept, 'zone');
    const holding = numbering.hold();
    assert.equal(holding.of('zone 7'), 7);
    assert.deepEqual(cleared, []);
  });

  it('reuses the longest idle when enough others are idle, and clears it before', () => {
    const { numbering, cleared } = newNumbering();
    makeIdle(numbering, idleNumbersKept, 'zone');
    const holding = numbering.hold();
    assert.equal(holding.of('zone 0'), 0, 'held again, so it is not the longest idle');
    assert.equal(holding.of('new'), idleNumbersKept, 'too few are idle');
    holding.release(yes);
    const next = numbering.hold();
    assert.deepEqual([next.of('next'), next.of('last')], [1, idleNumbersKept + 1]);
    assert.deepEqual([cleared, numbering.textOf(1), numbering.size], [[1], 'next', idleNumbersKept + 2]);
    assert.equal(next.of('zone 1'), idleNumbersKept + 2, 'its number is another’s now');
  });

  it('reuses no number that somebody may still count under', () => {
    const { numbering, cleared } = newNumbering();
    let hasLeft = false;
    const first = numbering.hold();
    first.of('slow');
    first.release(() => hasLeft);
    makeIdle(numbering, idleNumbersKept, 'zone');
    assert.equal(numbering.hold().of('new'), idleNumbersKept + 1);
    assert.deepEqual(cleared, []);
    hasLeft = true;
    assert.equal(numbering.hold().of('newer'), 0);
    assert.deepEqual(cleared, [0]);
  });

  it('never gives two texts that are held one number', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(3), fc.nat(2 * idleNumbersKept), fc.nat(99)), { maxLength: 60 }),
        (steps) => {
          const { numbering } = newNumbering();
          const holdings: { holding: Holding; numbers: Map<string, number> }[] = [];
          for (const [kind, first, count] of steps) {
            if (kind === 0) holdings.shift()?.holding.release(yes);
            else {
              const holding = numbering.hold();
              const texts = Array.from({ length: count }, (_, index) => `zone ${first + index}`);
              holdings.push({ holding, numbers: new Map(texts.map((text) => [text, holding.of(text)])) });
            }
            const all = new Map(holdings.flatMap(({ numbers }) => [...numbers]));
            assert.equal(new Set(all.values()).size, all.size);
            for (const { numbers } of holdings)
              for (const [text, number] of numbers) assert.equal(numbering.textOf(number), text);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('grows with what is held and not with what was: twice released is once released', () => {
    const { numbering } = newNumbering();
    const stays = numbering.hold();
    stays.of('stays');
    for (let round = 0; round < 5_000; round++) {
      const holding = numbering.hold();
      assert.equal(holding.of('stays'), 0);
      holding.of(`zone ${round}`);
      holding.release(yes);
      holding.release(yes);
      assert.throws(() => holding.of('later'), /after their release/u);
    }
    assert.ok(numbering.size <= 2 + idleNumbersKept, `${numbering.size}`);
  });

  it('ends with a sentence at its bound', () => {
    const holding = newNumbering().numbering.hold();
    for (let index = 0; index < zoneIdsMax; index++) holding.of(`zone ${index}`);
    assert.throws(() => holding.of('one more'), /more than 65535 different zones were served; restart/u);
    assert.equal(holding.of('zone 9'), 9);
  });
});
