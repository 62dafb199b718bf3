/**
 * `any`: answers ANY queries with one HINFO record (RFC 8482 4.2), so that they cannot be used to flood others with all
 * records of a name.
 */

import { readSwitches } from '../../config/directives/switches.js';
import { newAnswerer } from '../../counters.js';
import { askedBy } from '../../dns/query.js';
import { typeAny } from '../../dns/wire.js';
import type { Made, MakeQuery } from '../../resolve/route.js';
import { madeAnswer, type Plugin } from '../plugin.js';

export const byAny = newAnswerer('any');

/** CoreDNS's TTL. */
const anyTtlSeconds = 8482;

export const any: Plugin<true> = {
  name: 'any',
  repeats: 'all',
  read: readSwitches,
  traits: (cachedBy) => ({ cachedBy: { any: cachedBy } }),
  start: () => ({ maker: answerAny }),
};

/** Answers ANY in every class. */
function answerAny(query: MakeQuery): Made {
  const { name, type } = askedBy(query.question);
  if (type !== typeAny) return { kind: 'next' };
  const record = `${name} ${anyTtlSeconds} IN HINFO "ANY obsoleted" "See RFC 8482"`;
  return madeAnswer(query, byAny, { answer: [record] });
}
