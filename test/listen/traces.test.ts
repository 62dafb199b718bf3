import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newSlot } from '../../src/dns/answer.js';
import { sampledPacketBytes, tracesMax } from '../../src/limits.js';
import type { AnswerOrigin } from '../../src/listen/client.js';
import { Datagrams, peerAddressWords } from '../../src/listen/message-batch.js';
import { type ReadTrace, TraceReader, TraceWriter, tracesMemory } from '../../src/listen/traces.js';

function newPair() {
  const memory = tracesMemory();
  const [writer, reader] = [new TraceWriter(memory), new TraceReader(memory)];
  const peers = new Datagrams({ addressOf: () => 4096 }, 64, 1);
  const slot = newSlot(4096);
  const about = { socket: 3, transport: 0, origin: 'hit', atMs: 12.5, durationMs: 0 } as const;
  const hit = (number: number, parts: Partial<Omit<ReadTrace, 'peer'>> = {}, bytes = 40): void => {
    slot.bytes.fill(number & 0xff, 0, bytes);
    peers.address(0, bytes, new Int32Array(peerAddressWords).fill(number), 0, 16, 0);
    if (!writer.passesOver()) writer.putHit({ ...about, ...parts }, slot, bytes, peers, 0);
  };
  const miss = (number: number, durationMs: number): void => {
    slot.bytes.fill(number & 0xff, 0, 40);
    writer.put({ ...about, origin: 'miss', durationMs }, slot, 40, peers, 0);
  };
  const readAll = (): number[] => {
    const all: number[] = [];
    for (let trace = reader.next(); trace !== null; trace = reader.next()) all.push(trace.answer[0]);
    return all;
  };
  return { memory, writer, reader, hit, miss, readAll };
}

describe('traces', () => {
  it('are wanted by nobody at first, and no more when the last has gone', () => {
    const { writer, reader } = newPair();
    assert.deepEqual([writer.wantsHits, writer.wantsOthers], [false, false]);
    reader.want({ hitsOneIn: 1, others: 'told' });
    assert.deepEqual([writer.wantsHits, writer.wantsOthers], [true, true]);
    reader.want({ hitsOneIn: 0, others: 'told' });
    assert.deepEqual([writer.wantsHits, writer.wantsOthers], [false, true]);
    reader.want({ hitsOneIn: 0, others: 'untold' });
    assert.deepEqual([writer.wantsHits, writer.wantsOthers], [false, false]);
  });

  it('are answers with whom they went to, as the worker wrote them', () => {
    const { reader, hit } = newPair();
    reader.want({ hitsOneIn: 1, others: 'told' });
    const origins: AnswerOrigin[] = ['hit', 'stale', 'miss', 'policy', 'plugin', 'failure', 'refused'];
    for (const [number, origin] of origins.entries()) {
      hit(number, { origin, transport: number % 2 === 0 ? 0 : 1, durationMs: number / 4, atMs: 1e6 + number / 8 });
    }
    for (const [number, origin] of origins.entries()) {
      const trace = reader.next()!;
      const { peer, answer, copied, ...rest } = trace;
      assert.deepEqual(rest, {
        socket: 3,
        transport: number % 2 === 0 ? 0 : 1,
        origin,
        atMs: 1e6 + number / 8,
        durationMs: number / 4,
        answerBytes: 40,
      });
      assert.deepEqual(
        [[...peer], [...answer.subarray(0, copied)]],
        [new Array(peerAddressWords).fill(number), new Array(40).fill(number)],
      );
    }
    assert.equal(reader.next(), null);
  });

  it('have the beginning of a long answer, and all of its length', () => {
    const { reader, hit } = newPair();
    reader.want({ hitsOneIn: 1, others: 'told' });
    hit(7, {}, 4_000);
    const { copied, answerBytes } = reader.next()!;
    assert.deepEqual([copied, answerBytes], [sampledPacketBytes, 4_000]);
  });

  it('that find no room are lost and counted, hits before what took time', () => {
    const { reader, hit, miss, readAll } = newPair();
    reader.want({ hitsOneIn: 1, others: 'told' });
    const places = (tracesMax / 4) * 3;
    for (let number = 0; number < places + 10; number++) hit(1);
    assert.deepEqual([reader.unread, reader.lost], [places, 10]);
    for (let number = 0; number < tracesMax; number++) miss(2, 30);
    assert.deepEqual([reader.unread, reader.lost], [tracesMax, 10 + places]);
    const all = readAll();
    assert.equal(all.filter((each) => each === 2).length, tracesMax / 4);
    hit(1);
    assert.deepEqual(readAll(), [1], 'there is room again');
  });

  it('are sampled as the reader says, and the others are counted', () => {
    const { reader, hit, readAll } = newPair();
    reader.want({ hitsOneIn: 8, others: 'told' });
    let told = 0;
    for (let number = 0; number < 8_000; number++) {
      hit(number);
      if (number % 64 === 0) told += readAll().length;
    }
    told += readAll().length;
    assert.equal(told + reader.passedOver, 8_000);
    assert.ok(Math.abs(8_000 / told - 8) < 1, `one in ${8_000 / told}`);
    assert.equal(reader.lost, 0);
  });

  it('go on over the end of numbers, with another thread, and can be forgotten', () => {
    const { memory, reader, hit, readAll } = newPair();
    const words = new Int32Array(memory);
    words[0] = words[16] = 0x7fff_fffe;
    reader.want({ hitsOneIn: 1, others: 'told' });
    for (let number = 0; number < 4; number++) hit(number);
    assert.deepEqual(readAll(), [0, 1, 2, 3]);
    assert.ok(new TraceWriter(memory).wantsHits, 'a worker that takes the place of another goes on');
    hit(9);
    reader.clear();
    assert.deepEqual(readAll(), []);
  });
});
