/**
 * The control lane's way in: a packet from a listener of this lane goes through the spine, and on to the forwarder
 * when it has to wait. An exception here is a bug of ours; it costs its own packet and a count, nothing else.
 */
import { readQuery } from '../dns/query.js';
import type { Client, Refresh, Refuse, Serve } from '../listen/client.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import { answerNow, dropped, handedOver } from './fast-path.js';
import type { Lane } from './lane.js';
import type { Misses } from './miss.js';
import { queryLogRecordOf } from './query-log-record.js';
import { leaveUnanswered } from './respond.js';
import type { Route } from './route.js';
import { findZone, type ServedZone, type ZoneTable, zoneOfClient } from './zones.js';

export interface ServeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly lane: Lane;
  readonly forwarder: Pick<Misses, 'wait' | 'refresh' | 'refuse'>;
  readonly routes: Pick<WeakMap<ServedZone, Route>, 'get'>;
}

/** The zones by which a client with this address is served at that moment. */
export type TableOf = (client: string) => ZoneTable;

/** What a listener calls for each packet. */
export function serveFrom(deps: ServeDeps, tableOf: TableOf): Serve {
  const { clock, lane, forwarder } = deps;

  function serve(packet: Uint8Array, asker: Client): void {
    const nowMs = clock.nowMs();
    lane.transport = asker.transport;
    lane.family = asker.remote.address.includes(':') ? 1 : 0;
    const zones = tableOf(asker.remote.address);
    if (zones.isGuarded && isTurnedAway(deps, zones, packet, asker)) return;
    const bytes = answerNow(lane, zones, packet, packet.length, nowMs);
    if (bytes === handedOver) return forwarder.wait(packet, asker, asker.receivedAtMs ?? nowMs);
    if (bytes === dropped) return asker.reply(null);
    asker.reply(lane.slot.bytes.subarray(0, bytes));
    if (lane.zone !== null && lane.zone.handOver !== 0) {
      deps.routes
        .get(lane.zone)
        ?.logQuery?.(
          queryLogRecordOf(lane, packet, asker, bytes, { durationMs: clock.nowMs() - nowMs, upstream: null }),
        );
    }
    if (lane.refreshDue) forwarder.refresh(packet, asker, nowMs);
  }

  return guarded(deps, serve);
}

/** What is called for a packet that an answering thread has handed over and there is no room for. */
export function refuseFrom(deps: ServeDeps, tableOf: TableOf): Refuse {
  const { clock, forwarder } = deps;
  return guarded(deps, (packet, asker) => {
    const zones = tableOf(asker.remote.address);
    if (zones.isGuarded && isTurnedAway(deps, zones, packet, asker)) return;
    if (!readAgain(deps, zones, packet, asker)) return asker.reply(null);
    forwarder.refuse(packet, asker, asker.receivedAtMs ?? clock.nowMs());
  });
}

/** What is called for a packet that an answering thread has answered and whose answer is due for a refresh. */
export function refreshFrom(deps: ServeDeps, tableOf: TableOf): Refresh {
  const { clock, lane, forwarder } = deps;
  return (packet, asker) => {
    try {
      if (!readAgain(deps, tableOf(asker.remote.address), packet, asker) || lane.zone?.cache === null) return;
      forwarder.refresh(packet, asker, clock.nowMs());
    } catch (error) {
      lane.counters.count('panics');
      deps.log.error('exception while refreshing an entry', { error: String((error as Error).stack) });
    }
  };
}

/** Settles the query if a guard of its zone does not let it pass. What cannot be read is for the spine to say. */
function isTurnedAway(deps: ServeDeps, table: ZoneTable, packet: Uint8Array, asker: Client): boolean {
  const { lane, routes } = deps;
  if (!readAgain(deps, table, packet, asker)) return false;
  const route = routes.get(lane.zone!);
  const verdict = route?.guard?.(packet, lane, asker) ?? null;
  if (verdict === null || verdict.kind === 'pass') return false;
  if (verdict.kind === 'drop') {
    asker.reply(null);
    return true;
  }
  lane.transport = asker.transport;
  const bytes =
    verdict.kind === 'message'
      ? lane.answerMade(verdict.message)
      : lane.answerEmpty(packet, verdict.rcode, verdict.extendedError);
  lane.count(lane.counters.zoneBase(lane.zone!.ordinal), verdict.by, packet.length, bytes, 0);
  asker.reply(lane.slot.bytes.subarray(0, bytes));
  route?.logQuery?.(queryLogRecordOf(lane, packet, asker, bytes, { durationMs: 0, upstream: null }));
  return true;
}

/** Reads a packet that was read before, in another thread; false when nobody serves its name any more, after a reload. */
function readAgain({ lane }: ServeDeps, table: ZoneTable, packet: Uint8Array, { remote }: Client): boolean {
  if (readQuery(packet, packet.length, lane.query) !== 'ok') return false;
  const zone = findZone(table, packet, lane.query);
  lane.family = remote.address.includes(':') ? 1 : 0;
  lane.zone = zone === null ? null : zoneOfClient(zone, lane.query, lane.family);
  return zone !== null;
}

/** An exception costs the packet that brought it. */
function guarded({ lane, log }: ServeDeps, take: Serve): Serve {
  return (packet, asker) => {
    try {
      take(packet, asker);
    } catch (error) {
      lane.counters.count('panics');
      log.error('exception while handling a packet; the packet was dropped', { error: String((error as Error).stack) });
      leaveUnanswered(asker);
    }
  };
}
