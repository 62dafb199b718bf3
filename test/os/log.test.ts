import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { newPrinter } from '../../src/os/log.js';

test('a line is written with its end, and the stream is not opened before it', () => {
  const written: string[] = [];
  let opened = 0;
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      done();
    },
  });
  const print = newPrinter(
    () => {
      opened++;
      return stream;
    },
    (error) => assert.fail(error),
  );
  assert.equal(opened, 0);
  print('one');
  print('two');
  assert.deepEqual({ written, opened }, { written: ['one\n', 'two\n'], opened: 1 });
});

test('a line that cannot be written is told once, and those behind it are lost', async () => {
  const gone = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
  const stream = new Writable({ write: (_chunk, _encoding, done) => done(gone) });
  const told: NodeJS.ErrnoException[] = [];
  const print = newPrinter(
    () => stream,
    (error) => told.push(error),
  );
  print('one');
  await new Promise((resolve) => stream.once('close', resolve));
  assert.deepEqual(told, [gone]);
});
