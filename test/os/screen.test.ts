import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { screenUnsentBytesMax } from '../../src/limits.js';
import { openScreen } from '../../src/os/screen.js';

function newTerminal(isTerminal: 'keys' | 'no keys' = 'keys') {
  const state = { text: '', isRaw: false, isReading: false, atExit: () => {} };
  const output = Object.assign(new EventEmitter(), {
    columns: 100,
    rows: 3,
    writableLength: 0,
    write: (text: string) => {
      state.text += text;
    },
  });
  const input = Object.assign(new EventEmitter(), {
    isTTY: isTerminal === 'keys',
    setRawMode: (isRaw: boolean) => {
      state.isRaw = isRaw;
    },
    resume: () => {
      state.isReading = true;
    },
    pause: () => {
      state.isReading = false;
    },
  });
  const events = { keys: [] as string[], resizes: 0, gone: 0 };
  const screen = openScreen(
    {
      input: input as unknown as NodeJS.ReadStream,
      output: output as unknown as NodeJS.WriteStream,
      atExit: (last) => {
        state.atExit = last;
      },
    },
    {
      key: (character) => void events.keys.push(character),
      resized: () => void events.resizes++,
      gone: () => void events.gone++,
    },
  );
  const taken = (): string => {
    const { text } = state;
    state.text = '';
    return text;
  };
  return { screen, input, output, state, events, taken };
}

describe('a screen', () => {
  it('has a page of its own, and puts everything back', () => {
    const { screen, state, taken, output, input } = newTerminal();
    assert.equal(taken(), '\x1b[?1049h\x1b[?25l\x1b[?7l');
    assert.deepEqual([state.isRaw, state.isReading], [true, true]);
    screen.close();
    assert.equal(taken(), '\x1b[?7h\x1b[?25h\x1b[?1049l');
    assert.deepEqual([state.isRaw, state.isReading], [false, false]);
    screen.close();
    state.atExit();
    screen.draw(['late']);
    assert.equal(taken(), '');
    assert.deepEqual([output.listenerCount('resize'), input.listenerCount('data')], [0, 0]);
  });

  it('is put back when the process ends', () => {
    const { state, taken } = newTerminal();
    taken();
    state.atExit();
    assert.equal(taken(), '\x1b[?7h\x1b[?25h\x1b[?1049l');
  });

  it('shows the lines that fit, and nothing of the page before', () => {
    const { screen, taken, output } = newTerminal();
    taken();
    screen.draw(['one', 'two', 'three', 'four']);
    assert.equal(taken(), '\x1b[Hone\x1b[K\r\ntwo\x1b[K\r\nthree\x1b[K\x1b[J');
    output.writableLength = screenUnsentBytesMax + 1;
    screen.draw(['one']);
    assert.equal(taken(), '', 'a terminal that reads nothing gets nothing more');
  });

  it('knows its size, as it changes, and takes a usual one for none', () => {
    const { screen, output, events } = newTerminal();
    assert.deepEqual([screen.columns, screen.rows], [100, 3]);
    Object.assign(output, { columns: 0, rows: 0 });
    output.emit('resize');
    assert.deepEqual([screen.columns, screen.rows, events.resizes], [80, 24, 1]);
  });

  it('says when the terminal is gone, also while it is left', () => {
    const { output, input, events, screen } = newTerminal();
    output.emit('error', new Error('write EIO'));
    input.emit('error', new Error('read EIO'));
    screen.close();
    output.emit('error', new Error('write EIO'));
    assert.equal(events.gone, 3);
  });

  it('gives keys one by one, and none without a terminal for them', () => {
    const { input, events } = newTerminal();
    input.emit('data', Buffer.from('aq\x03'));
    assert.deepEqual(events.keys, ['a', 'q', '\x03']);
    const other = newTerminal('no keys');
    assert.deepEqual([other.state.isRaw, other.input.listenerCount('data')], [false, 0]);
    other.screen.close();
  });
});
