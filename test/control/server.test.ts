import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ControlError, controlProtocol } from '../../src/control/protocol.js';
import { type Answering, ControlServer, controlHandler } from '../../src/control/server.js';
import {
  controlConnectionsMax,
  controlKeepPeriodMs,
  controlLineBytesMax,
  controlRequestBytesMax,
  controlRequestTimeoutMs,
  controlStalledMs,
  controlUnsentBytesMax,
} from '../../src/limits.js';
import { ManualClock } from '../simulation/clock.js';
import { nearSockets } from './near-sockets.js';

const greeting = { protocol: controlProtocol, version: '1.2.3', pid: 7 };
const asks = (command: string, given: unknown = {}): string => `${JSON.stringify({ command, arguments: given })}\n`;

async function newWorld() {
  const clock = new ManualClock();
  const sockets = nearSockets();
  const lines: string[] = [];
  const say = (text: string): void => void lines.push(text);
  const answerings: Answering[] = [];
  let panics = 0;
  const server = new ControlServer({
    ...{ clock, sockets, path: '/run/x.sock', version: '1.2.3', pid: 7 },
    log: { debug: say, info: say, warn: say, error: say },
    panicked: () => void panics++,
    handlers: {
      echo: controlHandler(
        ({ text }) => {
          if (typeof text !== 'string') throw new ControlError('usage', 'text is missing.');
          return text;
        },
        (text, answering) => {
          answering.item({ text });
          answering.end();
        },
      ),
      stream: (_given, answering) => void answerings.push(answering),
      broken: () => {
        throw new Error('a bug');
      },
      late: async () => {
        throw new ControlError('failed', 'not today.');
      },
    },
  });
  await server.take();
  return { clock, sockets, lines, answerings, server, panics: () => panics };
}

