/**
 * Samples of what comes in, brought to /top: those that answering threads took, and some of the packets that come to
 * the control lane itself. Composition: threads know nothing of names, and the page nothing of packets.
 */
import { Query, readQuestion } from '../dns/query.js';
import { lower } from '../dns/wire.js';
import { headerBytes, nameBytesMax, samplePackets, samplesReadMs } from '../limits.js';
import type { Serve } from '../listen/client.js';
import type { SampleReader } from '../listen/samples.js';
import type { Asked, HttpAnswer } from '../observe/http.js';
import { Top } from '../observe/top.js';
import { endpointOf } from '../os/addresses.js';
import type { Clock } from '../os/clock.js';
import type { Random } from '../os/random.js';

export interface TopTalkers {
  /** `serve`, with a look at some of the packets that no answering thread has seen. */
  watched(serve: Serve): Serve;
  answer(asked: Asked): HttpAnswer;
  stop(): void;
}

export function newTopTalkers(deps: {
  readonly clock: Clock;
  readonly random: Random;
  /** One reader for each answering thread. */
  readonly samples: readonly SampleReader[];
}): TopTalkers {
  const { clock, random, samples } = deps;
  const top = new Top(clock);
  const query = new Query();
  const question = Buffer.alloc(nameBytesMax + 2);
  let untilNext = 0;

  function seen(packet: Uint8Array, client: string, packets: number): void {
    if (!readQuestion(packet, packet.length, query)) return;
    // As bytes: text is made only of the few that are shown.
    const bytes = query.nameEnd - headerBytes + 2;
    for (let at = 0; at < bytes - 2; at++) question[at] = lower[packet[headerBytes + at]];
    question.set(packet.subarray(query.nameEnd, query.nameEnd + 2), bytes - 2);
    top.seen(question.toString('latin1', 0, bytes), client, packets);
  }

  function readSamples(): void {
    for (const reader of samples) {
      reader.read(({ packet, peer }, packets) => seen(packet, endpointOf(peer).address, packets));
    }
  }

  const timer = samples.length === 0 ? null : clock.every(samplesReadMs, readSamples);
  return {
    watched: (serve) => (packet, asker) => {
      const isWatched = asker.receivedAtMs === undefined && --untilNext < 0;
      if (isWatched) untilNext = random.below(2 * samplePackets - 1);
      try {
        if (isWatched) seen(packet, asker.remote.address, samplePackets);
      } finally {
        serve(packet, asker);
      }
    },
    answer(asked) {
      readSamples();
      return top.answer(asked);
    },
    stop: () => timer?.stop(),
  };
}
