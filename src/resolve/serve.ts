/**
 * The main thread's way in: the spine, then `Misses`. An exception, a bug of ours, costs its own packet and a count.
 */
import { readQuery } from '../dns/query.js';
import { copyOf } from '../dns/wire.js';
import { headerBytes, waiterQueryBytesMax } from '../limits.js';
import type { Client, Refresh, Refuse, Serve } from '../listen/client.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { DenialCuts } from './cut.js';
import type { Denials } from './denials.js';
import { answerNow, deferred, dropped, keyOf, originOf } from './fast-path.js';
import type { Misses } from './miss.js';
import { leaveUnanswered } from './respond.js';
import type { Route } from './route.js';
import { type AnswerWatch, queryLogRecordOf, type WorkerContext } from './worker-context.js';
import { findZone, type ServedZone, type ZoneTable, zoneOfClient } from './zones.js';

export interface ServeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly context: WorkerContext;
  readonly cuts: Pick<DenialCuts, 'answer' | 'isOpenFor'>;
  readonly denials: Pick<Denials, 'cut' | 'inPlaceOf'>;
  readonly misses: Pick<Misses, 'wait' | 'waitForOther' | 'refresh' | 'refuse'>;
  readonly routes: Pick<WeakMap<ServedZone, Route>, 'get'>;
  readonly answerWatch: AnswerWatch;
}

/** The zones for a client with this address, at the moment of the call. */
export type TableOf = (client: string) => ZoneTable;

/** For packets of a listener, and those that workers defer. */
export function serveFrom(deps: ServeDeps, tableOf: TableOf): Serve {
  const { clock, context, cuts, denials, misses, answerWatch } = deps;

  function serve(packet: Uint8Array, client: Client): void {
    const nowMs = clock.nowMs();
    const zones = begin(client);
    if (zones.isGuarded && isTurnedAway(deps, zones, packet, client)) return;
    if (isServed(zones, packet, client, nowMs, null)) return;
    const sinceMs = client.receivedAtMs ?? nowMs;
    const mayBeHeld = packet.length <= waiterQueryBytesMax && cuts.isOpenFor(packet);
    if (!mayBeHeld) return misses.wait(packet, client, sinceMs);
    const above = denials.inPlaceOf(context.zone!, packet.subarray(headerBytes, context.query.questionEnd));
    if (above !== null) return hold(packet, client, above, sinceMs);
    // What was asked meanwhile has been read.
    readQuery(packet, packet.length, context.query);
    misses.wait(packet, client, sinceMs);
  }

  /** The client waits for the denial of a name above; if that does not come, its own question is asked. */
  function hold(packet: Uint8Array, client: Client, above: Uint8Array, sinceMs: number): void {
    const kept = copyOf(packet, 0, packet.length);
    const serveHeld = guarded(deps, () => {
      if (!isServed(begin(client), kept, client, clock.nowMs(), sinceMs)) misses.wait(kept, client, sinceMs);
    });
    misses.waitForOther(context.zone!, above, client, () => serveHeld(kept, client));
  }

  function begin({ transport, remote }: Client): ZoneTable {
    context.transport = transport;
    context.family = remote.address.includes(':') ? 1 : 0;
    return tableOf(remote.address);
  }

  /** Answers at once, or returns false: the query has to wait. `heldSinceMs` not null: it has waited for a cut. */
  function isServed(
    zones: ZoneTable,
    packet: Uint8Array,
    client: Client,
    nowMs: number,
    heldSinceMs: number | null,
  ): boolean {
    const known = answerNow(context, zones, packet, packet.length, nowMs);
    const bytes = known === deferred ? cuts.answer(packet, packet.length, nowMs, heldSinceMs) : known;
    if (bytes === deferred) return false;
    client.reply(bytes === dropped ? null : context.written(bytes));
    if (bytes === dropped) return true;
    const sinceMs = heldSinceMs ?? client.receivedAtMs ?? nowMs;
    if (answerWatch.isWatched) {
      const origin = originOf(context, context.slot.bytes[3] & 0x0f, nowMs);
      answerWatch.answered(context.slot, client, { origin, bytes, durationMs: clock.nowMs() - sinceMs });
    }
    if (context.zone !== null && context.zone.defers !== 0) log(deps, packet, client, bytes, heldSinceMs ?? nowMs);
    if (context.refreshDue) misses.refresh(packet, client, nowMs);
    if (known === deferred) denials.cut(context.zone!, packet.subarray(headerBytes, context.query.questionEnd));
    return true;
  }

  return guarded(deps, serve);
}

