/**
 * The control socket as this process has it: its sockets, and what each command of the running zerohop answers. Another
 * command is another handler here, and a record in config/commands.ts.
 */
import type { BlockRef } from '../cache/blocks.js';
import type { Cache } from '../cache/cache.js';
import type { Environment } from '../config/flag-reader.js';
import { programVersion } from '../config/version.js';
import { explainItems, readExplain } from '../control/explain.js';
import { type FlushArguments, flushItem, isFlushed, isFlushedEntry, readFlushRequest } from '../control/flush.js';
import { lookupItem, readLookup } from '../control/lookup.js';
import { type ControlHandler, ControlServer, type ControlServerDeps, controlHandler } from '../control/server.js';
import type { Serving } from '../control/serving.js';
import { statusItem } from '../control/status.js';
import type { Readiness } from '../observe/health.js';
import { newProcessNumbers } from '../observe/process-numbers.js';
import type { Clock } from '../os/clock.js';
import type { PathSockets } from '../os/network.js';
import { adoptStream, portablePathSockets } from '../os/node-network.js';
import { memoryLimitBytes } from '../os/proc.js';
import { type Random, systemRandom } from '../os/random.js';
import { chooseSystemCalls, type SystemCalls } from '../os/system-calls.js';
import { pathSockets, UnixSockets } from '../os/unix-sockets.js';
import { inTurns } from '../scheduling/slices.js';
import type { Succession } from '../takeover/succession.js';
import type { ActiveConfiguration } from './active-configuration.js';
import type { LaneAtWork } from './kernel-lane.js';

export type OpenControl = (parts: Pick<ControlServerDeps, 'clock' | 'log' | 'handlers' | 'panicked'>) => ControlServer;

/** Undefined without a path. */
export function openControl(path: string | null, sockets: PathSockets): OpenControl | undefined {
  if (path === null) return undefined;
  return (parts) => new ControlServer({ ...parts, sockets, path, version: programVersion(), pid: process.pid });
}

/** With system calls the kernel tells whose the peer is. */
export function controlSockets(calls: SystemCalls | null, random: Random): PathSockets {
  if (calls === null) return portablePathSockets(random);
  return pathSockets(new UnixSockets({ calls, random, adopt: adoptStream }));
}

/** For a command, as its environment wants it. */
export function commandSockets(environment: Environment): PathSockets {
  return controlSockets(chooseSystemCalls(environment['ZEROHOP_IO']).calls, systemRandom());
}

/** The parts of the program that commands ask about; functions, because most are made later, or replaced by reloads. */
interface ControlledParts {
  readonly clock: Clock;
  readonly cache: Cache;
  readonly cacheBytesMax: number;
  readonly version: string;
  readonly startedAtMs: number;
  readonly active: () => Pick<ActiveConfiguration, 'generation' | 'config' | 'inForceSinceMs' | 'lastReload'>;
  readonly readiness: () => Pick<Readiness, 'missing'>;
  readonly succession: () => Pick<Succession, 'role' | 'audience'> | null;
  readonly lane: () => Pick<LaneAtWork, 'totals' | 'has' | 'forget'> | null;
  readonly clients: () => { readonly tcpClients: number; readonly waitingClients: number };
  /** Undefined: the file cannot be read. */
  readonly readFile: (path: string) => string | undefined;
  /** Tells instances that stand by that this entry, which is about to go, is not to be used. */
  ended(ref: BlockRef): void;
}

/** By the command's name. */
export function controlHandlers(parts: ControlledParts): Readonly<Record<string, ControlHandler>> {
  return {
    status: controlHandler(
      () => statusItem(statusParts(parts)),
      (item, answering) => {
        answering.item(item);
        answering.end();
      },
    ),
    lookup: controlHandler(readLookup, (wanted, answering) => {
      const isInKernel = (ref: BlockRef): boolean => parts.lane()?.has(ref) ?? false;
      const sourceOf = (ref: BlockRef): string | null => parts.cache.sourceOf(ref);
      answering.item(lookupItem({ ...servingOf(parts), wallMs: parts.clock.wallMs(), sourceOf, isInKernel }, wanted));
      answering.end();
    }),
    explain: controlHandler(readExplain, (wanted, answering) => {
      for (const item of explainItems(servingOf(parts), wanted)) answering.item(item);
      answering.end();
    }),
    flush: controlHandler(readFlushRequest, async (wanted, answering) => {
      const entries = await flushCache(parts, wanted);
      answering.item(flushItem(wanted, { entries, kernelEntries: await flushKernel(parts, wanted) }));
      answering.end();
    }),
  };
}

function servingOf({ active, cache, clock }: ControlledParts): Serving {
  const { listeners, blocks } = active().generation;
  return { listeners, blocks, cached: cache.blocks, nowMs: clock.nowMs() };
}

const ownNumbers = newProcessNumbers();

function statusParts(parts: ControlledParts): Parameters<typeof statusItem>[0] {
  const { clock, cache, cacheBytesMax, version, startedAtMs, readFile } = parts;
  const { config, inForceSinceMs, lastReload } = parts.active();
  const succession = parts.succession();
  return {
    ...servingOf(parts),
    ...parts.clients(),
    version,
    pid: process.pid,
    wallMs: clock.wallMs(),
    startedAtMs,
    config,
    inForceSinceMs,
    lastReload,
    role: succession?.role ?? 'serving',
    standBys: succession?.audience ?? 0,
    missing: parts.readiness().missing,
    cacheUsedBytes: cache.usedBytes,
    cacheBytesMax,
    residentBytes: ownNumbers.residentBytes(),
    heapUsedBytes: ownNumbers.heapUsedBytes(),
    memoryLimitBytes: memoryLimitBytes(readFile),
    kernelLane: parts.lane()?.totals ?? null,
  };
}

/** A reload may put others in their place meanwhile, which then have some of the entries. */
async function flushCache(parts: ControlledParts, wanted: FlushArguments): Promise<number> {
  let count = 0;
  for (let before: unknown = null; before !== parts.active().generation; ) {
    const { generation } = parts.active();
    before = generation;
    await new Promise<void>((resolve) =>
      generation.deps.cacheWork.order(flushing(parts, wanted, () => count++, resolve)),
    );
  }
  return count;
}

/** Through the removal of the cache, so that workers see the whole of an entry or nothing, and the kernel lets it go. */
function* flushing(
  { cache, active, ended }: ControlledParts,
  wanted: FlushArguments,
  gone: () => void,
  done: () => void,
): Generator<void, void> {
  const isMeant = isFlushedEntry(wanted, cache.blocks);
  try {
    for (const { store } of active().generation.blocks) {
      if (store === null) continue;
      yield* cache.forget(store, (ref) => {
        if (!isMeant(ref)) return false;
        ended(ref);
        gone();
        return true;
      });
    }
  } finally {
    done();
  }
}

/** What an earlier process has published has no entry here. */
async function flushKernel({ lane, clock }: ControlledParts, wanted: FlushArguments): Promise<number> {
  const isMeant = isFlushed(wanted);
  const work = lane()?.forget((question) => isMeant(question, 0));
  return work === undefined ? 0 : ((await inTurns(clock, work)) ?? 0);
}
