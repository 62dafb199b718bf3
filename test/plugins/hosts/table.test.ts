import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hostsNamesMax, hostsRecordsPerNameMax } from '../../../src/limits.js';
import { findHost, knowAlike, parseHosts, parseHostsInSlices } from '../../../src/plugins/hosts/table.js';

const all = { zones: ['.'], reverse: true };
const none = { a: [], aaaa: [], ptr: [] };

describe('parseHosts', () => {
  it('reads names, aliases, both families and comments', () => {
    const table = parseHosts(
      '# comment\n127.0.0.1\tlocalhost  Local.Test # more\r\n::1 localhost\n\n10.0.0.1 a.test\n10.0.0.2 a.test\n',
      all,
    );
    assert.deepEqual(findHost(table, 'localhost.'), { ...none, a: ['127.0.0.1'], aaaa: ['::1'] });
    assert.deepEqual(findHost(table, 'local.test.').a, ['127.0.0.1']);
    assert.deepEqual(findHost(table, 'a.test.').a, ['10.0.0.1', '10.0.0.2']);
    assert.deepEqual(findHost(table, '1.0.0.127.in-addr.arpa.').ptr, ['localhost.', 'local.test.']);
    const loopback = `1.${'0.'.repeat(31)}ip6.arpa.`;
    assert.deepEqual(findHost(table, loopback).ptr, ['localhost.']);
    assert.equal(table.entries, 10);
  });

  it('passes over what says nothing useful', () => {
    const table = parseHosts('10.0.0.1\n300.0.0.1 a.test\nname a.test\n10.0.0.2 a..test ok.test\n', all);
    assert.deepEqual([...table.names()].sort(), ['2.0.0.10.in-addr.arpa.', 'ok.test.']);
  });

  it('takes an address without its scope, an IPv4 address in IPv6 as what it is, and any spelling as one', () => {
    const table = parseHosts('fe80::1%eth0 a.test\n::ffff:10.0.0.9 a.test\nFD00:0:0::0001 a.test', all);
    assert.deepEqual(findHost(table, 'a.test.'), { ...none, a: ['10.0.0.9'], aaaa: ['fe80::1', 'fd00::1'] });
  });

  it('takes names of its zones only, and no way back where none is wanted', () => {
    const table = parseHosts('10.0.0.1 a.test b.example', { zones: ['test.'], reverse: false });
    assert.deepEqual([...table.names()], ['a.test.']);
  });

  it('lets a wildcard stand for one label, behind any name that is known by itself', () => {
    const table = parseHosts('10.0.0.1 *.apps.test\n10.0.0.2 a.apps.test\n', all);
    assert.deepEqual(findHost(table, 'web.apps.test.').a, ['10.0.0.1']);
    assert.deepEqual(findHost(table, 'a.apps.test.').a, ['10.0.0.2']);
    assert.deepEqual(findHost(table, 'w\\.e\\.b.apps.test.').a, ['10.0.0.1'], 'one label with dots in it');
    for (const name of ['apps.test.', 'deep.web.apps.test.', 'test.', '.'])
      assert.deepEqual(findHost(table, name), none);
    assert.deepEqual(findHost(table, '1.0.0.10.in-addr.arpa.'), none, 'no name to lead back to');
  });

  it('is bounded in names and in records of a name', () => {
    const blocked = Array.from({ length: hostsRecordsPerNameMax + 5 }, (_, index) => `0.0.0.0 n${index}.test`);
    const table = parseHosts(blocked.join('\n'), all);
    assert.equal(findHost(table, '0.0.0.0.in-addr.arpa.').ptr.length, hostsRecordsPerNameMax);
    assert.deepEqual([table.leftOut, table.size], [5, blocked.length + 1]);
    const many = Array.from({ length: hostsNamesMax + 2 }, (_, index) => `n${index}`);
    const full = parseHosts(`0.0.0.0 ${many.join(' ')}`, { zones: ['.'], reverse: false });
    assert.deepEqual([full.size, full.leftOut], [hostsNamesMax, 2]);
  });

  it('reads words as the lines have them, whatever stands between', () => {
    const text =
      '\n\n \t10.0.0.1  a.test\u00a0b.test#c.test d.test\n#10.0.0.2 e.test\n10.0.0.3#f.test\ng.test\r\n10.0.0.4 h.test';
    const table = parseHosts(text, { zones: ['.'], reverse: false });
    assert.deepEqual([...table.names()], ['a.test.', 'b.test.', 'h.test.']);
  });

  it('reads as one does who cuts the text into lines and these into words', () => {
    const piece = fc.constantFrom(
      '10.0.0.1',
      '::1',
      'a.test',
      'b.test',
      '300.1.1.1',
      '#',
      '\n',
      ' ',
      '\t',
      '\r\n',
      '*.c',
      'x',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const text = pieces.join('');
        const found = new Set<string>();
        for (const line of text.split('\n')) {
          const [first, ...rest] = line.replace(/#.*$/su, '').trim().split(/\s+/u);
          if (first !== '10.0.0.1' && first !== '::1') continue;
          for (const name of rest) found.add(`${first} ${name}.`);
        }
        const table = parseHosts(text, { zones: ['.'], reverse: false });
        const known = [...table.names()].flatMap((name) => {
          const { a, aaaa } = findHost(table, name);
          return [...a, ...aaaa].map((address) => `${address} ${name}`);
        });
        // Two pieces may make another address of one, such as ::110.0.0.1.
        const isName = (each: string) => /^(?:10\.0\.0\.1|::1) /u.test(each) && !/ \.$|\*\..*\*|[^ ]\*/u.test(each);
        assert.deepEqual([...new Set(known)].filter(isName).sort(), [...found].filter(isName).sort());
      }),
    );
  });

  it('passes over words that are too long for a name, quickly', () => {
    const text = `10.0.0.1 ${'a'.repeat(8_000_000)} b.test\n${'1'.repeat(8_000_000)} c.test\n`;
    const beganMs = performance.now();
    assert.deepEqual([...parseHosts(text, { zones: ['.'], reverse: false }).names()], ['b.test.']);
    assert.ok(performance.now() - beganMs < 2_000);
  });

  it('never throws, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom('10.0.0.1', '::1', '*.', '\\', '%', '#', '\n'))),
        (words) => {
          const table = parseHosts(words.join(' '), all);
          for (const name of table.names()) assert.deepEqual(findHost(table, name), table.find(name));
        },
      ),
    );
  });
});