describe('the control server', () => {
  test('greets, answers one request, and ends', async () => {
    const { sockets } = await newWorld();
    const client = sockets.open();
    assert.deepEqual(client.messages(), [greeting]);
    client.say(asks('echo', { text: 'hello' }));
    assert.deepEqual(client.messages(), [greeting, { type: 'item', item: { text: 'hello' } }, { type: 'end' }]);
    assert.ok(client.isEnded);
    client.say(asks('echo', { text: 'again' }));
    assert.equal(client.messages().length, 3);
  });

  test('says what is wrong with a request', async () => {
    const { sockets, lines, panics, clock } = await newWorld();
    const answerTo = (text: string): unknown => {
      const client = sockets.open();
      client.say(text);
      return client.messages()[1];
    };
    const error = (kind: string, sentence: string) => ({ type: 'error', kind, sentence });
    assert.deepEqual(answerTo(asks('echo')), error('usage', 'text is missing.'));
    assert.deepEqual(answerTo('hello\n'), error('request', 'a request is one line of JSON with a command.'));
    const unknown = 'zerohop 1.2.3, which is running, does not know this command; use the program of that version.';
    assert.deepEqual(answerTo(asks('other')), error('unknown', unknown));
    assert.deepEqual(answerTo(asks('toString')), error('unknown', unknown));
    assert.deepEqual(
      answerTo('x'.repeat(controlRequestBytesMax + 1)),
      error('request', `a request has at most ${controlRequestBytesMax} bytes.`),
    );
    const failed = 'the running zerohop has failed to answer, which is a bug; its log has the stack.';
    assert.deepEqual(answerTo(asks('broken')), error('failed', failed));
    assert.deepEqual([panics(), lines], [1, ['a control command failed']]);
    const client = sockets.open();
    client.say(asks('late'));
    await clock.pass(0);
    assert.deepEqual(client.messages()[1], error('failed', 'not today.'));
  });

  test('a request may come in pieces, and its sender may close its side behind a plain one', async () => {
    const { sockets } = await newWorld();
    const client = sockets.open();
    for (const letter of asks('echo', { text: 'é' })) client.say(letter);
    client.end();
    assert.deepEqual(client.messages()[1], { type: 'item', item: { text: 'é' } });
    assert.ok(!client.isClosed);
  });

  test('closes a client that sends nothing, or half a line, or goes', async () => {
    const { sockets, clock } = await newWorld();
    const [silent, half, gone] = [sockets.open(), sockets.open(), sockets.open()];
    half.say('{"command":');
    gone.end();
    assert.ok(gone.isClosed);
    clock.passMs(controlRequestTimeoutMs - 1);
    assert.ok(!silent.isClosed);
    clock.passMs(controlRequestTimeoutMs);
    assert.ok(silent.isClosed && half.isClosed);
  });

  test('drops what a slow reader does not take, and closes one that takes nothing', async () => {
    const { sockets, clock, answerings } = await newWorld();
    const client = sockets.open();
    client.say(asks('stream'));
    const [answering] = answerings;
    let gone = 0;
    answering.whenGone(() => void gone++);
    assert.equal(answering.item(1), true);
    client.unsentBytes = controlUnsentBytesMax - 10;
    assert.equal(answering.item('more than ten bytes'), false);
    assert.deepEqual(client.messages().slice(1), [{ type: 'item', item: 1 }]);
    clock.passMs(controlRequestTimeoutMs);
    client.unsentBytes = 10;
    assert.equal(answering.item(2), true);
    clock.passMs(controlStalledMs);
    assert.ok(!client.isClosed, 'it has read something meanwhile');
    clock.passMs(controlRequestTimeoutMs);
    assert.ok(client.isClosed);
    assert.equal(gone, 1);
    assert.equal(answering.item(3), false);
    answering.end();
    answering.fail('failed', 'never sent.');
    answering.whenGone(() => void gone++);
    assert.equal(gone, 2, 'it is gone already');
  });

  test('a client that gets nothing, because there is nothing, stays', async () => {
    const { sockets, clock, answerings } = await newWorld();
    const client = sockets.open();
    client.say(asks('stream'));
    clock.passMs(10 * controlStalledMs);
    assert.ok(!client.isClosed);
    assert.equal(answerings[0].item('at last'), true);
  });

  test('an answer that is too long is said, and not sent', async () => {
    const { sockets, answerings } = await newWorld();
    const client = sockets.open();
    client.say(asks('stream'));
    assert.equal(answerings[0].item('x'.repeat(controlLineBytesMax)), false);
    assert.match(JSON.stringify(client.messages()[1]), /"failed","sentence":"the answer has \d+ bytes, more than/);
  });

  test('who does not close after its answer is closed', async () => {
    const { sockets, clock } = await newWorld();
    const client = sockets.open();
    client.say(asks('echo', { text: 'hello' }));
    clock.passMs(controlRequestTimeoutMs);
    assert.ok(client.isClosed);
  });

  test('too many clients are told so, and of many more nothing is kept', async () => {
    const { sockets, answerings } = await newWorld();
    const clients = Array.from({ length: controlConnectionsMax }, () => sockets.open());
    for (const client of clients) client.say(asks('stream'));
    const next = sockets.open();
    const sentence = `${controlConnectionsMax} commands are asking this instance already; end one of them, or try again.`;
    assert.deepEqual(next.messages(), [greeting, { type: 'error', kind: 'busy', sentence }]);
    next.say(asks('echo', { text: 'hello' }));
    assert.equal(next.messages().length, 2);
    for (let more = controlConnectionsMax; more > 0; more--) sockets.open();
    const last = sockets.open();
    assert.ok(last.isClosed);
    assert.equal(last.heard(), '');
    assert.equal(answerings.length, controlConnectionsMax);
  });

  test('keeps the path while it is the owner, and leaves it to another instance', async () => {
    const { sockets, clock, server } = await newWorld();
    sockets.takeAway();
    await clock.pass(controlKeepPeriodMs);
    assert.ok(sockets.isThere(), 'taken again');
    const other = await sockets.listen('/run/x.sock', () => ({ data() {}, ended() {}, closed() {} }));
    await clock.pass(controlKeepPeriodMs);
    assert.ok(other.isInPlace(), 'another one has it');
    server.release();
    assert.ok(other.isInPlace());
    other.close();
    await clock.pass(controlKeepPeriodMs);
    assert.ok(!sockets.isThere(), 'it is not ours any more');
    await server.take();
    assert.ok(sockets.isThere());
    const client = sockets.open();
    server.end();
    assert.ok(client.isClosed);
    assert.ok(!sockets.isThere());
  });

  test('warns once of a path that it cannot have, and tries again', async () => {
    const { sockets, clock, server, lines } = await newWorld();
    server.release();
    sockets.refusal = new Error('listen EACCES /run/x.sock');
    await server.take();
    await clock.pass(3 * controlKeepPeriodMs);
    assert.deepEqual(lines, [
      'control socket unavailable, commands cannot ask this instance: listen EACCES /run/x.sock; ' +
        'make its folder writable for zerohop, or give -control another path, or none',
    ]);
    sockets.refusal = null;
    await clock.pass(controlKeepPeriodMs);
    assert.ok(sockets.isThere());
  });
});
