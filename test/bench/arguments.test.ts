import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readArguments, type Wishes } from '../../bench/arguments.js';

const choices = { workloads: ['cached', 'uncached'], servers: ['unbound', 'knot'] };

function wishes(...words: string[]): Wishes {
  const reading = readArguments(words, choices);
  assert.ok('wishes' in reading, JSON.stringify(reading));
  return reading.wishes;
}

test('without arguments it is five rounds of everything', () => {
  assert.deepEqual(wishes(), {
    micro: false,
    quick: false,
    rounds: 5,
    seconds: 1.5,
    only: null,
    rate: null,
    servers: null,
    peers: [],
    against: null,
    lane: false,
    walks: false,
    watched: false,
    soak: null,
    report: null,
    results: null,
  });
});

test('--quick is fewer and shorter rounds, unless told otherwise', () => {
  const quick = wishes('--quick');
  assert.ok(quick.rounds < 5 && quick.seconds < 1.5);
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

test('rates, servers, peers and the soak are read', () => {
  assert.equal(wishes('--rate', '20000').rate, 20_000);
  assert.equal(wishes('--rate=max').rate, 'saturated');
  assert.deepEqual(wishes('--servers=knot,unbound').servers, ['knot', 'unbound']);
  assert.deepEqual(wishes('--peer', 'node-cache=/a=b', '--peer=old=/c').peers, [
    { name: 'node-cache', path: '/a=b' },
    { name: 'old', path: '/c' },
  ]);
  assert.equal(wishes('--soak', '300').soak, 300);
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
    [['--rate', '0'], /--rate takes a whole number of questions a second from 1 to 1000000, or max/],
    [['--rate', 'fast'], /--rate/],
    [['--rate', '1.5'], /--rate/],
    [['--servers', 'unbound,bind'], /--servers takes unbound,knot, not bind/],
    [['--servers', ''], /--servers/],
    [['--peer', 'node-cache'], /--peer takes NAME=PATH/],
    [['--peer', '=/bin/node-cache'], /--peer/],
    [['--peer', 'a='], /--peer/],
    [['--peer', 'a=/a', '--peer', 'a=/b'], /a name that no other server has/],
    [['--peer', 'knot=/a'], /a name that no other server has/],
    [['--soak', '9'], /--soak takes a number of seconds from 10 to 86400/],
    [['--soak', 'long'], /--soak/],
    [['--speed'], /--speed/],
    [['fast'], /fast/],
  ];
  for (const [words, sentence] of cases) {
    const reading = readArguments(words, choices);
    assert.match('usage' in reading ? reading.usage : '', sentence, words.join(' '));
  }
});

test('--help names every option and workload', () => {
  for (const word of ['--help', '-h']) {
    const reading = readArguments([word], choices);
    assert.ok('help' in reading);
    for (const option of [
      '--quick',
      '--rounds',
      '--rate',
      '--servers',
      '--peer',
      '--soak',
      '--watched',
      '--against',
      '--results',
      '--micro',
    ]) {
      assert.ok(reading.help.includes(option), option);
    }
    assert.ok(reading.help.includes('cached, uncached') && reading.help.includes('unbound, knot'));
  }
});
