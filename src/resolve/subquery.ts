/**
 * Questions that we ask ourselves, as a client would: answered from the cache, made here, or asked upstream together
 * with everybody who asks the same. They are nobody's queries, so they are neither counted nor logged; but they are asked
 * for a client, in its time, and what the client may not have is not given.
 */

import { overTcp, overUdp } from '../counters.js';
import { typeName, wireToName } from '../dns/names.js';
import { optionOf } from '../dns/options.js';
import { ownQuery } from '../dns/own-queries.js';
import { readQuery } from '../dns/query.js';
import { copyOf, optionExtendedError, rcodeRefused, typeAaaa, u16 } from '../dns/wire.js';
import type { Client } from '../listen/client.js';
import type { Clock } from '../os/clock.js';
import type { Ask, Outcome, Request } from '../upstream/ask.js';
import { answerCached, handedOver, rcodeForAaaa } from './fast-path.js';
import { circularText, edeStale, edeStaleNxdomain, type Lane } from './lane.js';
import type { Misses } from './miss.js';
import type { OwnWaiter } from './pending.js';
import type { LookUp, Route } from './route.js';
import { aaaaForward, type CachePolicy, findZone, type ServedZone, type ZoneTable, zoneOfClient } from './zones.js';

interface WithinDeps {
  readonly lane: Lane;
  readonly clock: Clock;
  readonly forwarder: Pick<Misses, 'waitWithin' | 'refresh'>;
  readonly routes: Pick<WeakMap<ServedZone, Route>, 'get'>;
}

const nowhere = { address: '', port: 0 };

/** Asks in this zone; what comes is a whole answer, its TTLs counted down, and given in a later turn. */
export function askWithin(deps: WithinDeps, zone: ServedZone): Ask {
  const { lane, routes } = deps;
  return (request, done) => {
    const client = { remote: { address: request.client ?? '', port: 0 }, local: nowhere };
    const asking = queryFor(request, client, done, lane);
    lane.zone = zone;
    const { ordinal, block } = zone;
    const asked = { question: request.question, remote: client.remote.address, ordinal, block };
    const action = routes.get(zone)!.judge?.(asked) ?? 'allow';
    if (action !== 'allow') return asking.ours.failed(action);
    // What is made of the answer takes the place of one that was stale, so another stale one would be no refresh.
    answer(deps, asking, request, zone.cache === null ? null : { ...zone.cache, staleAtOnce: false });
  };
}

/**
 * Asks as a client of the listener that serves by this table would: the name's own zone, with the guards, policies, cache
 * and upstreams of its block. What comes is as `askWithin` gives it.
 */
export function lookUpIn(deps: WithinDeps, table: ZoneTable): LookUp {
  const { lane, routes } = deps;
  return (request, client, done) => {
    const asking = queryFor(request, client, done, lane);
    const { packet, asker, ours } = asking;
    const zone = findZone(table, packet, lane.query);
    if (zone === null) return ours.failed('nobody');
    lane.zone = zoneOfClient(zone, lane.query, lane.family);
    const verdict = routes.get(zone)!.guard?.(packet, lane, asker) ?? { kind: 'pass' };
    if (verdict.kind === 'drop') return ours.failed('drop');
    if (verdict.kind === 'empty') return ours.failed(verdict.rcode === rcodeRefused ? 'block' : 'filter');
    if (verdict.kind === 'message') return ours.answered(verdict.message, true);
    answer(deps, asking, request, lane.zone.cache);
  };
}

type Done = (outcome: Outcome) => void;

/** A request as a packet, who asks, and who hears what becomes of it. */
interface Asking {
  readonly packet: Uint8Array;
  readonly asker: Client;
  readonly ours: OwnWaiter;
}

/** The lane has read the packet then. */
function queryFor(
  request: Request,
  { remote, local }: Pick<Client, 'remote' | 'local'>,
  done: Done,
  lane: Lane,
): Asking {
  const packet = ownQuery(request);
  const transport = request.clientTransport === 'tcp' ? overTcp : overUdp;
  readQuery(packet, packet.length, lane.query);
  lane.family = remote.address.includes(':') ? 1 : 0;
  lane.transport = overTcp;
  return { packet, asker: { transport, remote, local, reply() {} }, ours: waiterFor(request, done) };
}

/** Whoever answers is in the midst of something, so `done` is called later. */
function waiterFor({ question }: Request, done: Done): OwnWaiter {
  return {
    answered(answer, mayKeep) {
      const message = copyOf(answer, 0, answer.length);
      queueMicrotask(() => done({ ok: true, message, from: '', mayKeep, isStale: saysStale(message) }));
    },
    failed(why) {
      const asked = `${wireToName(question, 0)} ${typeName(u16(question, question.length - 4))}`;
      const text = why === 'circular' ? circularText : `${asked}, the next name in the chain, got no answer (${why})`;
      queueMicrotask(() => done({ ok: false, why, text }));
    },
  };
}

/** Answers what the lane has read, in its zone, from what is known, or when it is known. */
function answer(
  { lane, clock, forwarder }: WithinDeps,
  { packet, asker, ours }: Asking,
  request: Request,
  policy: CachePolicy | null,
): void {
  const nowMs = clock.nowMs();
  lane.refreshDue = false;
  const bytes = answerKnown(lane, policy, packet, nowMs);
  if (bytes === handedOver) {
    const { askedAtMs = nowMs, depth = 0 } = request;
    return forwarder.waitWithin(packet, asker, { askedAtMs, depth, ours });
  }
  ours.answered(lane.slot.bytes.subarray(0, bytes), lane.block === 0 || nowMs < lane.blocks.expiresAtMs(lane.block));
  if (lane.refreshDue) forwarder.refresh(packet, asker, nowMs);
}

/** The lane's block is what it was taken from; 0 is none. */
function answerKnown(lane: Lane, policy: CachePolicy | null, packet: Uint8Array, nowMs: number): number {
  const zone = lane.zone!;
  lane.block = 0;
  if (lane.query.type === typeAaaa && zone.aaaa !== aaaaForward) {
    const rcode = rcodeForAaaa(lane, packet, zone, nowMs);
    return rcode < 0 ? handedOver : lane.answerDenial(packet, zone, rcode);
  }
  return policy === null ? handedOver : answerCached(lane, policy, packet, nowMs);
}

function saysStale(message: Uint8Array): boolean {
  const error = optionOf(message, optionExtendedError);
  const code = error === null ? 0 : u16(error, 0);
  return code === edeStale.code || code === edeStaleNxdomain.code;
}
