import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readArguments, type Wishes } from '../../bench/arguments.js';

const workloads = ['cached', 'uncached'];

function wishes(...words: string[]): Wishes {
  const reading = readArguments(words, workloads);
  assert.ok('wishes' in reading, JSON.stringify(reading));
  return reading.wishes;
}

test('without arguments it is five rounds of everything', () => {
  assert.deepEqual(wishes(), {
    micro: false,
    quick: false,
    rounds: 5,
    seconds: 5,
    only: null,
    against: null,
    results: null,
  });
});

test('--quick is fewer and shorter rounds, unless told otherwise', () => {
  const quick = wishes('--quick');
  assert.ok(quick.rounds < 5 && quick.seconds < 5);
  assert.deepEqual(wishes('--quick', '--rounds', '7'), { ...quick, rounds: 7 });
  assert.deepEqual(wishes('--seconds=0.5', '--quick'), { ...quick, seconds: 0.5 });
});

test('the rest is taken as it is', () => {
  const { only, against, results, micro } = wishes(
    '--only',
    'uncached',
    '--against=HEAD~1',
    '--results',
    'x',
    '--micro',
  );
  assert.deepEqual([only, against, results, micro], ['uncached', 'HEAD~1', 'x', true]);
});

test('what cannot be is one sentence that says what can', () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--rounds', '0'], /--rounds takes a whole number from 1 to 99/],
    [['--rounds', '2.5'], /--rounds/],
    [['--rounds', ''], /--rounds/],
    [['--rounds=many'], /--rounds/],
    [['--seconds', '0'], /--seconds takes a number from 0\.1 to 600/],
    [['--seconds', '-1'], /--seconds/],
    [['--seconds=NaN'], /--seconds/],
    [['--seconds', '601'], /--seconds/],
    [['--only', 'cache'], /--only takes one of cached, uncached, not cache/],
    [['--only'], /--only/],
    [['--speed'], /--speed/],
    [['fast'], /fast/],
  ];
  for (const [words, sentence] of cases) {
    const reading = readArguments(words, workloads);
    assert.match('usage' in reading ? reading.usage : '', sentence, words.join(' '));
  }
});

test('--help names every option and workload', () => {
  for (const word of ['--help', '-h']) {
    const reading = readArguments([word], workloads);
    assert.ok('help' in reading);
    for (const option of ['--quick', '--rounds', '--seconds', '--only', '--against', '--results', '--micro']) {
      assert.ok(reading.help.includes(option), option);
    }
    assert.ok(reading.help.includes('cached, uncached'));
  }
});
