/**
 * Denials of their own for names below an NXDOMAIN cut that are asked for again. The kernel lane gives only what is a
 * question's own, so of names answered from cuts it has nothing while the process hangs. Where it may give them, the second
 * question caches the cut's denial under its own name, with the cut's times. The main thread's.
 *
 *   asked ──> from the cut ──asked again──> from the cut, and cached ──asked again──> a hit, and published
 */
import { kindDenial } from '../cache/blocks.js';
import type { Cache, Store } from '../cache/cache.js';
import { Normaliser } from '../dns/normalise.js';
import { readQuery } from '../dns/query.js';
import { atFlags, atQuestions, copyOf, flagRd, setU16 } from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import { keepOf } from './cacheability.js';
import { AskedAgain, findCut, newCutLookup } from './cut.js';
import type { WorkerContext } from './worker-context.js';
import type { ServedZone } from './zones.js';

interface OwnDenialsDeps {
  readonly context: WorkerContext;
  readonly cache: Cache;
  /** Null: nothing of the zone is cached. */
  store(zone: ServedZone): Store | null;
  nowMs(): number;
}

export class OwnDenials {
  readonly #deps: OwnDenialsDeps;
  readonly #asked: AskedAgain;
  readonly #normaliser: Normaliser;
  readonly #lookup = newCutLookup();

  constructor(deps: OwnDenialsDeps) {
    this.#deps = deps;
    this.#asked = new AskedAgain(deps.context);
    this.#normaliser = new Normaliser(deps.cache.blocks.hashKey);
  }

  /** A client's question was answered from a cut. Borrows it; the context reads it again. */
  cut(zone: ServedZone, question: Uint8Array): void {
    const { context, cache, store, nowMs } = this.#deps;
    const { blocks, query } = context;
    const packet = new Uint8Array(headerBytes + question.length);
    setU16(packet, atFlags, flagRd);
    setU16(packet, atQuestions, 1);
    packet.set(question, headerBytes);
    context.zone = zone;
    if (readQuery(packet, packet.length, query) !== 'ok' || !this.#asked.isAgain(packet)) return;
    const kept = store(zone);
    const ref = findCut({ blocks, query, lookup: this.#lookup }, zone, packet, nowMs());
    const bytes = kept === null || ref === 0 ? 0 : context.answerBelow(packet, ref, 0);
    if (bytes === 0 || !this.#normaliser.read(copyOf(context.slot.bytes, 0, bytes))) return;
    const { out } = this.#normaliser;
    const denial = { kind: kindDenial, lifetimeMs: blocks.lifetimeMs(ref), records: out.records } as const;
    cache.keep(kept!, keepOf(out, denial, { zoneId: zone.zoneId, key: 0 }), blocks.storedAtMs(ref));
  }
}
