import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { shortened, tailLine, untoldText } from '../../src/control/tail-text.js';
import { watchedQuery } from './watched.js';

const plain = { isColored: false, columns: Number.POSITIVE_INFINITY };

describe('a line of tail', () => {
  it('says when, who, what, and how it went', () => {
    assert.equal(
      tailLine(watchedQuery(), plain),
      '03:04:05.678 10.244.0.7 web.default.svc.cluster.local. A NOERROR hit 0 ms',
    );
    assert.equal(
      tailLine(watchedQuery({ transport: 'tcp', origin: 'miss', rcode: 'SERVFAIL', durationMs: 1_912 }), plain),
      '03:04:05.678 10.244.0.7 web.default.svc.cluster.local. A SERVFAIL miss, tcp 1.9 s',
    );
  });

  it('fits a terminal, by a shorter name', () => {
    const name = `${'a'.repeat(60)}.${'b'.repeat(60)}.example.`;
    const line = tailLine(watchedQuery({ name }), { isColored: false, columns: 80 });
    assert.equal(line.length, 80);
    assert.match(line, / a+…b*\.example\. A NOERROR hit 0 ms$/);
    assert.ok(tailLine(watchedQuery({ name }), { isColored: false, columns: 10 }).length < 80);
  });

  it('has colors for rcodes, and is the same text without', () => {
    const query = watchedQuery({ rcode: 'SERVFAIL' });
    const line = tailLine(query, { ...plain, isColored: true });
    assert.ok(line.includes('\x1b[31mSERVFAIL\x1b[0m'));
    assert.equal(stripVTControlCharacters(line), tailLine(query, plain));
  });

  it('lets no terminal control through, even from a server that is not ours', () => {
    const line = tailLine(watchedQuery({ name: '\x1b]0;x\x07', client: '\x9b2J', type: '\u202e', rcode: '\r' }), plain);
    assert.match(line, /^[\x20-\x7e]+$/);
  });
});

describe('what was left out', () => {
  const untold = { sampledOut: 0, lost: 0, byKernel: 0, unread: 0, hitsOneIn: 1 };

  it('is one line, or none', () => {
    assert.equal(untoldText({ queries: [], untold: null }), '');
    assert.equal(untoldText({ queries: [], untold }), '');
    assert.equal(
      untoldText({ queries: [], untold: { ...untold, sampledOut: 12_345, hitsOneIn: 16, byKernel: 7 } }),
      'not shown: 12,345 hits were sampled out (one in 16 is shown); 7 were given by the kernel, which shows none.',
    );
    assert.match(
      untoldText({ queries: [], untold: { ...untold, unread: 3, lost: 1 } }),
      /1 answers? came.*; 3 were dropped/,
    );
  });
});

describe('shortened', () => {
  it('keeps both ends', () => {
    assert.equal(shortened('abcdefghij', 10), 'abcdefghij');
    assert.equal(shortened('abcdefghij', 7), 'abc…hij');
    assert.equal(shortened('abcdefghij', 1), '…');
  });
});