describe('knowAlike', () => {
  it('compares what two tables know of a name, also by wildcard', () => {
    const before = parseHosts('10.0.0.1 a.test b.test *.c.test', all);
    const after = parseHosts('10.0.0.1 a.test\n10.0.0.2 b.test', all);
    const differ = ['a.test.', 'b.test.', 'x.c.test.', 'd.test.', '1.0.0.10.in-addr.arpa.'].filter(
      (name) => !knowAlike(before, after, name),
    );
    assert.deepEqual(differ, ['b.test.', 'x.c.test.', '1.0.0.10.in-addr.arpa.']);
  });
});

it('a long text is parsed in many turns, to the same table', () => {
  const text = Array.from({ length: 5_000 }, (_, index) => `10.0.${index >> 8}.${index & 255} n${index}.test`).join(
    '\n',
  );
  const scope = { zones: ['.'], reverse: true };
  const turns = parseHostsInSlices([text], scope);
  let count = 0;
  let turn = turns.next();
  for (; turn.done !== true; turn = turns.next()) count++;
  assert.equal(count, 100);
  const whole = parseHosts(text, scope);
  assert.deepEqual([...turn.value.names()], [...whole.names()]);
  for (const name of whole.names()) assert.ok(knowAlike(turn.value, whole, name));
});
