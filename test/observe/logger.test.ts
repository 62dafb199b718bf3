import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { type LogLevel, logLevel, logStyle, newLogger } from '../../src/observe/logger.js';
import { ManualClock } from '../simulation/clock.js';

function collecting(level: LogLevel) {
  const written: string[] = [];
  const clock = new ManualClock(0, Date.UTC(2026, 0, 2, 3, 4, 5, 678));
  const logger = newLogger({ level, clock, destination: { write: (line) => void written.push(line) } });
  return { logger, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('logger', () => {
  it('writes one JSON object a line, with level, time and message', () => {
    const { logger, lines } = collecting('info');
    logger.warn('The link was gone.', { interface: 'nodelocaldns', addresses: ['169.254.20.10'], tries: 2 });
    assert.deepEqual(lines(), [
      {
        level: 'warn',
        time: '2026-01-02T03:04:05.678Z',
        interface: 'nodelocaldns',
        addresses: ['169.254.20.10'],
        tries: 2,
        msg: 'The link was gone.',
      },
    ]);
  });

  it('does not take a message for a format', () => {
    const { logger, lines } = collecting('info');
    logger.info('100 %s of %d "names"\n{}');
    assert.deepEqual(
      lines().map(({ msg }) => msg),
      ['100 %s of %d "names"\n{}'],
    );
  });

  it('leaves out what is below its level, which may change', () => {
    const { logger, lines } = collecting('warn');
    logger.debug('1');
    logger.info('2');
    logger.error('3');
    logger.setLevel('debug');
    logger.debug('4');
    logger.setLevel('info');
    logger.debug('5');
    assert.deepEqual(
      lines().map(({ msg }) => msg),
      ['3', '4'],
    );
  });

  it('writes the query log also when it is quiet', () => {
    const { logger, lines } = collecting('warn');
    logger.queryLine('127.0.0.1:5 - 1 "A IN a. udp 20 false 512" NOERROR qr 40 0.001s');
    logger.setLevel('error');
    logger.queryLine('second');
    assert.deepEqual(
      lines().map(({ level, msg }) => [level, msg]),
      [
        ['info', '127.0.0.1:5 - 1 "A IN a. udp 20 false 512" NOERROR qr 40 0.001s'],
        ['info', 'second'],
      ],
    );
  });

  it('takes its level from debug and -quiet', () => {
    assert.equal(logLevel({ debug: false, quiet: false }), 'info');
    assert.equal(logLevel({ debug: false, quiet: true }), 'warn');
    assert.equal(logLevel({ debug: true, quiet: true }), 'debug');
  });

  it('writes text, in colors or without', () => {
    const line = (format: 'text' | 'colored text'): string => {
      const written: string[] = [];
      const clock = new ManualClock(0, Date.UTC(2026, 0, 2, 3, 4, 5, 678));
      const destination = { write: (text: string) => void written.push(text) };
      newLogger({ level: 'info', clock, destination, format }).queryLine(
        '10.0.0.1:5 - 1 "A IN a.\n. udp 20 false 512"',
      );
      return written.join('');
    };
    const plain = '2026-01-02T03:04:05.678Z INFO  10.0.0.1:5 - 1 "A IN a.\\n. udp 20 false 512"\n';
    assert.equal(line('text'), plain);
    assert.notEqual(line('colored text'), plain);
    assert.equal(stripVTControlCharacters(line('colored text')), plain);
  });

  it('is text on a terminal alone, if nothing else is asked for', () => {
    const file = openSync('/dev/null', 'r');
    assert.equal(logStyle('auto', file, {}), 'json');
    assert.equal(logStyle('json', file, { FORCE_COLOR: '1' }), 'json');
    assert.equal(logStyle('text', file, {}), 'text');
    assert.equal(logStyle('text', file, { FORCE_COLOR: '1' }), 'colored text');
    closeSync(file);
  });

  it('writes everything out on flush, as text too', () => {
    const folder = mkdtempSync(join(tmpdir(), 'zerohop-log-'));
    const path = join(folder, 'log');
    const file = openSync(path, 'a');
    try {
      const logger = newLogger({ level: 'info', clock: new ManualClock(), destination: file, format: 'text' });
      for (let line = 0; line < 1000; line++) logger.info(`line ${line}`, { line });
      logger.flush();
      const written = readFileSync(path, 'utf8').trimEnd().split('\n');
      assert.deepEqual(
        written.map((line) => line.slice(line.indexOf('line'))),
        Array.from({ length: 1000 }, (_, line) => `line ${line} line=${line}`),
      );
    } finally {
      closeSync(file);
      rmSync(folder, { recursive: true });
    }
  });

  it('writes everything out on flush', () => {
    const folder = mkdtempSync(join(tmpdir(), 'zerohop-log-'));
    const path = join(folder, 'log');
    const file = openSync(path, 'a');
    try {
      const logger = newLogger({ level: 'info', clock: new ManualClock(), destination: file });
      for (let line = 0; line < 1000; line++) logger.info(`line ${line}`);
      logger.flush();
      const written = readFileSync(path, 'utf8').trimEnd().split('\n');
      assert.deepEqual(
        written.map((line) => JSON.parse(line).msg),
        Array.from({ length: 1000 }, (_, line) => `line ${line}`),
      );
      assert.equal(logger.linesLost, 0);
    } finally {
      closeSync(file);
      rmSync(folder, { recursive: true });
    }
  });

  it('writes to stdout, and loses nothing when the process ends at once', () => {
    const program = `
      import { newLogger } from ${JSON.stringify(new URL('../../src/observe/logger.js', import.meta.url).href)};
      import { systemClock } from ${JSON.stringify(new URL('../../src/os/clock.js', import.meta.url).href)};
      const logger = newLogger({ level: 'info', clock: systemClock() });
      for (let line = 0; line < 500; line++) logger.info('x');
      process.exit(0);`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    assert.equal(stdout.trimEnd().split('\n').length, 500, stderr);
  });

  it('survives a reader that went away', () => {
    const program = `
      import { newLogger } from ${JSON.stringify(new URL('../../src/observe/logger.js', import.meta.url).href)};
      import { systemClock } from ${JSON.stringify(new URL('../../src/os/clock.js', import.meta.url).href)};
      const logger = newLogger({ level: 'info', clock: systemClock() });
      let line = 0;
      const timer = setInterval(() => {
        logger.info('x'.repeat(1000));
        if (++line < 100) return;
        clearInterval(timer);
        process.stderr.write('lost ' + (logger.linesLost > 0));
      }, 1);`;
    const { stdout, stderr } = spawnSync(
      'sh',
      ['-c', '"$NODE" --input-type=module -e "$PROGRAM" | head -c 10 > /dev/null; echo done'],
      { encoding: 'utf8', env: { ...process.env, NODE: process.execPath, PROGRAM: program } },
    );
    assert.equal(stdout.trim(), 'done');
    assert.match(stderr, /lost true/);
  });
});
