import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dialLoss, readLoss, timeoutText } from '../../src/upstream/attempt.js';

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`what ${code} means`), { code });
}

test('a connection that could not be opened says so in the words of the reference', () => {
  assert.deepEqual(dialLoss('10.0.0.1:53', systemError('ECONNREFUSED')), {
    why: 'unreachable',
    text: 'dial tcp 10.0.0.1:53: connect: connection refused',
    blame: true,
  });
  assert.equal(
    dialLoss('[fd00::1]:53', systemError('EHOSTUNREACH')).text,
    'dial tcp [fd00::1]:53: connect: no route to host',
  );
  assert.deepEqual(dialLoss('10.0.0.1:53', null), {
    why: 'timeout',
    text: 'dial tcp 10.0.0.1:53: i/o timeout',
    blame: true,
  });
});

test('one that broke too; an error without a word of its own keeps the system’s', () => {
  assert.deepEqual(readLoss('udp', '10.0.0.1:53', systemError('ECONNREFUSED'), true), {
    why: 'unreachable',
    text: 'read udp 10.0.0.1:53: connection refused',
    blame: true,
  });
  assert.equal(readLoss('tcp', 'a:1', systemError('EWHATEVER'), false).text, 'read tcp a:1: what EWHATEVER means');
  assert.equal(readLoss('tcp', 'a:1', new Error('no code'), false).text, 'read tcp a:1: no code');
});

test('a timeout says what was waited for', () => {
  assert.equal(timeoutText('udp', '10.0.0.1:53', 'answer'), 'read udp 10.0.0.1:53: i/o timeout');
  assert.equal(timeoutText('tcp', '10.0.0.1:53', 'connect'), 'dial tcp 10.0.0.1:53: i/o timeout');
});
