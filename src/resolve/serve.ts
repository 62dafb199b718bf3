/**
 * The main thread's way in: the spine, then `Misses`. An exception, a bug of ours, costs its own packet and a count.
 */
import { readQuery } from '../dns/query.js';
import type { Client, Refresh, Refuse, Serve } from '../listen/client.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import { answerNow, deferred, dropped } from './fast-path.js';
import { type Lane, queryLogRecordOf } from './lane.js';
import type { Misses } from './miss.js';
import { leaveUnanswered } from './respond.js';
import type { Route } from './route.js';
import { findZone, type ServedZone, type ZoneTable, zoneOfClient } from './zones.js';

export interface ServeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly lane: Lane;
  readonly misses: Pick<Misses, 'wait' | 'refresh' | 'refuse'>;
  readonly routes: Pick<WeakMap<ServedZone, Route>, 'get'>;
}

/** The zones for a client with this address, at the moment of the call. */
export type TableOf = (client: string) => ZoneTable;

/** For packets of a listener, and those that workers defer. */
export function serveFrom(deps: ServeDeps, tableOf: TableOf): Serve {
  const { clock, lane, misses } = deps;

  function serve(packet: Uint8Array, asker: Client): void {
    const nowMs = clock.nowMs();
    lane.transport = asker.transport;
    lane.family = asker.remote.address.includes(':') ? 1 : 0;
    const zones = tableOf(asker.remote.address);
    if (zones.isGuarded && isTurnedAway(deps, zones, packet, asker)) return;
    const bytes = answerNow(lane, zones, packet, packet.length, nowMs);
    if (bytes === deferred) return misses.wait(packet, asker, asker.receivedAtMs ?? nowMs);
    if (bytes === dropped) return asker.reply(null);
    asker.reply(lane.slot.bytes.subarray(0, bytes));
    if (lane.zone !== null && lane.zone.defers !== 0) log(deps, packet, asker, bytes, nowMs);
    if (lane.refreshDue) misses.refresh(packet, asker, nowMs);
  }

  return guarded(deps, serve);
}

/** For a deferred packet without room to wait. */
export function refuseFrom(deps: ServeDeps, tableOf: TableOf): Refuse {
  const { clock, misses } = deps;
  return guarded(deps, (packet, asker) => {
    const zones = tableOf(asker.remote.address);
    if (zones.isGuarded && isTurnedAway(deps, zones, packet, asker)) return;
    if (!readAgain(deps, zones, packet, asker)) return asker.reply(null);
    misses.refuse(packet, asker, asker.receivedAtMs ?? clock.nowMs());
  });
}

/** For a packet that a worker has answered with an entry that is due for a refresh. */
export function refreshFrom(deps: ServeDeps, tableOf: TableOf): Refresh {
  const { clock, lane, misses } = deps;
  return (packet, asker) => {
    try {
      if (!readAgain(deps, tableOf(asker.remote.address), packet, asker) || lane.zone?.cache === null) return;
      misses.refresh(packet, asker, clock.nowMs());
    } catch (error) {
      lane.counters.count('panics');
      deps.log.error('exception while refreshing an entry', { error: String((error as Error).stack) });
    }
  };
}

/** Whether a guard of its zone has answered or dropped the query. An unreadable packet is left to the spine. */
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
  log(deps, packet, asker, bytes, null);
  return true;
}

/** `sinceMs` null: logged as 0 ms. */
function log(deps: ServeDeps, packet: Uint8Array, asker: Client, bytes: number, sinceMs: number | null): void {
  const { lane, routes, clock } = deps;
  const logQuery = routes.get(lane.zone!)?.logQuery;
  if (!logQuery) return;
  const durationMs = sinceMs === null ? 0 : clock.nowMs() - sinceMs;
  logQuery(queryLogRecordOf(lane, packet, asker, bytes, { durationMs, upstream: null }));
}

/** Reads a packet that a worker has read before; false when its zone is gone after a reload. */
function readAgain({ lane }: ServeDeps, table: ZoneTable, packet: Uint8Array, { remote }: Client): boolean {
  if (readQuery(packet, packet.length, lane.query) !== 'ok') return false;
  const zone = findZone(table, packet, lane.query);
  lane.family = remote.address.includes(':') ? 1 : 0;
  lane.zone = zone === null ? null : zoneOfClient(zone, lane.query, lane.family);
  return zone !== null;
}

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
