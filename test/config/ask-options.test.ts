import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askOptions, readFlush, readQuestionName, readQuestionType, readWalk } from '../../src/config/ask-options.js';
import { readFlags } from '../../src/config/flag-reader.js';
import { parseFlags } from '../../src/config/flags.js';

function usage(...argv: string[]): string {
  const command = parseFlags(argv, {});
  assert.equal(command.kind, 'usage', JSON.stringify(command));
  return command.kind === 'usage' ? command.message : '';
}

function asked(...argv: string[]): unknown {
  const command = parseFlags(argv, {});
  assert.equal(command.kind, 'ask', JSON.stringify(command));
  return command.kind === 'ask' ? command.question : null;
}

test('commands become questions', () => {
  assert.deepEqual(asked('status'), { command: 'status' });
  const lookup = { command: 'lookup', name: 'www.example.com.', type: 'A', isAsked: false };
  assert.deepEqual(asked('lookup', 'WWW.example.com'), lookup);
  assert.deepEqual(asked('lookup', '-ask', 'www.example.com.', 'aaaa'), { ...lookup, type: 'AAAA', isAsked: true });
  assert.deepEqual(asked('explain', 'db.prod'), {
    ...{ command: 'explain', name: 'db.prod', ndots: 5 },
    search: ['default.svc.cluster.local.', 'svc.cluster.local.', 'cluster.local.'],
  });
  assert.deepEqual(asked('explain', '-search', 'a.test, b.test', '-ndots=1', 'x.'), {
    ...{ command: 'explain', name: 'x.', ndots: 1, search: ['a.test.', 'b.test.'] },
  });
  assert.deepEqual(asked('explain', '-search=.', 'x'), { command: 'explain', name: 'x', ndots: 5, search: ['.'] });
  assert.deepEqual(asked('flush', 'a.test'), { command: 'flush', name: 'a.test.' });
  assert.deepEqual(asked('flush', '-zone', 'Test'), { command: 'flush', zone: 'test.' });
});

test('what cannot be asked is one sentence', () => {
  const noName = '"a..b" is not a domain name; write one such as www.example.com.';
  for (const argv of [
    ['lookup', 'a..b'],
    ['explain', 'a..b'],
    ['flush', 'a..b'],
    ['flush', '-zone', 'a..b'],
  ]) {
    assert.equal(usage(...argv), noName);
  }
  assert.equal(usage('lookup', 'a\x1b[31m..'), '"a?[31m.." is not a domain name; write one such as www.example.com.');
  assert.equal(usage('lookup', 'a', 'b'), '"b" is not a record type; write one such as A, AAAA, SRV or TYPE65.');
  assert.equal(usage('lookup'), '"zerohop lookup" needs one more word; write zerohop lookup NAME [TYPE] [flags].');
  assert.equal(usage('lookup', 'a', 'A', 'b'), '"zerohop lookup" takes two arguments; remove b.');
  assert.equal(usage('status', 'a'), '"zerohop status" takes no arguments; remove a.');
  assert.equal(usage('explain', 'a', 'b'), '"zerohop explain" takes one argument; remove b.');
  assert.equal(usage('explain', 'a', '-ndots', '99'), '-ndots "99" is not a number of dots; write 0 to 15.');
  assert.match(usage('explain', 'a', '-search', 'a,'.repeat(33)), /^-search has 33 domains; a pod has at most 32\.$/);
  assert.match(usage('flush'), /^"zerohop flush" needs a name or a zone; write zerohop flush NAME, or/);
  assert.match(usage('flush', 'a', '-zone', 'b'), /^"zerohop flush" takes a name or a zone, not both; write/);
  assert.match(usage('status', '-control='), /^-control is empty; write the path/);
  assert.match(usage('status', '-o', 'yaml'), /^-output "yaml" is unknown; write text or json\.$/);
  assert.match(usage('lookup', 'a', '-zone', 'b'), /^-zone is only for "zerohop flush"; remove it\.$/);
});

test('the parts are read one by one', () => {
  assert.equal(readQuestionName('\\046.Test'), '\\..test.');
  assert.equal(readQuestionType('type4711'), 'TYPE4711');
  const flags = readFlags(['-control', '/x.sock', '-o', 'json']);
  assert.deepEqual(askOptions(flags), { controlPath: '/x.sock', output: 'json' });
  assert.deepEqual(readFlush(['a'], flags), { command: 'flush', name: 'a.' });
  assert.deepEqual(readWalk('a\\.', flags), { ...readWalk('a\\.', flags), name: 'a\\.' });
});
