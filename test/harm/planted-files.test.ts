/**
 * A local user who may write where our files lie puts links, pipes and files of their own there: nothing that they
 * lead to is written, nothing that others may write is read, and the program serves all the same.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { snapshotBytesMax } from '../../src/limits.js';
import { eventually, output, start } from '../real/commands.js';
import { freePort } from '../real/packets.js';
import { entry, logLines } from '../real/zerohop.js';

const root = mkdtempSync(join(tmpdir(), 'zerohop-planted-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;

interface Planted {
  readonly folder: string;
  readonly cache: string;
  readonly pidFile: string;
  readonly corefile: string;
}

/** A folder with a template for the Corefile. */
async function newFolder(): Promise<Planted> {
  const folder = join(root, String(++folders));
  mkdirSync(folder);
  const port = await freePort();
  writeFileSync(join(folder, 'base'), `.:${port} {\n    bind 127.0.0.1\n    whoami\n}\n`);
  const [cache, pidFile, corefile] = ['cache', 'pid', 'Corefile'].map((name) => join(folder, name));
  return { folder, cache, pidFile, corefile };
}

/** Runs it until it has served and stopped; the shell plants first, and has the process id of the program. */
async function serveOnce({ folder, cache, pidFile, corefile }: Planted, plant = ':'): Promise<string[]> {
  const flags = ['-localip', '127.0.0.1', '-setupinterface=false', '-setupiptables=false', '-handover=', '-control='];
  flags.push('-metrics-listen-address', `127.0.0.1:${await freePort()}`, '-basecorefile', join(folder, 'base'));
  flags.push('-conf', corefile, '-cachefile', cache, '-pidfile', pidFile);
  const script = `cd '${folder}' && ${plant}; exec "$@"`;
  const program = start(['sh', '-c', script, 'sh', ...entry, ...flags]);
  await eventually('it serves', () => (program.stdout().includes(' serves on ') ? true : undefined)).catch(() => {});
  const { status, stdout, stderr } = await program.stop();
  assert.equal(status, 0, stderr + stdout);
  return logLines(stdout).map(({ msg }) => msg);
}

const complaints = (lines: readonly string[]): string[] => lines.filter((line) => /snapshot|pidfile/u.test(line));

describe('files that a local user has planted', () => {
  /** What root has and others must not change. */
  const victim = join(root, 'victim');
  before(() => writeFileSync(victim, 'precious'));

  test('links where temporary files of the process were: nothing is written through them', async () => {
    const planted = await newFolder();
    const links = ['cache', 'Corefile', 'pid'].map((name) => `ln -s '${victim}' ${name}.$$.new`);
    await serveOnce(planted, links.join('; '));
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
    assert.ok(lstatSync(planted.cache).isFile());
    assert.match(readFileSync(planted.corefile, 'utf8'), /whoami/u);
  });

  test('links and second names where the files themselves are: they are replaced, not followed', async () => {
    for (const plant of [symlinkSync, linkSync]) {
      const planted = await newFolder();
      plant(victim, planted.pidFile);
      plant(victim, planted.corefile);
      plant(victim, planted.cache);
      await serveOnce(planted);
      assert.equal(readFileSync(victim, 'utf8'), 'precious', plant.name);
      assert.equal(lstatSync(planted.cache).mode & 0o7777, 0o600);
    }
  });

  test('what others could have written is not read as the cache, and each reason is said', async () => {
    const planted = await newFolder();
    await serveOnce(planted);
    const good = readFileSync(planted.cache);
    const own = join(planted.folder, 'own');
    writeFileSync(own, good, { mode: 0o600 });
    const plants: [RegExp, () => unknown][] = [
      [/a symbolic link/u, () => symlinkSync(own, planted.cache)],
      [/not a regular file/u, () => output(['mkfifo', planted.cache])],
      [/not a regular file/u, () => mkdirSync(planted.cache)],
      [/writable by other users/u, () => writeMode(planted.cache, good, 0o666)],
      [/writable by other users/u, () => writeMode(planted.cache, good, 0o620)],
      [/larger than \d+ bytes/u, () => large(planted.cache)],
    ];
    if (process.getuid?.() === 0) {
      plants.push([/owned by user 4711/u, () => chownSync(written(planted.cache, good), 4711, 4711)]);
    }
    for (const [why, plant] of plants) {
      rmSync(planted.cache, { recursive: true, force: true });
      await plant();
      const [first, ...others] = complaints(await serveOnce(planted));
      assert.match(first, why);
      assert.match(first, /^not using the cache snapshot \S+: /u);
      // A folder cannot be replaced by a file; anything else is, and is as good as new.
      if (others.length === 0)
        assert.equal(complaints(await serveOnce(planted)).join(), `cache loaded from snapshot ${planted.cache}`);
      else assert.match(others.join('\n'), /cannot write/u);
    }
  });

  test('what a killed instance has left beside the file goes; what another one writes now stays', async () => {
    const planted = await newFolder();
    const [old, older, fresh, foreign] = [
      'cache.0123456789abcdef.new',
      'cache.1.new',
      'cache.fedcba9876543210.new',
      'cache.old.new',
    ].map((name) => join(planted.folder, name));
    for (const path of [old, older, fresh, foreign]) writeFileSync(path, 'half');
    for (const path of [old, older, foreign]) utimesSync(path, 1, 1);
    await serveOnce(planted);
    assert.deepEqual([old, older, fresh, foreign].map(existsSync), [false, false, true, true]);
    const rest = readdirSync(planted.folder).sort();
    assert.deepEqual(rest, ['Corefile', 'base', 'cache', 'cache.fedcba9876543210.new', 'cache.old.new']);
  });
});

function writeMode(path: string, bytes: Uint8Array, mode: number): void {
  chmodSync(written(path, bytes), mode);
}

function written(path: string, bytes: Uint8Array): string {
  writeFileSync(path, bytes, { mode: 0o600 });
  return path;
}

function large(path: string): void {
  written(path, new Uint8Array(0));
  truncateSync(path, snapshotBytesMax + 1);
}
