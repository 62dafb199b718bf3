/**
 * The commands as an operator runs them: processes that ask a running zerohop over its control socket. And everything
 * that may be wrong with the socket, each in one sentence with its exit code.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { controlConnectionsMax, keeperPeriodMs } from '../../src/limits.js';
import { eventually, type Finished, needs, run, start } from './commands.js';
import { newSpot, type Spot } from './several.js';
import { entry, ioPath } from './zerohop.js';

const folder = mkdtempSync(join(tmpdir(), 'zerohop-control-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command of ours to its end. */
function zerohop(path: string, ...argv: string[]): Promise<Finished> {
  return run([...entry, ...argv, '-control', path]);
}

async function refuses(path: string, sentence: RegExp, ...argv: string[]): Promise<void> {
  const { status, stdout, stderr } = await zerohop(path, ...(argv.length === 0 ? ['status'] : argv));
  assert.deepEqual([status, stdout], [1, ''], stderr);
  assert.match(stderr, sentence);
  assert.equal(stderr.trimEnd().split('\n').length, 1, 'one sentence');
}

/** What every control sequence of a terminal begins with. */
const escapeCharacter = '\x1b';

const fits = (text: string): boolean => text.split('\n').every((line) => line.length <= 80);

describe('a running zerohop', () => {
  let spot: Spot;
  before(async () => {
    spot = await newSpot();
    await spot.start();
  });
  after(() => spot?.remove());
  const asks = (...argv: string[]) => zerohop(spot.controlPath, ...argv);
  const answers = async (...argv: string[]): Promise<string> => {
    const { status, stdout, stderr } = await asks(...argv);
    assert.deepEqual([status, stderr], [0, ''], stdout);
    assert.ok(fits(stdout), stdout);
    assert.ok(!stdout.includes(escapeCharacter), stdout);
    return stdout;
  };
  const json = async (...argv: string[]) => JSON.parse((await asks(...argv, '-o', 'json')).stdout);

  test('has a socket for its owner alone', () => {
    assert.equal(statSync(spot.controlPath).mode & 0o777, 0o600);
  });

  test('status', async () => {
    assert.match(await answers('status'), /^zerohop \S+ serves, pid \d+, up .*\n {2}stand-bys +none\n/);
    const { schema, role, listeners, upstreams } = await json('status');
    assert.deepEqual([schema, role, listeners.length, upstreams.length], [1, 'serving', 1, 1]);
  });

  test('lookup, and with -ask as a client', async () => {
    assert.match(await answers('lookup', 'a.corpus.test'), /^a\.corpus\.test\. A\n {2}block .*\n[\s\S]*nothing cached/);
    const asked = await answers('lookup', '-ask', 'a.corpus.test');
    assert.match(asked, /asked 127\.0\.0\.1:\d+ over UDP: NOERROR after [\d.]+ ms\n {4}a\.corpus\.test\. +\d+ +A /);
    const { homes } = await json('lookup', 'a.corpus.test');
    assert.deepEqual([homes[0].outlook, homes[0].entries.length], ['cache', 1]);
    assert.match(await answers('lookup', 'a.corpus.test'), /cached: NOERROR, \d+ s left of \d+ s\n/);
  });

  test('explain', async () => {
    const text = await answers('explain', 'db.prod', '-search', 'a.test,b.test', '-ndots', '2');
    assert.match(text, /^db\.prod as a pod asks for it at dns:.*\n.*\n\n 1\. db\.prod\.a\.test\.\n/);
    assert.deepEqual(
      (await json('explain', 'db.prod', '-search', 'a.test,b.test')).steps.map(({ name }: { name: string }) => name),
      ['db.prod.a.test.', 'db.prod.b.test.', 'db.prod.'],
    );
  });

  test('flush', async () => {
    await answers('lookup', '-ask', 'b.corpus.test');
    assert.equal(await answers('flush', 'b.corpus.test'), 'dropped 1 cached answer of b.corpus.test.\n');
    assert.match(await answers('lookup', 'b.corpus.test'), /nothing cached/);
    for (const name of ['c', 'd']) await answers('lookup', '-ask', `${name}.below.corpus.test`);
    assert.equal(
      await answers('flush', '-zone', 'below.corpus.test'),
      'dropped 2 cached answers at and below below.corpus.test.\n',
    );
    assert.equal((await json('flush', '-zone', '.')).zone, '.');
  });

  test('wrong usage ends with 2, and steers no terminal', async () => {
    const bad = [['lookup', 'a..b'], ['lookup', 'a\x1b]0;evil\x07..'], ['flush'], ['explain'], ['lookup', 'a', 'NONE']];
    for (const argv of bad) {
      const { status, stdout, stderr } = await asks(...argv);
      assert.deepEqual([status, stdout], [2, '']);
      assert.match(stderr, /^zerohop: .+\n$/);
      assert.ok(!stderr.includes(escapeCharacter), stderr);
    }
    const { stdout } = await asks('lookup', 'a\\027[31m.test');
    assert.match(stdout, /^a\\027\[31m\.test\. A\n/);
  });

  test('colors are for those who ask for them', async () => {
    const color = await run(['env', 'FORCE_COLOR=1', ...entry, 'status', '-control', spot.controlPath]);
    assert.ok(color.stdout.startsWith(`${escapeCharacter}[1mzerohop`), color.stdout);
    const none = await run(['env', 'FORCE_COLOR=1', 'NO_COLOR=1', ...entry, 'status', '-control', spot.controlPath]);
    assert.ok(!none.stdout.includes(escapeCharacter), none.stdout);
  });

  test('clients that are broken, silent or too many cost nothing and are told', async () => {
    const sockets = new Set<Socket>();
    let isHolding = true;
    /** Takes a place, and another one when it is closed. */
    const hold = (): void => {
      const socket = connect(spot.controlPath);
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        if (isHolding) hold();
      });
      socket.resume();
    };
    for (const said of ['not even JSON\n', '{"command":']) {
      const broken = connect(spot.controlPath);
      broken.on('error', () => {});
      broken.end(said);
    }
    for (let more = controlConnectionsMax; more > 0; more--) hold();
    const busy = /^zerohop: 16 commands are asking this instance already; end one of them, or try again\.\n$/;
    await eventually('it is too busy', async () => {
      const { status, stderr } = await asks('status');
      return status === 1 && busy.test(stderr) ? true : undefined;
    });
    isHolding = false;
    for (const socket of sockets) socket.destroy();
    await eventually('there is room again', async () => ((await asks('status')).status === 0 ? true : undefined));
  });
});

