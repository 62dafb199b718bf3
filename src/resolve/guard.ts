/**
 * What stands before everything else in a server block, the cache included, and may end a query there. Zones that have
 * such are handed over by the answering lanes, so that only the control lane looks at this, and only for them.
 */

import type { Answerer } from '../counters.js';
import type { ExtendedError } from '../dns/answer.js';
import { questionForType, questionOf } from '../dns/query.js';
import { typeA, typeAaaa, u16 } from '../dns/wire.js';
import type { Asker } from '../listen/asker.js';
import type { Lane } from './lane.js';
import { inPluginOrder } from './plugin-order.js';
import type { MakeQuery } from './route.js';
import { aaaaSmart } from './zones.js';

export type Verdict =
  /** It may go on. */
  | { readonly kind: 'pass' }
  /** It gets no answer. */
  | { readonly kind: 'drop' }
  /** It gets this answer, a whole message to it without an OPT. */
  | { readonly kind: 'message'; readonly message: Uint8Array; readonly by: Answerer }
  /** It gets this rcode and no records. */
  | {
      readonly kind: 'empty';
      readonly rcode: number;
      readonly extendedError: ExtendedError;
      /** Who says so, for the metrics. */
      readonly by: Answerer;
    };

/** A query to be judged. */
export interface GuardQuery extends MakeQuery {
  /** Place of its zone and server in the counters. */
  readonly ordinal: number;
}

export type Guard = (query: GuardQuery) => Verdict;

/** What a block has of those who judge; the first that does not let the query pass ends it. */
export type Guards = { readonly [Name in 'local' | 'acl']?: Guard | undefined };

const passes: Verdict = { kind: 'pass' };

/** Judges the packet that the lane has read, in its zone; null when the block has nothing that would. */
export function guardFrom(guards: Guards): ((packet: Uint8Array, lane: Lane, asker: Asker) => Verdict) | null {
  const inOrder = inPluginOrder(guards);
  if (inOrder.length === 0) return null;
  return (packet, lane, asker) => {
    const query: GuardQuery = {
      id: u16(packet, 0),
      flags: lane.query.flags,
      question: questionOf(packet, lane.query),
      remote: asker.remote.address,
      ordinal: lane.zone!.ordinal,
    };
    for (const guard of inOrder) {
      const verdict = guard(query);
      if (verdict.kind !== 'pass') return verdict;
    }
    if (guards.acl === undefined || lane.query.type !== typeAaaa || lane.zone!.aaaa !== aaaaSmart) return passes;
    // What is said of AAAA tells of the name's A.
    return guards.acl({ ...query, question: questionForType(packet, lane.query, typeA) });
  };
}
