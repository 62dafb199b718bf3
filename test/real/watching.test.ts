/** `zerohop tail` and `zerohop top` beside a zerohop that serves real clients, also in a terminal, stopped and killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import type { TopItem } from '../../src/control/top-serving.js';
import { queryWatchersMax } from '../../src/limits.js';
import type { WatchedQuery } from '../../src/observe/query-watch.js';
import { eventually, needs, type Running, run, start } from './commands.js';
import { type LoopbackZerohop, question, startOnLoopback } from './loopback.js';
import { type Client, openTcp, openUdp } from './packets.js';
import { goodAnswer, questionEnd, type StandIn, startStandIn } from './stand-in.js';
import { entry, ioPath } from './zerohop.js';

const folder = mkdtempSync(join(tmpdir(), 'zerohop-watching-'));
const control = join(folder, 'control.sock');
const slowMs = 80;
/** A label of control characters: what a terminal would obey. */
const evilLabel = '\x1b]0;x\x07\x1b[2J\r\n';

/** Answers at once; names that begin with `slow` after `slowMs`, those with `bad` with SERVFAIL. */
async function answerOf(query: Buffer): Promise<readonly Uint8Array[]> {
  const name = query.toString('latin1', 13, questionEnd(query));
  if (name.startsWith('slow')) await pause(slowMs);
  const answer = goodAnswer(query);
  if (name.startsWith('bad')) answer[3] |= 2;
  return [answer];
}

after(() => rmSync(folder, { recursive: true }));

