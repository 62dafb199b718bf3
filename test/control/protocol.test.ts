import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ControlError,
  controlLine,
  controlProtocol,
  LineReader,
  readControlGreeting,
  readControlReply,
  readControlRequest,
} from '../../src/control/protocol.js';

describe('messages of the control socket', () => {
  test('are read as they were written', () => {
    const text = (message: Parameters<typeof controlLine>[0]): string => controlLine(message).toString().trimEnd();
    const greeting = { protocol: controlProtocol, version: '1.2.3', pid: 7 };
    assert.deepEqual(readControlGreeting(text(greeting)), greeting);
    const request = { command: 'lookup', arguments: { name: 'a.test.' } };
    assert.deepEqual(readControlRequest(text(request)), request);
    const item = { type: 'item', item: { some: ['value'] } } as const;
    assert.deepEqual(readControlReply(text(item)), item);
    assert.deepEqual(readControlReply(text({ type: 'end' })), { type: 'end' });
    const error = { type: 'error', kind: 'busy', sentence: 'too many.' } as const;
    assert.deepEqual(readControlReply(text(error)), error);
  });

  test('of other versions may have more fields, and other kinds of errors', () => {
    const line = '{"protocol":2,"version":"9","pid":1,"more":true}';
    assert.deepEqual(readControlGreeting(line), { protocol: 2, version: '9', pid: 1 });
    assert.deepEqual(readControlRequest('{"command":"status"}'), { command: 'status', arguments: {} });
    assert.deepEqual(readControlReply('{"type":"error","kind":"newer","sentence":"no."}'), {
      ...{ type: 'error', kind: 'failed', sentence: 'no.' },
    });
    assert.deepEqual(readControlReply('{"type":"item"}'), { type: 'item', item: null });
  });

  test('that are none are null', () => {
    const broken = ['', '{', 'null', '[]', '"text"', '7', '{}', '{"type":"other"}', '{"type":"error","kind":"busy"}'];
    for (const line of broken) {
      assert.equal(readControlGreeting(line), null, line);
      assert.equal(readControlReply(line), null, line);
    }
    const requests = ['', '{}', '{"command":7}', '{"command":"a","arguments":[]}', '{"command":"a","arguments":"b"}'];
    for (const line of requests) assert.equal(readControlRequest(line), null, line);
    for (const line of ['{"protocol":-1,"version":"1","pid":1}', '{"protocol":1,"version":1,"pid":1}']) {
      assert.equal(readControlGreeting(line), null, line);
    }
    assert.equal(readControlGreeting(`{"protocol":1,"version":"${'v'.repeat(101)}","pid":1}`), null);
  });

  test('a refusal has a kind and a sentence', () => {
    const { kind, message } = new ControlError('usage', 'that is no name.');
    assert.deepEqual([kind, message], ['usage', 'that is no name.']);
  });
});

describe('lines', () => {
  test('come out whole, however they come in', () => {
    const reader = new LineReader(100);
    const bytes = Buffer.from('één\nzwei\n\nthree');
    const lines: string[] = [];
    for (const byte of bytes) lines.push(...(reader.read(Uint8Array.of(byte)) ?? assert.fail('too long')));
    assert.deepEqual(lines, ['één', 'zwei', '']);
    assert.deepEqual(reader.read(Buffer.from('!\nfour\nfive')), ['three!', 'four']);
  });

  test('the bytes are borrowed', () => {
    const reader = new LineReader(100);
    const bytes = Buffer.from('one');
    reader.read(bytes);
    bytes.fill(0);
    assert.deepEqual(reader.read(Buffer.from('\n')), ['one']);
  });

  test('one that is too long is noticed before it ends', () => {
    assert.deepEqual(new LineReader(4).read(Buffer.from('1234\n1234\n')), ['1234', '1234']);
    assert.equal(new LineReader(4).read(Buffer.from('12345')), null);
    const reader = new LineReader(4);
    assert.deepEqual(reader.read(Buffer.from('123')), []);
    assert.equal(reader.read(Buffer.from('45')), null);
  });
});
