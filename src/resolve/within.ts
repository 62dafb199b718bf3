/**
 * Questions that we ask ourselves, as a client would: answered from the cache, made here, or asked upstream together
 * with everybody who asks the same. They are nobody's queries, so they are neither counted nor logged.
 */
import { ownQuery } from '../dns/own-query.js';
import { readQuery } from '../dns/query.js';
import { copyOf } from '../dns/wire.js';
import { assert } from '../limits.js';
import type { Asker } from '../listen/asker.js';
import { overTcp, overUdp } from '../ops/counters.js';
import type { Clock } from '../outside/clock.js';
import type { Ask, Outcome } from '../upstream/ask.js';
import { answerCached, handedOver } from './answer-now.js';
import type { Forwarder } from './forwarder.js';
import type { Lane } from './lane.js';
import type { ServedZone } from './zones.js';

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
    let isSettled = false;
    const asker: Asker = {
      transport: request.clientTransport === 'tcp' ? overTcp : overUdp,
      remote: { address: request.client ?? '', port: 0 },
      local: nowhere,
      reply(answer) {
        assert(!isSettled, 'a question is answered once');
        isSettled = true;
        const message = answer === null ? null : copyOf(answer, 0, answer.length);
        // Whoever replies is in the midst of something.
        queueMicrotask(() => done(message === null ? unanswered : { ok: true, message, from: '' }));
      },
    };
    const nowMs = clock.nowMs();
    readQuery(packet, packet.length, lane.query);
    lane.zone = zone;
    lane.transport = overTcp;
    const bytes = zone.cache === null ? handedOver : answerCached(lane, zone.cache, packet, nowMs);
    if (bytes === handedOver) forwarder.waitWithin(packet, asker, nowMs);
    else asker.reply(lane.slot.bytes.subarray(0, bytes));
  };
}