describe('zerohop tail and top', () => {
  let upstream: StandIn;
  let zerohop: LoopbackZerohop;
  let client: Client;
  let id = 100;
  const running: Running[] = [];

  before(async () => {
    upstream = await startStandIn(answerOf);
    const block = `cache 30\n    forward . 127.0.0.1:${upstream.port} {\n        force_tcp\n    }`;
    zerohop = await startOnLoopback(block, question(1, 'good', 1), {}, [], ['-control', control]);
    client = await openUdp(zerohop.place);
  });
  afterEach(async () => {
    for (const program of running.splice(0)) await program.stop();
  });
  after(async () => {
    client?.close();
    await zerohop?.stop();
    upstream?.close();
  });

  const command = (...words: string[]): string[] => [...entry, ...words, '-control', control];

  /** Starts tail, and waits until it sees what is asked. */
  async function tail(...words: string[]): Promise<Running> {
    const program = start(command('tail', '-o', 'json', ...words));
    running.push(program);
    await eventually('tail watches', async () => {
      await asks('ready');
      await asks(`slow-ready${id}`);
      await asks(`bad-ready${id}`);
      return program.stdout() === '' ? undefined : true;
    });
    return program;
  }

  async function asks(label: string, by: Client = client): Promise<void> {
    id = (id + 1) & 0xffff;
    by.send(question(id, label, 1));
    await by.receive(id);
  }

  function seen(program: Running): WatchedQuery[] {
    const lines = program.stdout().split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line)).filter((line) => line.name !== undefined && !/ready/.test(line.name));
  }

  function sees(program: Running, label: string): Promise<WatchedQuery> {
    return eventually(`tail shows ${label}`, () => seen(program).find(({ name }) => name.startsWith(`${label}.`)));
  }

  test('hits, misses, failures and TCP clients are shown as they were answered', async () => {
    const program = await tail();
    await asks('fresh');
    const miss = await sees(program, 'fresh');
    assert.deepEqual(
      [miss.origin, miss.rcode, miss.type, miss.transport, miss.client, miss.name],
      ['miss', 'NOERROR', 'A', 'udp', '127.0.0.1', 'fresh.corpus.test.'],
    );
    assert.equal(miss.listener, `127.0.0.1:${zerohop.place.port}`);
    assert.ok(miss.durationMs > 0 && miss.durationMs < 1_000 && Math.abs(miss.atMs - Date.now()) < 10_000);
    await asks('fresh');
    await eventually(
      'the hit',
      () => seen(program).some(({ origin, name }) => origin === 'hit' && name === miss.name) || undefined,
    );
    const tcp = await openTcp(zerohop.place);
    await asks('over-tcp', tcp);
    await asks('over-tcp', tcp);
    tcp.close();
    const [first, second] = await eventually('both over TCP', () => {
      const both = seen(program).filter(({ transport }) => transport === 'tcp');
      return both.length === 2 ? both : undefined;
    });
    assert.deepEqual([first.origin, second.origin, first.name], ['miss', 'hit', 'over-tcp.corpus.test.']);
    await asks('bad-one');
    assert.equal((await sees(program, 'bad-one')).rcode, 'SERVFAIL');
  });

  test('busy TCP clients, whose connections a worker has, are shown as well', async () => {
    await asks('lent');
    const program = await tail();
    const lent = (): WatchedQuery[] => seen(program).filter(({ name }) => name.startsWith('lent.'));
    const tcp = await openTcp(zerohop.place);
    // Longer than two sweeps, after which a busy connection is lent; no more in a second than are all shown.
    for (let round = 0; round < 60; round++) {
      await asks('lent', tcp);
      await pause(25);
    }
    tcp.close();
    const shown = await eventually('all of them', () => (lent().length >= 60 ? lent() : undefined));
    assert.ok(shown.every(({ transport, origin }) => transport === 'tcp' && origin === 'hit'));
    assert.equal(shown.length, 60);
  });

  test('filters are for names, clients, rcodes and durations', async () => {
    const slow = await tail('-slow', String(slowMs / 2));
    const bad = await tail('-rcode', 'SERVFAIL');
    const named = await tail('-name', '*ad*y*', '-client', '127.0.0.0/8');
    const others = start(command('tail', '-client', '10.0.0.0/8'));
    running.push(others);
    await asks('slow-one');
    await asks('bad-two');
    await asks('shady');
    const { durationMs } = await sees(slow, 'slow-one');
    assert.ok(durationMs >= slowMs - 1, String(durationMs));
    await sees(bad, 'bad-two');
    await sees(named, 'shady');
    assert.deepEqual(
      seen(slow).map(({ name }) => name),
      ['slow-one.corpus.test.'],
    );
    assert.deepEqual(
      seen(bad).map(({ name }) => name),
      ['bad-two.corpus.test.'],
    );
    assert.deepEqual(
      seen(named).map(({ name }) => name),
      ['shady.corpus.test.'],
    );
    assert.equal(others.stdout(), '');
  });

  test('a name with terminal control characters is shown escaped, in text and in JSON', async () => {
    const json = await tail();
    const text = start([...command('tail'), '-name', '*\\027*'], { FORCE_COLOR: '0' });
    running.push(text);
    await eventually('it is shown', async () => {
      await asks(evilLabel);
      return text.stdout().includes('corpus') || undefined;
    });
    const { name } = await eventually('in JSON', () => seen(json).find((each) => each.name.includes('\\027')));
    assert.match(name, /^[\x21-\x7e]+$/);
    assert.match(text.stdout(), /^[\x20-\x7e\n]+$/);
    assert.match(
      text.stdout(),
      /^\d\d:\d\d:\d\d\.\d{3} 127\.0\.0\.1 \\027\]0\\;x\\007\\027\[2J\\013\\010\.corpus\.test\. A NOERROR (?:miss|hit) \d/m,
    );
  });

  test('-for ends it with 0, Ctrl-C as well, and the end of a pipe in silence', async () => {
    const timed = await run(command('tail', '-for', '300ms'));
    assert.deepEqual([timed.status, timed.stderr], [0, '']);
    const interrupted = await tail();
    interrupted.signal('SIGINT');
    assert.deepEqual([(await interrupted.finished).status, interrupted.stderr()], [0, '']);
    const piped = start([
      'sh',
      '-c',
      `${command('tail', '-o', 'json')
        .map((word) => `'${word}'`)
        .join(' ')} | head -n 1`,
    ]);
    running.push(piped);
    await eventually('head has its line', async () => {
      await asks('piped');
      return piped.stdout() === '' ? undefined : true;
    });
    await asks('piped');
    await asks('piped');
    const ended = await eventually('both end', async () => {
      await asks('piped');
      return Promise.race([piped.finished, pause(10, undefined)]);
    });
    assert.deepEqual([ended.status, ended.stderr], [0, '']);
  });

  test('a reader that stops reading costs no answer, is told what it missed, and goes on', async () => {
    const program = await tail();
    program.signal('SIGSTOP');
    for (let round = 0; round < 3_000; round++) await asks('flood');
    const before = performance.now();
    await asks('good');
    assert.ok(performance.now() - before < 1_000);
    program.signal('SIGCONT');
    await eventually('it goes on', async () => {
      await asks('after-all');
      return seen(program).some(({ name }) => name.startsWith('after-all')) || undefined;
    });
    const shown = seen(program).filter(({ name }) => name.startsWith('flood')).length;
    assert.ok(shown > 0 && shown <= 3_000, String(shown));
  });

  test('killed readers leave their places to others', async () => {
    const killed = await Promise.all(Array.from({ length: queryWatchersMax }, () => tail()));
    const late = await run(command('tail', '-for', '100ms'));
    assert.equal(late.status, 1);
    assert.match(late.stderr, /^zerohop: as many commands as may are watching queries already; end one of them\.\n$/);
    for (const program of killed) program.signal('SIGKILL');
    await Promise.all(killed.map(({ finished }) => finished));
    await eventually('there is a place', async () => {
      const { status } = await run(command('tail', '-for', '50ms'));
      return status === 0 ? true : undefined;
    });
  });

  test('top -once is one reading in 80 columns, and so is top in a pipe', async () => {
    const load = keepAsking();
    try {
      for (const words of [['-once'], []]) {
        const { status, stdout, stderr } = await run(command('top', ...words));
        assert.deepEqual([status, stderr], [0, '']);
        const lines = stdout.trimEnd().split('\n');
        assert.match(lines[0], /^zerohop \S+, up .* \d\d:\d\d:\d\d UTC$/);
        assert.match(lines[1], /^[\d,.]+ queries\/s {2}hits [\d.]+ % {2}p50 /);
        assert.ok(
          lines.every((line) => line.length <= 80 && /^[\x20-\x7e…]*$/u.test(line)),
          stdout,
        );
        for (const heading of ['ZONE', 'UPSTREAM', 'TOP NAMES', 'SLOWEST']) {
          assert.ok(
            lines.some((line) => line.startsWith(heading)),
            `${heading} in\n${stdout}`,
          );
        }
      }
    } finally {
      await load.stop();
    }
  });

  test('top -o json has exact numbers', async () => {
    const load = keepAsking();
    try {
      const { status, stdout } = await run(command('top', '-once', '-o', 'json'));
      assert.equal(status, 0);
      const { traffic, talkers, slow }: TopItem = JSON.parse(stdout);
      assert.ok(traffic.perSecond > 1 && traffic.seconds >= 0.9 && traffic.seconds < 3, `${traffic.perSecond}`);
      assert.ok(traffic.hitRatio! > 0 && traffic.hitRatio! < 1);
      assert.ok(traffic.rcodes.some(({ rcode, perSecond }) => rcode === 'NOERROR' && perSecond > 0));
      assert.deepEqual(
        traffic.addresses.map(({ address }) => address),
        ['127.0.0.1'],
      );
      const [up] = traffic.upstreams;
      assert.deepEqual([up.address, up.state], [`127.0.0.1:${upstream.port}`, 'up']);
      assert.ok(talkers.names.length > 0 && talkers.clients[0].client === '127.0.0.1');
      assert.ok(slow.some(({ name, durationMs }) => name.startsWith('slow') && durationMs >= slowMs - 1));
    } finally {
      await load.stop();
    }
  });

  /** Some hits, and some slow misses. */
  function keepAsking(): { stop(): Promise<void> } {
    let isOver = false;
    const asking = (async () => {
      for (let round = 0; !isOver; round++) {
        await asks('good');
        if (round % 5 === 0) await asks(`slow${id}`);
        await pause(5);
      }
    })();
    return {
      stop() {
        isOver = true;
        return asking;
      },
    };
  }

  describe('in a terminal', { skip: needs('script', 'stty') }, () => {
    interface InTerminal {
      text(): string;
      press(keys: string): void;
      readonly pid: number;
      readonly ended: Promise<number | null>;
    }

    /** `meanwhile` runs beside it, in the same terminal. */
    function inTerminal(columns = 80, rows = 24, path = control, meanwhile = ''): InTerminal {
      const words = [...entry, 'top', '-control', path].map((word) => `'${word}'`).join(' ');
      const child = spawn(
        'script',
        ['-qec', `stty cols ${columns} rows ${rows}; ${meanwhile} exec ${words}`, '/dev/null'],
        {
          stdio: ['pipe', 'pipe', 'inherit'],
          timeout: 20_000,
          env: { ...process.env, TERM: 'xterm', NO_COLOR: '', FORCE_COLOR: '' },
        },
      );
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      return { text: () => text, press: (keys) => void child.stdin.write(keys), pid: child.pid!, ended };
    }

    const opened = '\x1b[?1049h\x1b[?25l';
    const closed = '\x1b[?25h\x1b[?1049l';

    test('top fills the screen again and again, and q or Ctrl-C puts everything back', async () => {
      for (const key of ['q', '\x03']) {
        const top = inTerminal();
        await eventually('two frames', () => (top.text().split('\x1b[H').length > 2 ? true : undefined));
        top.press(key);
        assert.equal(await top.ended, 0);
        const text = top.text();
        assert.ok(text.includes(opened) && text.trimEnd().endsWith(closed), JSON.stringify(text.slice(-200)));
        const frame = text
          .split('\x1b[H')[1]
          .split('\x1b[J')[0]
          .replaceAll('\r', '')
          .split('\n')
          .map(stripVTControlCharacters);
        assert.ok(frame.length <= 24 && frame.every((line) => line.length <= 80));
        assert.match(frame[0], /^zerohop /);
      }
    });

    test('top fits a small terminal', async () => {
      const top = inTerminal(50, 8);
      await eventually('a frame', () => (top.text().includes('\x1b[J') ? true : undefined));
      top.press('q');
      assert.equal(await top.ended, 0);
      const frame = top
        .text()
        .split('\x1b[H')[1]
        .split('\x1b[J')[0]
        .replaceAll('\r', '')
        .split('\n')
        .map(stripVTControlCharacters);
      assert.ok(frame.length <= 8 && frame.every((line) => line.length <= 50), frame.join('\n'));
    });

    test('top follows the size of the terminal', async () => {
      const file = join(folder, 'resize');
      const resized = `(until [ -e '${file}' ]; do sleep 0.05; done; stty -F /dev/tty cols 60 rows 10) &`;
      const top = inTerminal(80, 24, control, resized);
      await eventually('a frame', () => (top.text().includes('\x1b[J') ? true : undefined));
      writeFileSync(file, '');
      const lastFrame = (): string[] =>
        top.text().split('\x1b[H').at(-1)!.split('\x1b[K').map(stripVTControlCharacters);
      await eventually('a smaller one', () => (lastFrame()[0].trim().length === 60 ? true : undefined));
      top.press('q');
      assert.equal(await top.ended, 0);
    });

    test('top puts everything back and says so when zerohop goes away', async () => {
      const path = join(folder, 'other.sock');
      const lines = 'hosts {\n        10.0.0.1 good.corpus.test\n    }';
      const other = await startOnLoopback(lines, question(1, 'good', 1), {}, [], ['-control', path]);
      const top = inTerminal(80, 24, path);
      await eventually('a frame', () => (top.text().includes('\x1b[J') ? true : undefined));
      await other.stop();
      assert.equal(await top.ended, 1);
      const [, last] = top.text().split(closed);
      assert.match(last, /zerohop: the zerohop at \S+ has closed the connection; try again\./);
    });
  });

  test('without a zerohop both say so in one sentence, and end with 1', async () => {
    for (const word of ['tail', 'top']) {
      const { status, stdout, stderr } = await run([...entry, word, '-control', join(folder, 'none.sock')]);
      assert.deepEqual([status, stdout], [1, '']);
      assert.match(stderr, /^zerohop: no zerohop listens at \S+none\.sock; .*\.\n$/);
    }
  });
});

// Without workers there is no takeover.
test('tail ends with one sentence when another instance takes over', { skip: ioPath === 'portable' }, async () => {
  const [path, handover] = [join(folder, 'taken.sock'), join(folder, 'handover.sock')];
  const lines = 'hosts {\n        10.0.0.1 good.corpus.test\n    }';
  const flags = ['-control', path, '-handover', handover];
  const first = await startOnLoopback(lines, question(1, 'good', 1), {}, [], flags);
  const tail = start([...entry, 'tail', '-control', path]);
  const second = start([
    ...entry,
    ...['-conf', first.corefile, '-localip', '127.0.0.1', '-setupinterface=false', '-setupiptables=false'],
    ...['-metrics-listen-address=', ...flags],
  ]);
  try {
    const { status, stderr } = await tail.finished;
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^zerohop: another instance on this node answers the queries now; run the command again\.\n$/m,
    );
    const again = await run([...entry, 'tail', '-for', '50ms', '-control', path]);
    assert.equal(again.status, 0, again.stderr);
  } finally {
    assert.equal((await second.stop()).status, 0);
    await first.stop();
  }
});
