/**
 * The kernel lane of the instance that serves: opens maps and programs, goes on with what an earlier process has left,
 * hangs the program where questions come from, and shows all the time that somebody is there. When the process ends, the
 * kernel goes on for a while.
 *
 *   off ──prepare──> maps, programs, sockets ──begin──> answers of the predecessor ──> pins ──> links ──> on
 *    ^                                                                                                │
 *    └───────────────────── release (another serves) · end (lingers, or takes all out) ───────────────┘
 */
import type { BlockRef } from '../cache/blocks.js';
import {
  laneDeadAfterMs,
  laneHeartbeatMs,
  lanePeriodMs,
  lanePlacesMax,
  laneReleasedMs,
  laneStaleMaxMs,
} from '../limits.js';
import type { Bpf } from '../os/bpf.js';
import type { Timer } from '../os/clock.js';
import type { LinkOf } from '../os/links.js';
import type { Log } from '../os/log.js';
import type { Endpoint } from '../os/network.js';
import { linux, type SystemCalls } from '../os/system-calls.js';
import type { ZoneTable } from '../resolve/zones.js';
import { inTurns } from '../scheduling/slices.js';
import { configValue, nanoseconds, numberKey } from './elements.js';
import { LaneInterfaces } from './interfaces.js';
import { configLayout, type LaneCause, laneCauses } from './layout.js';
import { closeLane, type LaneInKernel, laneForms, openLane, refusalText } from './maps.js';
import { type PinnedMap, type Pins, pinnedMaps } from './pins.js';
import { Publisher } from './publisher.js';
import { LaneRefreshes, type LaneRefreshesDeps } from './refreshes.js';
import { LaneRounds, type LaneRoundsDeps } from './rounds.js';
import { type SlotMemory, Slots } from './slots.js';

/** What the lane answers by: our addresses with their zones, and a number that changes with what they answer. */
export interface LaneTables {
  readonly places: readonly { readonly at: Endpoint; readonly table: ZoneTable }[];
  readonly digest: bigint;
}

export interface LaneOptions {
  /** Also at interfaces where programs of others see the packets. */
  readonly isBesideOthers: boolean;
  readonly lingerMs: number;
}

interface LaneDeps
  extends Omit<LaneRoundsDeps, 'slots' | 'publisher' | 'refreshes'>,
    Pick<LaneRefreshesDeps, 'ask'>,
    LaneOptions {
  readonly calls: SystemCalls;
  readonly bpf: Bpf;
  readonly pins: Pins;
  readonly linkOf: LinkOf;
  readonly uplinks: () => readonly string[];
  readonly log: Log;
  /** Of the hash; clients must not know it. */
  readonly seed: bigint;
  /** Calls with the descriptor of each of our UDP sockets, those that are open and those to come. */
  eachSocket(met: (fd: number) => void): void;
}

interface LaneTotals {
  readonly isOn: boolean;
  /** Why it is off; empty while it is on, or has not begun. */
  readonly why: string;
  readonly answers: number;
  /** Of these, stale ones. */
  readonly stale: number;
  /** Of these, denials by a zone's AAAA policy. */
  readonly denied: number;
  readonly passed: Readonly<Record<LaneCause, number>>;
  /** Answers asked for anew because they were in use, and those that the budget left to end. */
  readonly refreshes: number;
  readonly refreshesDenied: number;
  readonly entries: number;
  readonly links: number;
  readonly linksRefused: number;
}

/** What exists once the kernel has taken maps and programs. */
interface OpenLane {
  readonly kernel: LaneInKernel;
  readonly config: BigUint64Array;
  readonly memory: SlotMemory;
  readonly seed: bigint;
  readonly slots: Slots;
  readonly publisher: Publisher;
  readonly refreshes: LaneRefreshes;
  readonly rounds: LaneRounds;
  readonly interfaces: LaneInterfaces;
}

/** What an earlier process has left. */
interface Left {
  readonly seed: bigint;
  readonly generation: number;
}

interface PinnedConfig {
  readonly isInert: boolean;
  at(place: number): bigint;
}

