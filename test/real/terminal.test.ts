/** The program in a terminal and in lists of processes: what a person sees who starts it by hand. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { needs, output } from './commands.js';
import { question, startOnLoopback } from './loopback.js';
import { freePort } from './packets.js';
import { entry } from './zerohop.js';

const folder = mkdtempSync(join(tmpdir(), 'zerohop-terminal-'));
after(() => rmSync(folder, { recursive: true }));

interface Shown {
  readonly text: string;
  readonly exitCode: number | null;
}

/** Runs zerohop in a terminal of 120 columns, and presses Ctrl-C there once it serves. */
function inTerminal(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Shown> {
  const command = [...entry, ...words].map((word) => `'${word}'`).join(' ');
  return new Promise((resolve, reject) => {
    const child = spawn('script', ['-qec', `stty cols 120; exec ${command}`, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      timeout: 20_000,
      env: { ...process.env, TERM: 'xterm', NO_COLOR: '', FORCE_COLOR: '', ...environment },
    });
    let text = '';
    let isInterrupted = false;
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (isInterrupted || !text.includes(' serves on ')) return;
      isInterrupted = true;
      child.stdin.write('\x03');
    });
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ text: text.replaceAll('\r', ''), exitCode }));
  });
}

async function flags(): Promise<string[]> {
  const corefile = join(folder, 'Corefile');
  writeFileSync(
    corefile,
    `.:${await freePort()} {\n    bind 127.0.0.1\n    hosts {\n        10.0.0.1 a.example\n    }\n}\n`,
  );
  const alone = [
    '-setupinterface=false',
    '-setupiptables=false',
    '-handover=',
    '-control=',
    '-metrics-listen-address=',
  ];
  return ['-conf', corefile, '-localip', '127.0.0.1', ...alone];
}

describe('in a terminal', { skip: needs('script', 'stty') }, () => {
  test('the log is text in colors, and Ctrl-C ends it with 0', async () => {
    const { text, exitCode } = await inTerminal(await flags());
    assert.equal(exitCode, 0, text);
    const line = text.split('\n').find((each) => each.includes(' serves on ')) ?? '';
    assert.match(
      stripVTControlCharacters(line),
      /^\d{4}-\d\d-\d\dT[\d:.]+Z INFO {2}zerohop \S+ serves on 127\.0\.0\.1:\d+ pid=\d+$/,
    );
    assert.notEqual(line, stripVTControlCharacters(line));
  });

  test('no colors with NO_COLOR or in a dumb terminal', async () => {
    for (const environment of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      const { text } = await inTerminal(await flags(), environment);
      const line = text.split('\n').find((each) => each.includes(' serves on ')) ?? '';
      assert.match(line, /^\d{4}-\S+ INFO {2}zerohop /);
    }
  });

  test('-logformat json is JSON there too', async () => {
    const { text } = await inTerminal([...(await flags()), '-logformat=json']);
    const line = text.split('\n').find((each) => each.includes(' serves on ')) ?? '';
    assert.equal(JSON.parse(line).level, 'info');
  });

  test('help is 100 columns wide, and 80 in a pipe', async () => {
    const widest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));
    const { text, exitCode } = await inTerminal(['help']);
    assert.equal(exitCode, 0);
    assert(widest(text) > 80 && widest(text) <= 100, String(widest(text)));
    const piped = await output([...entry, 'help']);
    assert(widest(piped) > 70 && widest(piped) <= 80, String(widest(piped)));
  });
});

test('in a pipe, the log is JSON, or text without colors if -logformat asks for it', async () => {
  for (const format of ['auto', 'text']) {
    const zerohop = await startOnLoopback(hosts, question(1, 'good', 1), {}, [], [`-logformat=${format}`]);
    await zerohop.stop();
    const line =
      zerohop.program
        .stdout()
        .split('\n')
        .find((each) => each.includes(' serves on ')) ?? '';
    assert.match(line, format === 'auto' ? /^\{"level":"info",/ : /^\d{4}-\S+ INFO {2}zerohop /);
  }
});

const hosts = 'hosts {\n        10.0.0.1 good.corpus.test\n    }';

test('ps, pgrep and pidof find it as zerohop', { skip: needs('ps', 'pgrep', 'pidof') }, async () => {
  const zerohop = await startOnLoopback(hosts, question(1, 'good', 1));
  try {
    const pid = String(zerohop.program.pid);
    assert.match(
      await output(['ps', '-o', 'comm=,args=', '-p', pid]),
      /^zerohop +zerohop -conf \S+ -localip 127\.0\.0\.1 /,
    );
    const found = async (...command: string[]): Promise<string[]> => (await output(command)).trim().split(/\s+/);
    assert((await found('pgrep', '-x', 'zerohop')).includes(pid));
    assert((await found('pidof', 'zerohop')).includes(pid));
  } finally {
    await zerohop.stop();
  }
});
