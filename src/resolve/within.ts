/**
 * Questions that we ask ourselves, as a client would: answered from the cache, made here, or asked upstream together
 * with everybody who asks the same. They are nobody's queries, so they are neither counted nor logged.
 */
import { optionOf } from '../dns/options.js';
import { ownQuery } from '../dns/own-query.js';
import { readQuery } from '../dns/query.js';
import { copyOf, optionExtendedError, u16 } from '../dns/wire.js';
import type { Asker } from '../listen/asker.js';
import { overTcp, overUdp } from '../ops/counters.js';
import type { Clock } from '../outside/clock.js';
import type { Ask, Outcome } from '../upstream/ask.js';
import { answerCached, handedOver } from './answer-now.js';
import type { Forwarder } from './forwarder.js';
import { edeStale, edeStaleNxdomain, type Lane } from './lane.js';
import type { CachePolicy, ServedZone } from './zones.js';

export interface WithinWorld {
  readonly lane: Lane;
  readonly clock: Clock;
  readonly forwarder: Pick<Forwarder, 'waitWithin'>;
}

const unanswered: Outcome = { ok: false, why: 'unreachable', text: 'the question got no answer' };
const nowhere = { address: '', port: 0 };

/** Asks in this zone; what comes is a whole answer, its TTLs counted down, and given in a later turn. */
export function askWithin({ lane, clock, forwarder }: WithinWorld, zone: ServedZone): Ask {
  return (request, done) => {
    const packet = ownQuery(request);
    const asker: Asker = {
      transport: request.clientTransport === 'tcp' ? overTcp : overUdp,
      remote: { address: request.client ?? '', port: 0 },
      local: nowhere,
      reply(answer) {
        const message = answer === null ? null : copyOf(answer, 0, answer.length);
        // Whoever replies is in the midst of something.
        queueMicrotask(() => done(message === null ? unanswered : answeredBy(message)));
      },
    };
    const nowMs = clock.nowMs();
    readQuery(packet, packet.length, lane.query);
    lane.zone = zone;
    lane.transport = overTcp;
    // The answer may become part of one that is kept, so a stale one is taken only if the upstream fails.
    const bytes = zone.cache === null ? handedOver : answerCached(lane, patient(zone.cache), packet, nowMs);
    if (bytes === handedOver) forwarder.waitWithin(packet, asker, nowMs);
    else asker.reply(lane.slot.bytes.subarray(0, bytes));
  };
}

function patient(policy: CachePolicy): CachePolicy {
  return { ...policy, staleAtOnce: false };
}

function answeredBy(message: Uint8Array): Outcome {
  const error = optionOf(message, optionExtendedError);
  const code = error === null ? 0 : u16(error, 0);
  return { ok: true, message, from: '', isStale: code === edeStale.code || code === edeStaleNxdomain.code };
}