describe('a socket with which something is wrong', () => {
  test('nobody is there, or nobody any more', async () => {
    const missing =
      /^zerohop: no zerohop listens at \S+; start zerohop, or give the path of its socket with -control\.$/m;
    await refuses(join(folder, 'nobody.sock'), missing);
    for (const argv of [
      ['lookup', 'a'],
      ['explain', 'a'],
      ['flush', 'a'],
    ]) {
      await refuses(join(folder, 'no', 'folder.sock'), missing, ...argv);
    }
  });

  test('after SIGKILL the file is no obstacle', async () => {
    const spot = await newSpot();
    try {
      const first = await spot.start();
      await first.kill();
      assert.ok(existsSync(spot.controlPath));
      await refuses(spot.controlPath, /^zerohop: no zerohop listens at /);
      const second = await spot.start();
      const { stdout } = await zerohop(spot.controlPath, 'status');
      assert.match(stdout, new RegExp(`pid ${second.program.pid},`));
      await second.stop();
      assert.equal(existsSync(spot.controlPath), false, 'it has removed its own');
    } finally {
      await spot.remove();
    }
  });

  test('a path that cannot be had is a warning, and zerohop serves', async () => {
    const spot = await newSpot();
    try {
      writeFileSync(join(folder, 'file'), '');
      const instance = await spot.start(['-control', join(folder, 'file', 'a.sock')]);
      await eventually('it warns', () => (instance.said('control socket unavailable') ? true : undefined));
      const off = await spot.start(['-control=', '-handover=']).catch(() => null);
      assert.equal(off, null, 'the port is taken');
    } finally {
      await spot.remove();
    }
  });

  async function fakeServer(name: string, greeting: string): Promise<{ path: string; server: Server }> {
    const path = join(folder, name);
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.write(greeting);
    });
    await new Promise<void>((resolve) => void server.listen(path, resolve));
    return { path, server };
  }

  test('a zerohop of another version, or no zerohop at all', async () => {
    const later = await fakeServer('later.sock', '{"protocol":2,"version":"9.0.0","pid":1}\n');
    await refuses(
      later.path,
      /^zerohop: zerohop 9\.0\.0 runs at \S+ and does not understand zerohop \S+; use the program of the running version\.$/m,
    );
    const other = await fakeServer('other.sock', 'SSH-2.0-OpenSSH_9.2\r\n');
    await refuses(other.path, /^zerohop: what listens at \S+ does not speak as zerohop's control socket does; name/);
    const evil = await fakeServer('evil.sock', '{"protocol":2,"version":"9\\u001b[31m","pid":1}\n');
    await refuses(evil.path, /^zerohop: zerohop 9\\u\{1b\}\[31m runs at /);
    const hung = await fakeServer('hung.sock', '');
    await refuses(hung.path, /^zerohop: the zerohop at \S+ has not answered for 3 s; it may hang or /);
    for (const { server } of [later, other, evil, hung]) server.close();
  });

  test('a zerohop of another user, for a user and for root', { skip: needs('root', 'setpriv') }, async () => {
    const spot = await newSpot();
    try {
      await spot.start();
      chmodSync(spot.folder, 0o755);
      const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
      const { status, stderr } = await run([...asNobody, ...entry, 'status', '-control', spot.controlPath]);
      assert.equal(status, 1);
      const foreign = /^zerohop: \S+ is another user's; run the command as the user that runs zerohop\.\n$/;
      assert.match(stderr, foreign);
      const theirs = join(folder, 'theirs.sock');
      const program = `require('net').createServer().listen(${JSON.stringify(theirs)}, () => console.log('listens'))`;
      chmodSync(folder, 0o777);
      const server = start([...asNobody, process.execPath, '-e', program]);
      await eventually('it listens', () => (server.stdout().includes('listens') ? true : undefined));
      const asRoot = await zerohop(theirs, 'status');
      assert.equal(asRoot.status, 1);
      assert.match(asRoot.stderr, foreign);
      await server.stop();
    } finally {
      await spot.remove();
    }
  });
});

