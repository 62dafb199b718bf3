import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../src/config/load.js';
import { settingsOf } from '../../../src/config/plugins.js';
import { hostsFileBytesMax } from '../../../src/limits.js';
import { openHostsFile, readHostsFile } from '../../../src/plugins/hosts/file.js';
import { hosts as hostsPlugin } from '../../../src/plugins/hosts/plugin.js';
import { findHost } from '../../../src/plugins/hosts/table.js';
import { loadOptions } from '../../resolve/context-fixture.js';
import { ManualClock } from '../../simulation/clock.js';

function piecesOf(bytes: Buffer, length: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / length) }, (_, index) =>
    bytes.subarray(index * length, (index + 1) * length),
  );
}

async function open(options: string, text?: string, pieceBytes = 10_000) {
  const clock = new ManualClock();
  const config = parseConfig(`. {\n hosts /f {\n ${options}\n }\n}`, 'Corefile', loadOptions);
  const hosts = settingsOf(config.blocks[0], hostsPlugin)!;
  const files = new Map<string, string>(text === undefined ? [] : [['/f', text]]);
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const changes: string[][] = [];
  const reads: string[] = [];
  const world = {
    clock,
    log: { debug: say, info: say, warn: say, error: say },
    look: { stat: (path: string) => files.get(path) },
    readPieces: async (path: string) => {
      reads.push(path);
      const now = files.get(path);
      return now === undefined ? undefined : piecesOf(Buffer.from(now), pieceBytes);
    },
  };
  const content = await clock.until(readHostsFile(hosts, world));
  const file = openHostsFile(
    hosts,
    world,
    content,
    (isAbout) => void changes.push(['a.test.', 'b.test.', 'in.test.'].filter(isAbout)),
  );
  const a = (name: string) => findHost(file.content.table, name).a;
  return { clock, config, hosts, world, files, lines, changes, reads, file, a };
}

