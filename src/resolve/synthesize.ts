/**
 * Answers that are made here, by what a block has for that, in the shape of the waiting half. A denial without a SOA
 * gets the zone's own, because without one neither we nor the client could keep it (RFC 2308 5).
 */

import {
  atAdditionals,
  atAnswers,
  atAuthorities,
  messageRcode,
  rcodeNoError,
  rcodeNxDomain,
  setU16,
  setU32,
  skipPlainName,
  typeSoa,
  u16,
} from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import type { Client } from '../listen/client.js';
import type { Made, MakeQuery, PluginAtWork, Route } from './route.js';
import type { ServedZone } from './zones.js';

/** The `make` of a route; null when the block has nothing that makes answers. */
export function makeFrom(atWork: readonly PluginAtWork[]): Route['make'] {
  const inOrder = atWork.flatMap(({ maker }) => maker ?? []);
  if (inOrder.length === 0) return null;
  return (query: MakeQuery, zone: ServedZone, asker: Client): Made => {
    for (const maker of inOrder) {
      const made = maker(query, asker);
      if (made.kind === 'next') continue;
      if (made.kind === 'servfail' || made.isForAskerAlone) return made;
      return { ...made, message: deniable(made.message, zone) };
    }
    return { kind: 'next' };
  };
}

/** The message, with the zone's SOA if it denies and brings nothing that says for how long. */
function deniable(message: Uint8Array, zone: ServedZone): Uint8Array {
  const rcode = messageRcode(message);
  const denies = rcode === rcodeNxDomain || rcode === rcodeNoError;
  const empty = u16(message, atAnswers) === 0 && u16(message, atAuthorities) === 0;
  return denies && empty ? withSoa(message, zone) : message;
}

/**
 * The message, which has a question and additional records at most, with the zone's SOA in its authority section.
 * The additional records are left out: they would have to move, and a denial needs none.
 */
function withSoa(message: Uint8Array, zone: ServedZone): Uint8Array {
  const { soa, ttlSeconds, zoneBytes } = zone.denial;
  // A zone that `cache` names apart is denied by the block's zone that it is in.
  const owner = zone.wire.subarray(zone.wire.length - zoneBytes);
  const end = skipPlainName(message, headerBytes, message.length) + 4;
  const whole = new Uint8Array(end + owner.length + 10 + soa.length);
  whole.set(message.subarray(0, end));
  whole.set(owner, end);
  const fixed = end + owner.length;
  setU16(whole, fixed, typeSoa);
  setU16(whole, fixed + 2, u16(message, end - 2));
  setU32(whole, fixed + 4, ttlSeconds);
  setU16(whole, fixed + 8, soa.length);
  whole.set(soa, fixed + 10);
  setU16(whole, atAuthorities, 1);
  setU16(whole, atAdditionals, 0);
  return whole;
}
