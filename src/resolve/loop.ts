/**
 * `loop` finds an upstream that sends our queries back. A block with the directive asks its upstream for a random name;
 * if that question arrives at the same block, the upstream loops and is not asked any more. The process keeps running:
 * other zones are not affected.
 */
import { questionFor } from '../dns/query.js';
import { sameName } from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import type { Random } from '../os/random.js';

export const typeHinfo = 13;

interface LoopProbe {
  /** Name, type HINFO and class IN in wire form. */
  readonly question: Uint8Array;
}

export class LoopWatch {
  readonly #probes = new Map<LoopProbe, { readonly block: number; readonly found: () => void }>();

  /** A question below the zone with a random name; `found` is called when it comes back to the block. */
  newProbe({ block, zone }: { block: number; zone: string }, random: Random, found: () => void): LoopProbe {
    const part = () => random.below(2 ** 32).toString(10);
    const probe = { question: questionFor(`${part()}.${part()}.${zone === '.' ? '' : zone}`, typeHinfo) };
    this.#probes.set(probe, { block, found });
    return probe;
  }

  /** Ends the probe; its question means nothing from now on. */
  forget(probe: LoopProbe): void {
    this.#probes.delete(probe);
  }

  /** Whether this HINFO question that arrived at the block is one of the block's probes; if so, calls its `found`. */
  seen(packet: Uint8Array, questionEnd: number, block: number): boolean {
    for (const [probe, { block: asking, found }] of this.#probes) {
      const { question } = probe;
      if (asking !== block) continue;
      if (question.length !== questionEnd - headerBytes) continue;
      if (!sameName(question, 0, packet, headerBytes, question.length - 4)) continue;
      this.#probes.delete(probe);
      found();
      return true;
    }
    return false;
  }
}