export class KernelLane {
  readonly #deps: LaneDeps;
  #open: OpenLane | null = null;
  /** The tables that the lane answers by, and those that it is to answer by as soon as it is on. */
  #tables: LaneTables = { places: [], digest: 0n };
  #wanted: LaneTables = this.#tables;
  #generation = 1;
  #ticking: Timer | null = null;
  #beating: Timer | null = null;
  #isBeginning = false;
  /** This instance serves. */
  #isWanted = false;
  #hasServed = false;
  /** Another instance's maps were pinned in the last round. */
  #wasTaken = false;
  #why = '';

  constructor(deps: LaneDeps) {
    this.#deps = deps;
  }

  /**
   * Before packets of a predecessor come: its program may send copies for the witness, which is to drop them. What the kernel
   * refuses is told when it begins.
   */
  async prepare(): Promise<void> {
    if (this.#wanted.places.length > 0) await this.#opened().catch(() => {});
  }

  /** This instance serves now. Where the kernel refuses, the reason is logged, and all works without the lane. */
  async begin(): Promise<void> {
    this.#isWanted = true;
    if (this.#ticking !== null || this.#isBeginning) return;
    this.#isBeginning = true;
    try {
      const why = await this.#begin().catch((error: Error) => error.message);
      this.#why = why ?? '';
      if (why !== null) this.#deps.log.warn(`kernel lane: off: ${why}`);
      else if (this.#ticking !== null) this.#deps.log.info('kernel lane: on');
    } finally {
      this.#isBeginning = false;
    }
  }

  /** Another instance serves now. It takes over the links soon, or has no lane: then the program ends, and gives nothing stale. */
  release(): void {
    this.#isWanted = false;
    this.#open?.interfaces.end();
    if (this.#ticking === null) return;
    this.#ticking.stop();
    this.#ticking = null;
    this.#beating?.stop();
    this.#beating = null;
    const endsAtMs = this.#deps.clock.nowMs() + laneReleasedMs;
    writeConfig(this.#open!, configLayout.inertFrom, nanoseconds(endsAtMs));
    writeConfig(this.#open!, configLayout.heartbeat, nanoseconds(endsAtMs - laneDeadAfterMs));
  }

  /** Answers by other tables from now on: what they answer otherwise is published anew, in the place of what was. */
  follow(tables: LaneTables): void {
    this.#wanted = { ...tables, places: tables.places.slice(0, lanePlacesMax) };
    if (this.#open !== null && this.#ticking !== null) this.#followIn(this.#open);
  }

  /** An entry was cached. If a published one was cached before it, it is published at once. */
  kept(ref: BlockRef): void {
    if (this.#ticking === null) return;
    const { publisher } = this.#open!;
    if (publisher.continues(ref)) publisher.publish(ref, this.#deps.clock.nowMs());
  }

  /** The entry is about to leave the cache. */
  left(ref: BlockRef): void {
    this.#open?.publisher.takeOut(ref, this.#deps.clock.nowMs());
  }

  /** Whether the kernel gives this entry. */
  has(ref: BlockRef): boolean {
    return this.#ticking !== null && this.#open!.publisher.has(ref);
  }

  /** Takes out answers to these questions, in wire form, that have no entry in the cache; their number. */
  *forget(isMeant: (question: Uint8Array) => boolean): Generator<void, number> {
    if (this.#open === null) return 0;
    return yield* this.#open.publisher.takeOutForeign(isMeant, () => this.#deps.clock.nowMs());
  }

  /** The process ends, and no other instance serves. The kernel goes on with what it knows, expired or not, or ends too. */
  end(): void {
    const open = this.#open;
    if (open === null || this.#ticking === null) return;
    const { clock, lingerMs, pins, log } = this.#deps;
    const nowMs = clock.nowMs();
    this.release();
    open.rounds.end();
    open.refreshes.end();
    open.rounds.count(nowMs);
    if (lingerMs === 0) {
      writeConfig(open, configLayout.heartbeat, 0n);
      pins.removeOwn();
      return;
    }
    writeConfig(open, configLayout.inertFrom, nanoseconds(nowMs + lingerMs));
    // Long ago: nobody is there.
    writeConfig(open, configLayout.heartbeat, 1n);
    log.info(
      `kernel lane: names in use are answered for ${Math.round(lingerMs / 1_000)} s, or until a successor serves`,
    );
  }

  get totals(): LaneTotals {
    const open = this.#open;
    if (open === null) return offTotals(this.#why);
    const { rounds, refreshes, slots, interfaces } = open;
    const isOn = this.#ticking !== null;
    return {
      isOn,
      why: isOn ? '' : this.#why,
      answers: rounds.answers,
      stale: rounds.stale,
      denied: rounds.denied,
      passed: passedBy((number) => this.#passed(open, number)),
      refreshes: refreshes.asked,
      refreshesDenied: refreshes.denied,
      entries: isOn ? slots.published : 0,
      links: isOn ? interfaces.attached : 0,
      linksRefused: isOn ? interfaces.refused : 0,
    };
  }

  /** The reason why it cannot be, or null. */
  async #begin(): Promise<string | null> {
    const { clock, pins, calls } = this.#deps;
    this.#tables = this.#wanted;
    if (this.#tables.places.length === 0)
      return 'no server block is bound to an address of its own; write "bind" with the addresses that pods ask';
    const refused = pins.prepare();
    if (refused !== null)
      return `no folder for what outlives the process (${refused}); mount the bpf file system there`;
    this.#removeForgotten();
    const open = await this.#opened();
    if (typeof open === 'string') return open;
    const found = this.#hasServed ? null : this.#left();
    const left = found?.seed === open.seed ? found : null;
    this.#hasServed = true;
    if (left === null) this.#startAnew(open);
    else await this.#goOnWith(open, left);
    if (!this.#isWanted) return null;
    this.#configure(open, clock.nowMs());
    const marks = left === null ? -1 : pins.openMap('marks');
    const unpinned = this.#pinMaps(open);
    if (unpinned !== null) {
      if (marks >= 0) calls.close(marks);
      return unpinned;
    }
    this.#ticking = clock.every(lanePeriodMs, () => this.#tick());
    this.#beating = clock.every(laneHeartbeatMs, () => {
      const nowMs = clock.nowMs();
      beat(open, nowMs);
      open.refreshes.look(nowMs);
    });
    await open.interfaces.begin();
    if (marks >= 0) this.#countFor(open, marks);
    // Meanwhile another instance may have begun to serve, or a reload may have come.
    if (!this.#isWanted) return null;
    pins.removeOtherLayouts();
    open.rounds.wantAll();
    if (this.#tables !== this.#wanted) this.#followIn(open);
    else this.#tick();
    return null;
  }

  #pinMaps({ kernel }: OpenLane): string | null {
    for (const map of pinnedMaps) {
      const result = this.#deps.pins.pinMap(map, kernel.maps[map]);
      if (result < 0) return `a map cannot be pinned (${result}); the folder must be on the bpf file system`;
    }
    return null;
  }

  /** With the witness on all sockets; or why it cannot be. */
  async #opened(): Promise<OpenLane | string> {
    if (this.#open !== null) return this.#open;
    const { calls, eachSocket } = this.#deps;
    const open = await this.#openAll();
    if (typeof open === 'string') return open;
    this.#open = open;
    const program = new Int32Array([open.kernel.programs.witness]);
    eachSocket((fd) => void calls.setOption(fd, linux.socketLevel, linux.attachBpf, program));
    return open;
  }

  #followIn(open: OpenLane): void {
    const nowMs = this.#deps.clock.nowMs();
    const before = this.#tables;
    this.#tables = this.#wanted;
    if (haveSamePlaces(before, this.#tables)) this.#renew(open, nowMs);
    else {
      open.rounds.want(open.publisher.refs());
      this.#generation++;
      this.#configure(open, nowMs);
      open.publisher.takeOutAll(nowMs);
      this.#useTables(open);
    }
    // By the tables before, perhaps nothing could be published.
    open.rounds.wantAll();
    this.#tick();
  }

  /** There is always an answer, by the tables before or by these: the process may hang at any moment. */
  #renew(open: OpenLane, nowMs: number): void {
    // For the zones that have answered.
    open.rounds.count(nowMs);
    // A successor may not go on with what is partly by these and partly by those.
    writeConfig(open, configLayout.digest, 0n);
    open.publisher.renew(zoneTablesIn(this.#tables), nowMs);
    writeConfig(open, configLayout.digest, this.#tables.digest);
  }

  async #openAll(): Promise<OpenLane | string> {
    const { calls, bpf, pins, log, clock, cache } = this.#deps;
    const close = (fd: number): void => void calls.close(fd);
    // Who may be answered stays known.
    const given: Partial<Record<PinnedMap, number>> = {};
    for (const map of ['clients', 'interfaces'] as const) {
      const fd = pins.openMap(map);
      if (fd >= 0) given[map] = fd;
    }
    const goingOn = await openLane(bpf, close, given);
    // The pinned maps are not as ours.
    const isStrange = 'step' in goingOn && Object.keys(given).length > 0;
    const kernel = isStrange ? await openLane(bpf, close) : goingOn;
    if ('step' in kernel) return refusalText(kernel);
    const [config, slots, index, marks] = (['config', 'slots', 'index', 'marks'] as const).map((map) =>
      calls.showMemory(kernel.maps[map], mapBytes(map)),
    );
    for (const memory of [config, slots, index, marks]) {
      if (typeof memory !== 'number') continue;
      closeLane(kernel, close);
      return `the memory of a map cannot be shared (${memory})`;
    }
    const memory = { slots, index, marks } as SlotMemory;
    const seed = this.#pinned()?.at(configLayout.seed) ?? this.#deps.seed;
    const table = new Slots(memory, seed);
    const publisher = new Publisher(cache.blocks, table);
    const interfaces = new LaneInterfaces({
      ...this.#deps,
      programs: kernel.programs,
      map: kernel.maps.interfaces,
      nowMs: () => clock.nowMs(),
      refused: (name, why) => log.warn(`kernel lane: not at ${name}: ${why}`),
      close,
    });
    const refreshes = new LaneRefreshes({ ...this.#deps, slots: table, publisher });
    const rounds = new LaneRounds({ ...this.#deps, slots: table, publisher, refreshes });
    const configWords = new BigUint64Array(config as ArrayBuffer);
    return { kernel, config: configWords, memory, seed, slots: table, publisher, refreshes, rounds, interfaces };
  }

  /** What an earlier process has published by the same configuration; null: nothing. */
  #left(): Left | null {
    const config = this.#pinned();
    if (config === null || config.isInert || config.at(configLayout.digest) !== this.#tables.digest) return null;
    return { seed: config.at(configLayout.seed), generation: Number(config.at(configLayout.generation)) };
  }

  #pinned(): PinnedConfig | null {
    const fd = this.#deps.pins.openMap('config');
    return fd < 0 ? null : this.#pinnedConfig(fd);
  }

  /** What another process has written; closes the map. */
  #pinnedConfig(fd: number): PinnedConfig | null {
    const { bpf, calls, clock } = this.#deps;
    const words = new BigUint64Array(configLayout.bytes / 8);
    const result = bpf.lookUp(fd, numberKey(0), new Uint8Array(words.buffer));
    calls.close(fd);
    if (result < 0) return null;
    const at = (place: number): bigint => words[place / 8];
    return { isInert: at(configLayout.inertFrom) < nanoseconds(clock.nowMs()), at };
  }

  /** Copies its answers, and takes out those that are not true here. */
  async #goOnWith(open: OpenLane, left: Left): Promise<void> {
    const { clock, pins, calls } = this.#deps;
    this.#generation = left.generation;
    this.#useTables(open);
    // The index first: whatever it leads to is complete.
    for (const map of ['index', 'slots'] as const) {
      const fd = pins.openMap(map);
      if (fd < 0) return;
      calls.copyMemory(fd, open.memory[map]);
      calls.close(fd);
    }
    await inTurns(clock, open.publisher.adopt(open.slots.adopt(left.generation)));
  }

  /** Counts what the program before ours has answered; from now on no packet meets it. */
  #countFor({ slots }: OpenLane, marks: number): void {
    const { calls } = this.#deps;
    const copy = new ArrayBuffer(mapBytes('marks'));
    if (calls.copyMemory(marks, copy) === 0) slots.addUncounted(new Uint32Array(copy));
    calls.close(marks);
  }

  /** Nothing is published so far, or only by this process when it served the last time. */
  #startAnew(open: OpenLane): void {
    open.publisher.takeOutAll(this.#deps.clock.nowMs());
    this.#generation++;
    this.#useTables(open);
  }

  #useTables({ publisher }: OpenLane): void {
    publisher.follow(zoneTablesIn(this.#tables), this.#generation);
  }

  /** The heartbeat last: meanwhile the program answers nothing. */
  #configure(open: OpenLane, nowMs: number): void {
    const value = configValue({
      heartbeatNs: 0n,
      deadAfterNs: nanoseconds(laneDeadAfterMs),
      inertFromNs: nanoseconds(nowMs + laneStaleMaxMs),
      seed: open.seed,
      generation: this.#generation,
      digest: this.#tables.digest,
      places: this.#tables.places.map(({ at }) => at),
    });
    writeConfig(open, configLayout.heartbeat, 0n);
    this.#deps.bpf.update(open.kernel.maps.config, numberKey(0), value);
    beat(open, nowMs);
  }

  /** Folders of namespaces whose program is inert: the pod that had them is gone. */
  #removeForgotten(): void {
    for (const { config, remove } of this.#deps.pins.others()) if (this.#pinnedConfig(config)?.isInert) remove();
  }

  #tick(): void {
    const open = this.#open!;
    const nowMs = this.#deps.clock.nowMs();
    this.#keepPlace(open);
    writeConfig(open, configLayout.inertFrom, nanoseconds(nowMs + laneStaleMaxMs));
    open.rounds.round(nowMs);
    void open.interfaces.look();
  }

  /**
   * An instance that hung while it began pins its maps and takes the links when it goes on, before it hears of us. A round
   * later it has, and all is taken back. Pins that somebody has removed stay so.
   */
  #keepPlace(open: OpenLane): void {
    const pinned = this.#pinned()?.at(configLayout.inertFrom);
    const isTaken = pinned !== undefined && pinned !== Atomics.load(open.config, configLayout.inertFrom / 8);
    if (isTaken && this.#wasTaken && this.#pinMaps(open) === null) void open.interfaces.begin();
    this.#wasTaken = isTaken;
  }

  #passed({ kernel }: OpenLane, cause: number): number {
    const { bpf } = this.#deps;
    const values = new BigUint64Array(processorsMax);
    if (bpf.lookUp(kernel.maps.passed, numberKey(cause), new Uint8Array(values.buffer)) < 0) return 0;
    return values.reduce((sum, count) => sum + Number(count), 0);
  }
}

/** The most whose counts are read; the kernel writes those of all that it may have. */
const processorsMax = 1_024;

function zoneTablesIn({ places }: LaneTables): readonly ZoneTable[] {
  return places.map(({ table }) => table);
}

function haveSamePlaces({ places: one }: LaneTables, { places: other }: LaneTables): boolean {
  return (
    one.length === other.length &&
    one.every(({ at }, place) => at.address === other[place].at.address && at.port === other[place].at.port)
  );
}

function mapBytes(map: PinnedMap): number {
  const { valueBytes, entries } = laneForms[map];
  return ((valueBytes + 7) & ~7) * entries;
}

function writeConfig({ config }: OpenLane, at: number, value: bigint): void {
  Atomics.store(config, at / 8, value);
}

/** Of a lane that has never been on. */
export function offTotals(why: string): LaneTotals {
  const none = {
    answers: 0,
    stale: 0,
    denied: 0,
    refreshes: 0,
    refreshesDenied: 0,
    entries: 0,
    links: 0,
    linksRefused: 0,
  };
  return { isOn: false, why, passed: passedBy(() => 0), ...none };
}

function passedBy(count: (cause: number) => number): LaneTotals['passed'] {
  return Object.fromEntries(laneCauses.map((cause, number) => [cause, count(number)])) as Record<LaneCause, number>;
}

/** Somebody is there. */
function beat(open: OpenLane, nowMs: number): void {
  writeConfig(open, configLayout.heartbeat, nanoseconds(nowMs));
}
