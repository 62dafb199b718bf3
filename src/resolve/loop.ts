/**
 * `loop`: finds an upstream that sends our questions back to us. A block with the directive asks its upstream for a
 * name that nobody else can know; if that very question arrives at that block, asking its upstream would go round for
 * ever, and it is not asked any more. The process lives on: other zones are not at fault.
 */
import { nameToWire } from '../dns/names.js';
import { sameName, setU16 } from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import type { Random } from '../os/random.js';

export const typeHinfo = 13;

interface LoopProbe {
  /** Name, type HINFO and class IN in wire form. */
  readonly question: Uint8Array;
}

/** The server block that asks, by its place in the configuration, and the zone below which it asks. */
interface Prober {
  readonly block: number;
  readonly zone: string;
}

export class LoopWatch {
  readonly #probes = new Map<LoopProbe, { readonly block: number; readonly found: () => void }>();

  /** A question below the zone that nobody else asks; `found` is called when it comes back to the block. */
  newProbe({ block, zone }: Prober, random: Random, found: () => void): LoopProbe {
    const part = () => random.below(2 ** 32).toString(10);
    const name = nameToWire(`${part()}.${part()}.${zone === '.' ? '' : zone}`);
    const question = new Uint8Array(name.length + 4);
    question.set(name);
    setU16(question, name.length, typeHinfo);
    setU16(question, name.length + 2, 1);
    const probe = { question };
    this.#probes.set(probe, { block, found });
    return probe;
  }

  /** The probe is over: its question, should it still come, means nothing. */
  forget(probe: LoopProbe): void {
    this.#probes.delete(probe);
  }

  /**
   * Looks at a HINFO question that arrived at this block. True: it is a probe of this block's, which has been told. One
   * that another block has sent here is on its way, as its other questions are.
   */
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