/** The serving instance tells its stand-bys so often what it has cached and dropped. */
const passesNews = (): Promise<void> => pause(2 * keeperPeriodMs);

// Without threads there is no hand-over.
test('across an upgrade the instance that serves answers', { skip: ioPath === 'portable' }, async () => {
  const spot = await newSpot();
  try {
    const first = await spot.start();
    const second = await spot.start();
    await eventually('the second serves', () => (first.said('another instance serves now') ? true : undefined));
    const status = async () => JSON.parse((await zerohop(spot.controlPath, 'status', '-o', 'json')).stdout);
    await eventually('it has the path', async () => ((await status()).pid === second.program.pid ? true : undefined));
    assert.deepEqual([(await status()).role, (await status()).standBys], ['serving', 1]);
    const lookup = async (...words: string[]) =>
      JSON.parse((await zerohop(spot.controlPath, 'lookup', ...words, '-o', 'json')).stdout).homes[0].entries.length;
    for (const name of ['kept.corpus.test', 'flushed.corpus.test']) await lookup('-ask', name);
    // The stand-by has the news of a second ago.
    await passesNews();
    assert.equal((await zerohop(spot.controlPath, 'flush', 'flushed.corpus.test')).status, 0);
    await passesNews();
    await second.stop();
    await eventually('the first has it again', async () => {
      const { status: code, stdout } = await zerohop(spot.controlPath, 'status', '-o', 'json');
      return code === 0 && JSON.parse(stdout).pid === first.program.pid ? true : undefined;
    });
    assert.deepEqual([await lookup('kept.corpus.test'), await lookup('flushed.corpus.test')], [1, 0]);
    await first.stop();
    assert.equal(existsSync(spot.controlPath), false);
  } finally {
    await spot.remove();
  }
});
