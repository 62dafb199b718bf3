/**
 * How one server block gets what it does not have: whom it asks, what it makes by template, what it keeps. Declared
 * here by its user, the waiting half; put together by app.ts.
 */
import type { Kind } from '../cache/blocks.js';
import type { AclRule } from '../config/config.js';
import type { Answerer } from '../counters.js';
import type { AnswerOrder } from '../dns/normalise.js';
import type { Asker } from '../listen/asker.js';
import type { Ask, Outcome, Request } from '../upstream/ask.js';
import type { AclQuery } from './acl.js';
import type { KeepPolicy } from './cacheability.js';
import type { PlanCourse } from './course.js';
import type { Verdict } from './guard.js';
import type { Lane } from './lane.js';
import type { QueryLogRecord } from './query-log-record.js';
import type { ServedZone } from './zones.js';

/** A question for which something of the block may have the answer. */
export interface MakeQuery {
  readonly id: number;
  /** The flags word of the query's header. */
  readonly flags: number;
  /** Name, type and class in wire form, uncompressed, in the client's spelling. */
  readonly question: Uint8Array;
  /** The client's address, without the port. */
  readonly remote: string;
}

/** An `Ask` in the name of a client; its `reply` is not called. */
export type LookUp = (request: Request, client: Asker, done: (outcome: Outcome) => void) => void;

export interface Route {
  /** Judges the packet that the lane has read before anything else does; null: everybody may ask anything. */
  readonly guard: ((packet: Uint8Array, lane: Lane, asker: Asker) => Verdict) | null;
  readonly ask: Ask;
  /** `ask` asks by questions of ours. */
  readonly asksOurselves: boolean;
  /** Asks the whole server, as this client of the same listener would. */
  readonly lookUp: LookUp;
  /** What the rules say of a name that is asked in the place of a client's; null: there are no rules on this listener. */
  readonly judge: ((query: AclQuery & Pick<ServedZone, 'block'>) => AclRule['action']) | null;
  /** Null: the block has no cache. */
  readonly keep: KeepRoute | null;
  /** In which order answers are kept. */
  readonly order: AnswerOrder;
  /** What positive answers keep (`minimal`). */
  readonly sections: 'all' | 'answer';
  /** What a miss makes or asks in the place of its question; null: the block has nothing that changes questions. */
  readonly plan: PlanCourse | null;
  /** Makes an answer to a question of this zone; null: the block has nothing that makes answers. */
  readonly make: ((query: MakeQuery, zone: ServedZone, asker: Asker) => Made) | null;
  /** Tells the query log and dnstap's collectors; borrows the facts. Null: the block has neither. */
  readonly logQuery: ((facts: QueryLogRecord) => void) | null;
  /** A question ended without an answer that clients could get: for the errors log. */
  failed(question: Uint8Array, rcode: number, text: string): void;
}

export type Made =
  | {
      readonly kind: 'message';
      readonly message: Uint8Array;
      /** Who made it, for the metrics. */
      readonly by: Answerer;
      /** Goes with the answer to clients with EDNS (RFC 8914); an answer that has one is not kept. */
      readonly extendedError: { readonly code: number; readonly text: string } | null;
      /** What its alias leads to: the whole server is asked, and the answer put behind it. */
      readonly follow: Uint8Array | null;
      /** It says something of the one who asked: no denial, and nothing to be kept for others. */
      readonly isForAskerAlone?: true;
    }
  /** It is somebody else's; the next in line is asked. */
  | { readonly kind: 'next' }
  | { readonly kind: 'servfail'; readonly text: string };

export interface KeepRoute {
  readonly policy: KeepPolicy;
  /** How long clients wait while a stale answer is at hand; Infinity is until the upstream fails. */
  readonly patienceMs: number;
  /** After a failed refresh the upstream is not asked again for this long. */
  readonly recheckMs: number;
  /** A positive answer, even past its expiry, is not replaced by a negative one while it may be used. */
  readonly preferPositive: boolean;
  /** Whether answers of this kind to this question are kept (`disable`). */
  keeps(kind: Kind, question: Uint8Array): boolean;
}