/** For a deferred packet without room to wait. */
export function refuseFrom(deps: ServeDeps, tableOf: TableOf): Refuse {
  const { clock, misses } = deps;
  return guarded(deps, (packet, client) => {
    const zones = tableOf(client.remote.address);
    if (zones.isGuarded && isTurnedAway(deps, zones, packet, client)) return;
    if (!readAgain(deps, zones, packet, client)) return client.reply(null);
    misses.refuse(packet, client, client.receivedAtMs ?? clock.nowMs());
  });
}

/**
 * For a packet that a worker has answered with an entry that is due for a refresh, or from a cut, if a walk begins so or the
 * kernel lane is to have it.
 */
export function refreshFrom(deps: ServeDeps, tableOf: TableOf): Refresh {
  const { clock, context, denials, misses } = deps;
  return (packet, client) => {
    try {
      if (!readAgain(deps, tableOf(client.remote.address), packet, client) || context.zone?.cache === null) return;
      const nowMs = clock.nowMs();
      if (!isFromCut(context, packet, nowMs)) return misses.refresh(packet, client, nowMs);
      denials.cut(context.zone!, packet.subarray(headerBytes, context.query.questionEnd));
    } catch (error) {
      context.counters.count('panics');
      deps.log.error('exception while refreshing an entry', { error: String((error as Error).stack) });
    }
  };
}

/** Whether a worker has answered the packet, which is read, from a cut: it has no fresh answer of its own. */
function isFromCut({ blocks, query, zone }: WorkerContext, packet: Uint8Array, nowMs: number): boolean {
  if (!zone!.isCut || zone!.cache!.staleAtOnce) return false;
  const ref = blocks.find(packet, query.questionEnd, zone!.zoneId, keyOf(query));
  return ref === 0 || nowMs >= blocks.expiresAtMs(ref);
}

/** Whether a guard of its zone has answered or dropped the query. An unreadable packet is left to the spine. */
function isTurnedAway(deps: ServeDeps, table: ZoneTable, packet: Uint8Array, client: Client): boolean {
  const { context, routes, answerWatch } = deps;
  if (!readAgain(deps, table, packet, client)) return false;
  const route = routes.get(context.zone!);
  const verdict = route?.guard?.(packet, context, client) ?? null;
  if (verdict === null || verdict.kind === 'pass') return false;
  if (verdict.kind === 'drop') {
    client.reply(null);
    return true;
  }
  context.transport = client.transport;
  const bytes =
    verdict.kind === 'message'
      ? context.answerMade(verdict.message)
      : context.answerEmpty(packet, verdict.rcode, verdict.extendedError);
  context.count(context.counters.zoneBase(context.zone!.ordinal), verdict.by, packet.length, bytes, 0);
  client.reply(context.written(bytes));
  if (answerWatch.isWatched) answerWatch.answered(context.slot, client, { origin: 'plugin', bytes, durationMs: 0 });
  log(deps, packet, client, bytes, null);
  return true;
}

/** `sinceMs` null: logged as 0 ms. */
function log(deps: ServeDeps, packet: Uint8Array, client: Client, bytes: number, sinceMs: number | null): void {
  const { context, routes, clock } = deps;
  const logQuery = routes.get(context.zone!)?.logQuery;
  if (!logQuery) return;
  const durationMs = sinceMs === null ? 0 : clock.nowMs() - sinceMs;
  logQuery(queryLogRecordOf(context, packet, client, bytes, { durationMs, upstream: null }));
}

/** Reads a packet that a worker has read before; false when its zone is gone after a reload. */
function readAgain({ context }: ServeDeps, table: ZoneTable, packet: Uint8Array, { remote }: Client): boolean {
  if (readQuery(packet, packet.length, context.query) !== 'ok') return false;
  const zone = findZone(table, packet, context.query);
  context.family = remote.address.includes(':') ? 1 : 0;
  context.zone = zone === null ? null : zoneOfClient(zone, context.query, context.family);
  return zone !== null;
}

function guarded({ context, log }: ServeDeps, take: Serve): Serve {
  return (packet, client) => {
    try {
      take(packet, client);
    } catch (error) {
      context.counters.count('panics');
      log.error('exception while handling a packet; the packet was dropped', { error: String((error as Error).stack) });
      leaveUnanswered(client);
    }
  };
}