describe('openHostsFile', () => {
  it('knows what the file says, and behind it what the Corefile says', async () => {
    const { a, lines, file } = await open('10.0.0.9 a.test in.test', '10.0.0.1 a.test\n');
    assert.deepEqual([a('a.test.'), a('in.test.')], [['10.0.0.1', '10.0.0.9'], ['10.0.0.9']]);
    assert.deepEqual(lines, []);
    assert.ok(file.content.readAtMs > 0);
  });

  it('reads it again when it has changed, and says which names that concerns', async () => {
    const { clock, files, a, changes, lines } = await open('10.0.0.9 in.test', '10.0.0.1 a.test\n10.0.0.2 b.test\n');
    files.set('/f', '10.0.0.1 a.test\n10.0.0.3 b.test\n');
    await clock.pass(6_000);
    assert.deepEqual([a('b.test.'), changes], [['10.0.0.3'], [['b.test.']]]);
    assert.deepEqual(lines, ['hosts: /f has changed']);
  });

  it('reads a large one again in turns, and answers by the one before in between', async () => {
    const lines = (net: number) =>
      Array.from({ length: 20_000 }, (_, index) => `10.${net}.${index >> 8}.${index & 255} n${index}.test\n`).join('');
    const { clock, files, a } = await open('reload 1s', `${lines(1)}10.9.9.1 a.test\n`);
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
    const { clock, files, a, changes, file } = await open('reload 1s', large('1'));
    files.set('/f', large('2'));
    await clock.pass(3_000);
    assert.deepEqual([a('a.test.'), changes.length], [['10.0.0.2'], 1]);
    files.set('/f', large('3'));
    file.stop();
    await clock.pass(3_000);
    assert.deepEqual(a('a.test.'), ['10.0.0.2']);
  });

  it('keeps what it has when the file is gone, and takes it up again when it is back', async () => {
    const { clock, files, a, changes, lines } = await open('10.0.0.9 in.test', '10.0.0.1 a.test\n');
    files.delete('/f');
    await clock.pass(11_000);
    assert.deepEqual([a('a.test.'), a('in.test.'), changes], [['10.0.0.1'], ['10.0.0.9'], []]);
    assert.match(lines[0], /^hosts at Corefile:2: \/f is not readable/u);
    files.set('/f', '10.0.0.2 a.test\n');
    await clock.pass(11_000);
    assert.deepEqual([a('a.test.'), changes], [['10.0.0.2'], [['a.test.']]]);
  });

  it('serves the Corefile’s lines without a file, and refuses one that is too large', async () => {
    const without = await open('10.0.0.9 in.test');
    assert.deepEqual([without.a('in.test.'), without.file.content.readAtMs], [['10.0.0.9'], 0]);
    const large = await open('10.0.0.9 in.test', '#'.repeat(hostsFileBytesMax + 1));
    assert.deepEqual(large.a('in.test.'), ['10.0.0.9']);
    assert.match(large.lines[0], /too large/u);
  });

  it('is not looked at where that is not wished, nor after the end', async () => {
    const never = await open('reload 0', '10.0.0.1 a.test\n');
    never.files.set('/f', '');
    await never.clock.pass(60_000);
    assert.deepEqual(never.a('a.test.'), ['10.0.0.1']);
    const ended = await open('reload 1s', '10.0.0.1 a.test\n');
    ended.file.stop();
    ended.files.set('/f', '');
    await ended.clock.pass(60_000);
    assert.deepEqual(ended.a('a.test.'), ['10.0.0.1']);
  });

  it('does not take what is the same for a change, and reads it only where it looks another', async () => {
    const { clock, files, world, lines, changes, reads } = await open('reload 1s', '10.0.0.1 a.test\n');
    await clock.pass(10_000);
    assert.equal(reads.length, 1);
    let touched = 'once';
    world.look.stat = (path) => files.get(path) && `${files.get(path)} ${touched}`;
    await clock.pass(5_000);
    assert.equal(reads.length, 2);
    touched = 'twice';
    await clock.pass(5_000);
    assert.deepEqual([reads.length, lines, changes], [3, [], []]);
  });

  it('takes notice of a change between reading and watching', async () => {
    const { clock, files, hosts, world } = await open('reload 1s', '10.0.0.1 a.test\n');
    const content = await clock.until(readHostsFile(hosts, world));
    files.set('/f', '10.0.0.2 a.test\n');
    const later = openHostsFile(hosts, world, content, () => {});
    await clock.pass(1);
    assert.deepEqual(findHost(later.content.table, 'a.test.').a, ['10.0.0.2']);
  });

  it('reads by itself where nobody has read for it', async () => {
    const { clock, hosts, world } = await open('10.0.0.9 in.test', '10.0.0.1 a.test\n');
    const file = openHostsFile(hosts, world, undefined, () => {});
    assert.deepEqual(findHost(file.content.table, 'in.test.').a, ['10.0.0.9']);
    await clock.pass(1);
    assert.deepEqual(findHost(file.content.table, 'a.test.').a, ['10.0.0.1']);
  });
});

describe('readAllHosts', () => {
  it('reads the same in whatever pieces a file comes', async () => {
    const long = `10.0.0.4 ${'x'.repeat(9_000)} after.test`;
    const text = `10.0.0.1 a.test  b.test\n# 10.0.0.9 no.test\r\n\t10.0.0.2\tc.test #d.test\n${long}\n10.0.0.3 é.test f.test`;
    const tables = new Set<string>();
    for (const pieceBytes of [1, 2, 3, 5, 17, 4_000, 4_097, 100_000]) {
      const { file } = await open('10.0.0.8 in.test\n fallthrough', text, pieceBytes);
      const { table } = file.content;
      tables.add(JSON.stringify([...table.names()].map((name) => [name, findHost(table, name)])));
    }
    assert.equal(tables.size, 1);
    for (const name of ['b.test.', 'c.test.', 'after.test.', '\\195\\169.test.', 'f.test.', 'in.test.']) {
      assert.ok([...tables][0].includes(JSON.stringify(name)), name);
    }
  });

  it('gives up when nobody wants to know any more', async () => {
    const { clock, hosts, world } = await open('10.0.0.9 in.test', '10.0.0.1 a.test\n'.repeat(5_000));
    let asked = 0;
    const content = await clock.until(readHostsFile(hosts, world, () => ++asked > 3));
    assert.deepEqual([...content.table.names()], ['in.test.', '9.0.0.10.in-addr.arpa.']);
    assert.ok(asked < 6, `${asked}`);
  });
});
