import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { pageStreamsMax, pageUnreadMax } from '../../src/limits.js';
import { eventText, Streams } from '../../src/page/streams.js';

function newStreams() {
  const counts: number[] = [];
  return { counts, streams: new Streams((open) => counts.push(open)) };
}

function read(stream: Readable): string {
  return String(stream.read() ?? '');
}

describe('the streams of open pages', () => {
  it('give every page every update', () => {
    const { streams } = newStreams();
    const [one, other] = [streams.open()!, streams.open()!];
    streams.send('a\n\n');
    assert.deepEqual([read(one), read(other)], ['a\n\n', 'a\n\n']);
    streams.send('b\n\n');
    assert.deepEqual([read(one), read(other)], ['b\n\n', 'b\n\n']);
  });

  it('keep one update at most for a page that does not read, and drop the page when it has missed some', async () => {
    const { streams, counts } = newStreams();
    const [slow, fast] = [streams.open()!, streams.open()!];
    const closed = once(slow, 'close');
    for (let update = 0; update <= pageUnreadMax; update++) {
      streams.send('0123456789');
      assert.equal(slow.readableLength, 10);
      assert.equal(slow.destroyed, false);
      read(fast);
    }
    streams.send('0123456789');
    await closed;
    assert.deepEqual(counts, [1, 2, 1]);
    assert.equal(fast.destroyed, false);
  });

  it('forgive a page that reads again', () => {
    const { streams } = newStreams();
    const stream = streams.open()!;
    for (let round = 0; round < 3; round++) {
      for (let update = 0; update <= pageUnreadMax; update++) streams.send('x');
      read(stream);
    }
    assert.equal(stream.destroyed, false);
  });

  it('are so many at most, and a closed one makes room', async () => {
    const { streams } = newStreams();
    const open = Array.from({ length: pageStreamsMax }, () => streams.open()!);
    assert.equal(streams.open(), null);
    open[0].destroy();
    await once(open[0], 'close');
    assert.notEqual(streams.open(), null);
  });

  it('end when they are stopped', async () => {
    const { streams, counts } = newStreams();
    const stream = streams.open()!;
    streams.stop();
    stream.resume();
    await once(stream, 'close');
    assert.deepEqual(counts, [1, 0]);
    streams.send('nobody gets it');
  });
});

describe('an event', () => {
  it('is one line of JSON, whatever the text has', () => {
    assert.equal(eventText('lists', { name: 'a\nb\r\n' }), 'event: lists\ndata: {"name":"a\\nb\\r\\n"}\n\n');
  });
});
