/**
 * A sample of the packets that a worker receives, for statistics of names and clients: a ring in shared memory with one
 * writer, which never waits, and one reader. A packet that is not sampled costs its part of one addition per batch. While
 * there are so few that half the ring holds all of them, each is taken, and what is counted is exact.
 *
 *   words: | written | … | taken | … | passed over | gap | … |   samples: | bytes nameBytes peer | the packet's beginning |
 */
import { sampledPacketBytes, samplePackets, samplesMax } from '../limits.js';
import { type Datagrams, peerAddressWords } from './message-batch.js';

const samplesWrittenWord = 0;
const samplesTakenWord = 16;
const passedOverSamplesDouble = 16;
/** Written by the reader: one packet in so many is taken, on average; 0 at first means each. */
const sampleGapWord = 48;
const samplesFromWord = 64;
const sampleAtBytes = 0;
const sampleAtNameBytes = 1;
const sampleAtPeer = 2;
const atPacket = sampleAtPeer + peerAddressWords;
const wordsOfSample = atPacket + sampledPacketBytes / 4;

export function samplesMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer((samplesFromWord + samplesMax * wordsOfSample) * 4);
}

export class SampleWriter {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  /** Packets before the next sample. */
  #until = 0;
  /** Which packets are taken need not be unpredictable, only independent of what they ask. */
  #state = 1;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#doubles = new Float64Array(memory);
  }

  /** Samples these received datagrams, before they are prepared for the next call. */
  take(datagrams: Datagrams, count: number): void {
    let taken = 0;
    let index = this.#until;
    while (index < count) {
      const isTaken = datagrams.nameBytes(index) > 0 ? this.#put(datagrams, index) : 0;
      taken += isTaken;
      index += isTaken === 1 && this.#words[sampleGapWord] <= 1 ? 1 : this.#gap();
    }
    this.#until = index - count;
    this.#doubles[passedOverSamplesDouble] += count - taken;
  }

  /** 1 to twice the mean, so that a client that asks for A and AAAA in turn is sampled for both. */
  #gap(): number {
    this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) | 0;
    return 1 + ((this.#state >>> 16) % (2 * samplePackets - 1));
  }

  /** 0 when there is no room. */
  #put(datagrams: Datagrams, index: number): 0 | 1 {
    const words = this.#words;
    const written = words[samplesWrittenWord];
    if (((written - Atomics.load(words, samplesTakenWord)) | 0) >= samplesMax) return 0;
    const at = samplesFromWord + (written & (samplesMax - 1)) * wordsOfSample;
    const bytes = Math.min(datagrams.length(index), sampledPacketBytes);
    words[at + sampleAtBytes] = bytes;
    words[at + sampleAtNameBytes] = datagrams.nameBytes(index);
    const peer = datagrams.peerAt(index);
    for (let word = 0; word < peerAddressWords; word++) words[at + sampleAtPeer + word] = datagrams.words[peer + word];
    const packet = datagrams.slots[index].words;
    for (let word = 0; word < (bytes + 3) >> 2; word++) words[at + atPacket + word] = packet[word];
    Atomics.store(words, samplesWrittenWord, (written + 1) | 0);
    return 1;
  }
}

/** One object, overwritten by the next sample. */
interface NameSample {
  packet: Uint8Array;
  readonly peer: Int32Array;
}

export class SampleReader {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #bytes: Uint8Array;
  readonly #sample: NameSample = { packet: new Uint8Array(0), peer: new Int32Array(peerAddressWords) };
  #passedOverBefore = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#doubles = new Float64Array(memory);
    this.#bytes = new Uint8Array(memory);
  }

  /**
   * Calls `each` with the samples since the last call, and the number of packets each represents: 1 if all were taken. By
   * their number the writer then takes each, or one in `samplePackets`.
   */
  read(each: (sample: NameSample, packets: number) => void): void {
    const words = this.#words;
    const passedOver = this.#doubles[passedOverSamplesDouble];
    const taken = words[samplesTakenWord];
    const count = (Atomics.load(words, samplesWrittenWord) - taken) | 0;
    const all = count + passedOver - this.#passedOverBefore;
    words[sampleGapWord] = all <= samplesMax / 2 ? 1 : samplePackets;
    // Later samples represent packets of which none was taken.
    if (count <= 0) return;
    const packets = all / count;
    this.#passedOverBefore = passedOver;
    for (let index = 0; index < count; index++) {
      const at = samplesFromWord + ((taken + index) & (samplesMax - 1)) * wordsOfSample;
      for (let word = 0; word < peerAddressWords; word++) this.#sample.peer[word] = words[at + sampleAtPeer + word];
      const packetAt = (at + atPacket) * 4;
      this.#sample.packet = this.#bytes.subarray(packetAt, packetAt + words[at + sampleAtBytes]);
      each(this.#sample, packets);
    }
    Atomics.store(words, samplesTakenWord, (taken + count) | 0);
  }
}
