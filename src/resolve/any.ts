/**
 * The answer to questions for ANY where a block has `any`: one HINFO that says that such questions are obsolete (RFC
 * 8482 4.2), so that nobody can be flooded with everything there is under a name.
 */

import { byAny } from '../counters.js';
import { encodeAnswerTo, parseRecord } from '../dns/records.js';
import { rcodeNoError, typeAny } from '../dns/wire.js';
import type { Made, MakeQuery } from './route.js';
import { askedBy } from './template-data.js';

/** In seconds, as CoreDNS has it. */
const ttlSeconds = 8482;

/** Answers a question for ANY, in any class, and leaves others to the next. */
export function anyMaker(query: MakeQuery): Made {
  const { name, type } = askedBy(query.question);
  if (type !== typeAny) return { kind: 'next' };
  const message = encodeAnswerTo(query, {
    authoritative: false,
    rcode: rcodeNoError,
    answer: [parseRecord(`${name} ${ttlSeconds} IN HINFO "ANY obsoleted" "See RFC 8482"`)],
    authority: [],
    additional: [],
  });
  return { kind: 'message', message, by: byAny, extendedError: null, follow: null };
}
