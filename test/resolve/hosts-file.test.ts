import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { hostsFileCharactersMax } from '../../src/limits.js';
import { openHostsFile } from '../../src/resolve/hosts-file.js';
import { findHost } from '../../src/resolve/hosts-table.js';
import { ManualClock } from '../simulation/clock.js';
import { loadOptions } from './lane-fixture.js';

function open(options: string, text?: string) {
  const { hosts } = parseConfig(`. {\n hosts /f {\n ${options}\n }\n}`, 'Corefile', loadOptions).blocks[0];
  assert.ok(hosts);
  const clock = new ManualClock();
  const files = new Map<string, string>(text === undefined ? [] : [['/f', text]]);
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const changes: string[][] = [];
  const file = openHostsFile(
    hosts,
    {
      clock,
      log: { debug: say, info: say, warn: say, error: say },
      look: { stat: (path) => files.get(path), digest: (path) => files.get(path) },
      readFile: (path) => files.get(path),
    },
    (isAbout) => void changes.push(['a.test.', 'b.test.', 'in.test.'].filter(isAbout)),
  );
  return { clock, files, lines, changes, file, a: (name: string) => findHost(file.table, name).a };
}

describe('openHostsFile', () => {
  it('knows what the file says, and behind it what the Corefile says', () => {
    const { a, lines, file } = open('10.0.0.9 a.test in.test', '10.0.0.1 a.test\n');
    assert.deepEqual([a('a.test.'), a('in.test.')], [['10.0.0.1', '10.0.0.9'], ['10.0.0.9']]);
    assert.deepEqual(lines, []);
    assert.ok(file.readAtMs > 0);
  });

  it('reads it again when it has changed, and says which names that concerns', async () => {
    const { clock, files, a, changes, lines } = open('10.0.0.9 in.test', '10.0.0.1 a.test\n10.0.0.2 b.test\n');
    files.set('/f', '10.0.0.1 a.test\n10.0.0.3 b.test\n');
    await clock.pass(6_000);
    assert.deepEqual([a('b.test.'), changes], [['10.0.0.3'], [['b.test.']]]);
    assert.deepEqual(lines, ['hosts: /f has changed']);
  });

  it('reads a large one again in turns, and answers by the one before in between', async () => {
    const lines = (net: number) =>
      Array.from({ length: 20_000 }, (_, index) => `10.${net}.${index >> 8}.${index & 255} n${index}.test\n`).join('');
    const { clock, files, a } = open('reload 1s', `${lines(1)}10.9.9.1 a.test\n`);
    files.set('/f', `${lines(2)}10.9.9.2 a.test\n`);
    const inBetween: string[] = [];
    const later = clock.after.bind(clock);
    clock.after = (ms, run) => {
      if (ms === 0) inBetween.push(...a('n0.test.'), ...a('a.test.'));
      return later(ms, run);
    };
    await clock.pass(5_000);
    assert.deepEqual(a('a.test.'), ['10.9.9.2']);
    assert.ok(inBetween.length >= 80, 'some forty turns');
    assert.deepEqual([...new Set(inBetween)], ['10.1.0.0', '10.9.9.1']);
    assert.deepEqual(a('n0.test.'), ['10.2.0.0']);
  });

  it('a change while it is read begins anew, and after the end nothing goes on', async () => {
    const large = (last: string) => `${'10.0.0.1 x.test\n'.repeat(10_000)}10.0.0.${last} a.test\n`;
    const { clock, files, a, changes, file } = open('reload 1s', large('1'));
    files.set('/f', large('2'));
    await clock.pass(3_000);
    assert.deepEqual([a('a.test.'), changes.length], [['10.0.0.2'], 1]);
    files.set('/f', large('3'));
    file.stop();
    await clock.pass(3_000);
    assert.deepEqual(a('a.test.'), ['10.0.0.2']);
  });

  it('keeps what it has when the file is gone, and takes it up again when it is back', async () => {
    const { clock, files, a, changes, lines } = open('10.0.0.9 in.test', '10.0.0.1 a.test\n');
    files.delete('/f');
    await clock.pass(11_000);
    assert.deepEqual([a('a.test.'), a('in.test.'), changes], [['10.0.0.1'], ['10.0.0.9'], []]);
    assert.match(lines[0], /^hosts at Corefile:2: \/f cannot be read/u);
    files.set('/f', '10.0.0.2 a.test\n');
    await clock.pass(11_000);
    assert.deepEqual([a('a.test.'), changes], [['10.0.0.2'], [['a.test.']]]);
  });

  it('serves the Corefile’s lines without a file, and refuses one that is too large', () => {
    const without = open('10.0.0.9 in.test');
    assert.deepEqual([without.a('in.test.'), without.file.readAtMs], [['10.0.0.9'], 0]);
    const large = open('10.0.0.9 in.test', '#'.repeat(hostsFileCharactersMax + 1));
    assert.deepEqual(large.a('in.test.'), ['10.0.0.9']);
    assert.match(large.lines[0], /too large/u);
  });

  it('is not looked at where that is not wished, nor after the end', async () => {
    const never = open('reload 0', '10.0.0.1 a.test\n');
    never.files.set('/f', '');
    await never.clock.pass(60_000);
    assert.deepEqual(never.a('a.test.'), ['10.0.0.1']);
    const ended = open('reload 1s', '10.0.0.1 a.test\n');
    ended.file.stop();
    ended.files.set('/f', '');
    await ended.clock.pass(60_000);
    assert.deepEqual(ended.a('a.test.'), ['10.0.0.1']);
  });
});
