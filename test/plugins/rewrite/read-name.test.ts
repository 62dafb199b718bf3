import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf } from '../../../src/config/plugins.js';
import type { NameChange } from '../../../src/plugins/rewrite/name-rules.js';
import { rewrite } from '../../../src/plugins/rewrite/plugin.js';
import { blockOf, warningsOf } from '../../config/options.js';

function name(words: string): NameChange {
  return settingsOf(blockOf('forward . 10.0.0.1', `rewrite name ${words}`), rewrite)![0].change as NameChange;
}

const refuses = (words: string, message: RegExp) => assert.throws(() => name(words), { message }, words);

test('exact and suffix are about whole names; prefix and substring are taken as written', () => {
  const parts = (words: string) => {
    const { match, to } = name(words);
    return [match.how, match.how === 'regex' ? match.pattern.source : match.text, to];
  };
  assert.deepEqual(parts('RED Blue'), ['exact', 'red.', 'blue.']);
  assert.deepEqual(parts('exact red. blue.'), ['exact', 'red.', 'blue.']);
  assert.deepEqual(parts('suffix .schmoogle.com. .google.com'), ['suffix', '.schmoogle.com.', '.google.com.']);
  assert.deepEqual(parts('prefix API- svc-'), ['prefix', 'api-', 'svc-']);
  const west = 'service.us-west-1.example.org';
  assert.deepEqual(parts(`substring ${west} service.us-west-1.consul`), [
    'substring',
    west,
    'service.us-west-1.consul',
  ]);
  assert.deepEqual(parts('regex (.*)-(us-west-1)\\.example\\.org {1}.service.{2}.consul'), [
    'regex',
    '(.*)-(us-west-1)\\.example\\.org',
    '{1}.service.{2}.consul.',
  ]);
});

test('a way to match that stands alone is a name', () => {
  assert.deepEqual(name('regex exact').match, { how: 'exact', text: 'regex.' });
});

test('an exact rule is undone in the answer, others where they say answer auto', () => {
  assert.equal(name('exact a b').isUndone, true);
  assert.equal(name('suffix .a .b').isUndone, false);
  for (const how of ['prefix', 'suffix', 'substring', 'regex']) {
    assert.equal(name(`${how} a b answer auto`).isUndone, true);
  }
});

test('answers may say more, one behind the other, with answer written once or each time', () => {
  const brief = name('regex a b answer name (.*)\\.b {1}.a value (.*)\\.d {1}.c');
  const long = name('regex a b answer name (.*)\\.b {1}.a answer value (.*)\\.d {1}.c');
  assert.deepEqual(brief, long);
  assert.deepEqual(
    long.answers.map(({ part, pattern, to }) => [part, pattern.source, to]),
    [
      ['name', '(.*)\\.b', '{1}.a.'],
      ['value', '(.*)\\.d', '{1}.c.'],
    ],
  );
  assert.deepEqual(name('suffix .a .b answer auto value x y').answers.length, 1);
});

test('what is wrong is refused', () => {
  refuses('a', /^\/etc\/Corefile:3: rewrite name: expects \[exact/u);
  refuses('exact', /expects \[exact/u);
  refuses('exact a b..c', /has an empty label/u);
  refuses('prefix "" b', /the name to match is empty/u);
  refuses('regex [ b', /"\[" is not a usable pattern/u);
  refuses('regex (.*).a {1}.{2}.a', /"\{1\}\.\{2\}\.a" uses \{2\}, but its pattern has 1 groups/u);
  refuses(`regex ${'a'.repeat(1001)} b`, /a pattern may have 1000 characters at most/u);
  refuses('suffix a b c', /"c" is unexpected; only "answer …" may follow/u);
  refuses('suffix a b answer', /a value is missing after answer/u);
  refuses('suffix a b answer name', /answer name expects FROM TO/u);
  refuses('suffix a b answer value x', /answer value expects FROM TO/u);
  refuses('suffix a b answer other', /answer must be auto, name or value, not "other"/u);
  refuses('suffix a b answer name x y z', /answer must be auto, name or value, not "z"/u);
  refuses('regex a b answer name (.*).b {1}.{2}', /uses \{2\}/u);
  refuses('suffix a b answer auto answer name x y', /contradict each other/u);
});

test('a pattern that V8 would take very long for is no worse than others; one that is too large is refused', () => {
  assert.deepEqual(warningsOf('. {\nforward . 10.0.0.1\nrewrite name regex ^(a+)+$ b\n}\n'), []);
  refuses(`regex (${'ab'.repeat(200)}){30} b`, /is not a usable pattern: too many repetitions/u);
});
