import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { batchPacketsMax, sampledPacketBytes, samplePackets, samplesMax } from '../../src/limits.js';
import { Datagrams, peerAddressWords } from '../../src/listen/message-batch.js';
import { SampleReader, SampleWriter, samplesMemory } from '../../src/listen/samples.js';

/** A batch as recvmmsg leaves it: each packet's bytes are its number, and so is its sender's address. */
function batchOf(count: number, bytes = 40, first = 0): Datagrams {
  const datagrams = new Datagrams({ addressOf: () => 4096 }, 4096);
  for (let index = 0; index < count; index++) {
    datagrams.slots[index].bytes.fill((first + index) & 0xff, 0, bytes);
    datagrams.address(index, bytes, new Int32Array(peerAddressWords).fill(first + index), 0, 16, 0);
    datagrams.words[index * 16 + 14] = bytes;
  }
  return datagrams;
}

function newPair() {
  const memory = samplesMemory();
  const [writer, reader] = [new SampleWriter(memory), new SampleReader(memory)];
  const read = () => {
    const samples: { packet: Uint8Array; peer: number; packets: number }[] = [];
    reader.read(({ packet, peer }, packets) => samples.push({ packet: packet.slice(), peer: peer[0], packets }));
    return samples;
  };
  return { memory, writer, read };
}

/** As after a second with more packets than are all taken. */
function fast(writer: SampleWriter, read: () => unknown): void {
  for (let times = 0; times < 2 * samplesMax; times++) writer.take(batchOf(1), 1);
  read();
}

describe('samples', () => {
  it('are all packets while there are few, and stand for themselves', () => {
    const { writer, read } = newPair();
    const batch = batchOf(3);
    const batches = Math.floor(samplesMax / 2 / 3);
    for (let second = 0; second < 20; second++) {
      for (let times = 0; times < batches; times++) writer.take(batch, 3);
      const samples = read();
      assert.equal(samples.length, batches * 3);
      assert.ok(samples.every(({ packets }) => packets === 1));
    }
    for (let times = 0; times < samplesMax; times++) writer.take(batch, 3);
    const burst = read();
    assert.equal(burst.length, samplesMax, 'a burst fills the ring');
    assert.ok(Math.abs(burst[0].packets - 3) < 1e-9, 'and what it has stands for the rest');
    for (let times = 0; times < samplesMax; times++) writer.take(batch, 3);
    assert.ok(read().length < samplesMax / 2, 'then one in so many is taken');
    writer.take(batch, 3);
    read();
    for (let times = 0; times < samplePackets; times++) writer.take(batch, 3);
    read();
    writer.take(batch, 3);
    assert.deepEqual(
      read().map(({ packets }) => packets),
      [1, 1, 1],
      'and all again when it is over',
    );
  });

  it('are packets with their senders, as they were received', () => {
    const { writer, read } = newPair();
    writer.take(batchOf(batchPacketsMax), batchPacketsMax);
    const samples = read();
    assert.ok(samples.length > 0);
    for (const { packet, peer } of samples) assert.deepEqual([...packet], new Array(40).fill(peer));
    assert.equal(new Set(samples.map(({ peer }) => peer)).size, samples.length);
    assert.deepEqual(read(), [], 'each is read once');
  });

  it('stand for all packets, in batches of any size, one in so many on average', () => {
    for (const size of [1, 3, batchPacketsMax]) {
      const { writer, read } = newPair();
      const batch = batchOf(size);
      fast(writer, read);
      let [stoodFor, samples, packets] = [0, 0, 0];
      const timesPerRead = Math.ceil((10 * samplesMax) / size);
      for (let times = 0; times < 40_000 / size; times++) {
        writer.take(batch, size);
        packets += size;
        for (const sample of times % timesPerRead === timesPerRead - 1 ? read() : []) {
          stoodFor += sample.packets;
          samples++;
        }
      }
      for (const sample of read()) {
        stoodFor += sample.packets;
        samples++;
      }
      assert.ok(Math.abs(packets / samples - samplePackets) < 1, `one in ${packets / samples}`);
      assert.ok(packets - stoodFor < 2 * samplePackets && stoodFor < packets + 1e-6, `${stoodFor} of ${packets}`);
    }
  });

  it('are not always of one kind where two kinds come in turn', () => {
    const { writer, read } = newPair();
    const batch = batchOf(2);
    let odd = 0;
    for (let times = 0; times < 4_000; times++) {
      writer.take(batch, 2);
      if (times % 100 === 99) odd += read().filter(({ peer }) => peer === 1).length;
    }
    assert.ok(odd > 150 && odd < 350, `${odd} of some 500`);
  });

  it('that find no room are stood for by the others', () => {
    const { writer, read } = newPair();
    const batch = batchOf(batchPacketsMax);
    const packets = 4 * samplesMax * samplePackets;
    for (let count = 0; count < packets; count += batchPacketsMax) writer.take(batch, batchPacketsMax);
    const samples = read();
    assert.equal(samples.length, samplesMax);
    assert.ok(Math.abs(samples.reduce((sum, sample) => sum + sample.packets, 0) - packets) < 1e-3);
    writer.take(batch, batchPacketsMax);
    assert.ok(read().length > 0);
  });

  it('go on over the end of numbers, and with a thread that takes the place of another', () => {
    const { memory, read } = newPair();
    const words = new Int32Array(memory);
    words[0] = words[16] = 0x7fff_ffff;
    for (let thread = 0; thread < 3; thread++) {
      const writer = new SampleWriter(memory);
      writer.take(batchOf(batchPacketsMax), batchPacketsMax);
      const samples = read();
      assert.ok(samples.length >= 2);
      for (const { packet, peer } of samples) assert.equal(packet[0], peer);
    }
  });

  it('have a beginning of a long packet, and nothing where nothing was received', () => {
    const { writer, read } = newPair();
    const long = batchOf(1, 1_000);
    writer.take(long, 1);
    assert.equal(read()[0].packet.length, sampledPacketBytes);
    const empty = batchOf(batchPacketsMax);
    for (let index = 0; index < batchPacketsMax; index++) empty.words[index * 16 + 2] = 0;
    writer.take(empty, batchPacketsMax);
    assert.deepEqual(read(), []);
  });
});
