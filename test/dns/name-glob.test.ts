import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { fitsGlob, readNameGlob } from '../../src/dns/name-glob.js';

const fits = (name: string, pattern: string): boolean => fitsGlob(name, readNameGlob(pattern)!);

describe('a pattern of names', () => {
  it('is a name, in any case, with or without the closing dot', () => {
    assert.ok(fits('WEB.example.', 'web.EXAMPLE'));
    assert.ok(fits('web.example.', 'web.example.'));
    assert.ok(!fits('web.example.', 'example'));
    assert.ok(!fits('web.example.', 'web.exampl'));
    assert.ok(fits('.', '.') && fits('.', '*'));
  });

  it('has stars for any characters, dots included, and question marks for one', () => {
    assert.ok(fits('a.b.svc.cluster.local.', '*.svc.*'));
    assert.ok(fits('a.b.example.com.', '*.example.com'));
    assert.ok(!fits('example.com.', '*.example.com'));
    assert.ok(fits('web-1.example.', 'web-?.example'));
    assert.ok(!fits('web-12.example.', 'web-?.example'));
    assert.ok(fits('aaab.', '*a*b') && !fits('aaac.', '*a*b'));
  });

  it('takes escapes as they are written', () => {
    assert.ok(fits('a\\027b.example.', 'a\\027b.example'));
  });

  it('has a length', () => {
    assert.equal(readNameGlob(''), undefined);
    assert.equal(readNameGlob('a'.repeat(1_021)), undefined);
  });

  it('fits what a regular expression fits', () => {
    const letters = fc.array(fc.constantFrom('a', 'b', '.', '*', '?'), { minLength: 1, maxLength: 12 });
    const names = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 12 });
    fc.assert(
      fc.property(letters, names, (pattern, name) => {
        const glob = readNameGlob(pattern.join(''))!;
        const expression = [...glob].map((each) => ({ '*': '.*', '?': '.', '.': '\\.' })[each] ?? each).join('');
        const text = name.join('');
        assert.equal(fitsGlob(text, glob), new RegExp(`^${expression}$`).test(text), `${text} ${glob}`);
      }),
    );
  });

  it('does not run away', () => {
    const glob = readNameGlob(`${'*a'.repeat(400)}b`)!;
    assert.equal(fitsGlob(`${'a'.repeat(1_000)}.`, glob), false);
  });
});
