/**
 * One configuration at work: its listeners' tables, and each block's upstreams, plugins, store and logs. A reload makes
 * a new one beside the old, moves the cached answers, and lets the old one finish its queries.
 */
import { atMessage } from '../cache/blocks.js';
import type { Cache, Store } from '../cache/cache.js';
import { dnsPort } from '../config/addresses.js';
import type { BlockConfig, Config } from '../config/config.js';
import { chooseServers } from '../config/resolv-conf.js';
import { rememberedAddresses, waysOf } from '../config/returning.js';
import { rcodeName, wireToName } from '../dns/names.js';
import { Normaliser } from '../dns/normalise.js';
import { Query } from '../dns/query.js';
import { u16 } from '../dns/wire.js';
import { addressFreeMs, headerBytes } from '../limits.js';
import { newDnstap } from '../observe/dnstap.js';
import { bothTold, type ErrorsLog, newErrorsLog, newQueryLog } from '../observe/query-log.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Endpoint, Network } from '../os/network.js';
import type { Random } from '../os/random.js';
import type { PluginDeps } from '../plugins/plugin.js';
import { plugins } from '../plugins/registry.js';
import { keepRoute } from '../resolve/cacheability.js';
import type { DirectHome } from '../resolve/direct.js';
import type { LoopWatch } from '../resolve/loop.js';
import { guardFrom, judgeIn, makeFrom, type PluginAtWork, planFrom, type Route } from '../resolve/route.js';
import {
  type Holding,
  type Numbering,
  type PlannedListener,
  planZones,
  type ReusableNumbering,
} from '../resolve/zone-plan.js';
import { type ServedZone, type ZoneTable, zoneOfQuestion } from '../resolve/zones.js';
import { doAll, toEach } from '../scheduling/each.js';
import { inTurns } from '../scheduling/slices.js';
import type { Ask } from '../upstream/ask.js';
import { anyResponsible, responsibility } from '../upstream/forward.js';
import { Forwards } from '../upstream/forwards.js';
import type { Outages } from '../upstream/health.js';
import { ownListeners } from '../upstream/own-upstreams.js';

export interface GenerationDeps extends PluginDeps {
  readonly network: Network;
  readonly random: Random;
  readonly cache: Cache;
  readonly cacheWork: CacheWork;
  readonly numberings: { readonly cache: Numbering; readonly counters: ReusableNumbering };
  /** Its result tells, when called later, whether all workers have followed the changes until now. */
  readonly following: () => () => boolean;
  readonly loops: LoopWatch;
  readonly outages: Outages;
  readonly queryLogOutput: (line: () => string) => void;
  /** Hears of every failed query, as `errors` does; its name and type are in wire format, and the caller's. */
  readonly noteFailure?: NoteFailure | undefined;
  /** Filled here; zones of an old generation keep their route while queries use them. */
  readonly routes: WeakMap<ServedZone, Route>;
  readonly resolvConfs: ResolvConfFiles;
  readonly subqueryIn: (zone: ServedZone) => Ask;
  readonly lookUpIn: (table: ZoneTable) => Route['lookUp'];
}

/** The same on all listeners and for all its zones. */
type BlockRoute = Omit<Route, 'lookUp' | 'judge' | 'homeOf'>;

export interface BlockAtWork {
  readonly config: BlockConfig;
  readonly forwards: Forwards;
  readonly plugins: ReadonlyMap<string, PluginAtWork>;
  readonly store: Store | null;
  readonly cached: BlockRoute;
  readonly uncached: BlockRoute;
  stop(): void;
}

export class Generation {
  readonly listeners: readonly PlannedListener[];
  readonly blocks: readonly BlockAtWork[];
  readonly #storeOfZone = new Map<number, Store | null>();
  /** Of the zones in which workers ask by themselves. */
  readonly #directHomes = new Map<number, DirectHome>();
  /** Its zones' places in the counters. */
  readonly #places: Holding;

  /** `prepared`: what its plugins have read in advance. If it throws, nothing is left started. */
  constructor(
    readonly config: Config,
    readonly deps: GenerationDeps,
    prepared: Prepared = [],
  ) {
    this.#places = deps.numberings.counters.hold();
    const ownAddresses = config.blocks
      .filter(({ zones }) => zones.some(({ port }) => port === dnsPort))
      .flatMap(({ addresses }) => addresses);
    const resolvConf = (path: string) => deps.resolvConfs.read(path, ownAddresses);
    const started: BlockAtWork[] = [];
    this.blocks = started;
    const ways = waysOf(config.blocks, {
      hostAddresses: rememberedAddresses(
        () => deps.network.hostAddresses?.() ?? [],
        () => deps.clock.nowMs(),
      ),
      endpoints: (forward) => started.flatMap(({ forwards }) => forwards.endpoints(forward)),
    });
    try {
      this.listeners = planZones(config, { cache: deps.numberings.cache, counters: this.#places });
      deps.counters.growTo(deps.numberings.counters.size);
      for (const [index, block] of config.blocks.entries()) {
        const own = ownListeners(ways, block, () => this.#judgeOwn());
        const forwards = new Forwards(block.forwards, { ...deps, own, resolvConf });
        const forget = (store: Store, isAbout: (name: string) => boolean) => this.#forgetNames(store, isAbout);
        started.push(startBlock(block, { forwards, prepared: prepared[index] ?? new Map(), forget }, deps));
      }
      this.#judgeOwn();
      for (const { tables } of this.listeners) for (const table of tables) this.#open(table);
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /** Which upstreams lead back to us depends on all blocks' upstreams; nothing is asked before those are there. */
  #judgeOwn(): void {
    if (this.blocks.length < this.config.blocks.length) return;
    for (const { forwards } of this.blocks) forwards.judgeOwn();
  }

  #open(table: ZoneTable): void {
    const { cache, routes, lookUpIn, subqueryIn } = this.deps;
    const normaliser = new Normaliser(cache.blocks.hashKey);
    const read = new Query();
    const homeOf = (question: Uint8Array) => zoneOfQuestion(table, question, read);
    const ways = { homeOf, lookUp: lookUpIn(table), judge: judgeIn(table, (block) => atWorkOf(this.blocks[block])) };
    for (const zone of table.byBytes.flat()) {
      const block = this.blocks[zone.block];
      this.#storeOfZone.set(zone.zoneId, block.store);
      const route = { ...(zone.cache === null ? block.uncached : block.cached), ...ways };
      routes.set(zone, route);
      if (zone.asks !== null && block.store !== null) {
        block.forwards.tellWorkers(zone.asks.mayAsk);
        const { store, forwards, cached } = block;
        const preferPositive = cached.keep?.preferPositive === true;
        this.#directHomes.set(zone.zoneId, { zone, store, preferPositive, answered: forwards.answeredDirectly });
      }
      if (zone.translation === null) continue;
      this.#storeOfZone.set(zone.translation.zone.zoneId, block.store);
      routes.set(zone.translation.zone, translatedFrom(route, atWorkOf(block), subqueryIn(zone), normaliser));
    }
  }

  /** The store for this zone's answers; null without a cache. */
  store(zoneId: number): Store | null {
    return this.#storeOfZone.get(zoneId) ?? null;
  }

  /** Where the answers of workers in this zone go; null where they do not ask by themselves. */
  directHome(zoneId: number): DirectHome | null {
    return this.#directHomes.get(zoneId) ?? null;
  }

  /** Takes over the cached answers of `before` in zones that make the same answers here. */
  takeCacheOf(before: Generation): void {
    const changed = new Set<number>();
    for (const { zones } of this.listeners) {
      for (const zone of zones) {
        if (before.madeIn(zone.zoneId) === this.madeIn(zone.zoneId)) continue;
        changed.add(zone.zoneId);
        if (zone.translation !== null) changed.add(zone.translation.zone.zoneId);
      }
    }
    const { cache, cacheWork } = this.deps;
    const to = (zoneId: number): Store | null => (changed.has(zoneId) ? null : this.store(zoneId));
    for (const { store } of before.blocks) if (store !== null) cacheWork.order(cache.move(store, to));
    this.#forgetOthers(before);
  }

  /** Files that plugins read may have changed with the configuration: both may come from one ConfigMap. */
  #forgetOthers(before: Generation): void {
    const blockBefore = new Map(
      before.listeners.flatMap(({ zones }) => zones.map((zone) => [zone.zoneId, zone.block])),
    );
    const pairs = new Map<string, [number, number]>();
    for (const { zoneId, block } of this.listeners.flatMap(({ zones }) => zones)) {
      const other = blockBefore.get(zoneId);
      if (other !== undefined) pairs.set(`${other} ${block}`, [other, block]);
    }
    for (const [other, block] of pairs.values()) {
      const { store, plugins: now } = this.blocks[block];
      if (store === null) continue;
      for (const [name, one] of before.blocks[other].plugins) {
        const isOther = now.get(name)?.differsFrom?.(one) ?? null;
        if (isOther !== null) this.#forgetNames(store, isOther);
      }
    }
  }

  /** For the same configuration put to work once more. */
  get prepared(): Prepared {
    return this.blocks.map(
      ({ plugins: all }) => new Map([...all].flatMap(([name, one]) => (one.prepared ? [[name, one.prepared()]] : []))),
    );
  }

  /** The settings that make answers in this zone, as text; undefined when the zone is not served. */
  madeIn(zoneId: number): string | undefined {
    for (const { zones } of this.listeners) {
      const zone = zones.find((each) => each.zoneId === zoneId);
      if (zone === undefined) continue;
      const { cachedBy } = this.config.blocks[zone.block].traits;
      if (Object.keys(cachedBy).length === 0) return '[]';
      return JSON.stringify(cachedBy, (key, value) => (key === 'at' ? undefined : value));
    }
    return undefined;
  }

  /** The files that `forward` names, without duplicates. */
  get resolvConfs(): readonly string[] {
    const targets = this.config.blocks.flatMap(({ forwards }) => forwards.flatMap(({ to }) => to));
    return [...new Set(targets.flatMap((target) => (target.kind === 'file' ? [target.path] : [])))];
  }

  resolvConfsChanged(): void {
    for (const path of this.resolvConfs) toEach(this.blocks, ({ forwards }) => forwards.resolvConfChanged(path));
  }

  /** Drops the cached answers not taken over, finishes queries, closes all connections, then calls `done` once. */
  drain(done: () => void): void {
    let left = this.blocks.length;
    const drain = (block: BlockAtWork): void =>
      block.forwards.drain(() =>
        doAll(
          () => block.stop(),
          () => --left === 0 && doAll(done, () => this.#releasePlaces()),
        ),
      );
    doAll(
      () => this.#forgetAll(),
      () => toEach(this.blocks, drain),
    );
  }

  /** Closes everything at once; cached answers stay. */
  stop(): void {
    toEach(this.blocks, (block) => {
      doAll(
        () => block.forwards.stop(),
        () => block.stop(),
      );
    });
  }

  /** Closes everything at once and drops its cached answers: it never served, or does not any more. */
  discard(): void {
    doAll(
      () => this.stop(),
      () => this.#forgetAll(),
      () => this.#releasePlaces(),
    );
  }

  /**
   * Frees its zones' places in the counters, with a delay: workers follow the next configuration at their next look,
   * and a client's query may still wait for a subquery of the next one, and is counted when it is answered.
   */
  #releasePlaces(): void {
    const { clock, following } = this.deps;
    const haveFollowed = following();
    const isOverAtMs = clock.nowMs() + addressFreeMs;
    this.#places.release(() => clock.nowMs() >= isOverAtMs && haveFollowed());
  }

  #forgetNames(store: Store, isAbout: (name: string) => boolean): void {
    const { cache, cacheWork } = this.deps;
    const { bytes } = cache.blocks;
    cacheWork.order(cache.forget(store, (ref) => isAbout(wireToName(bytes, ref + atMessage + headerBytes))));
  }

  #forgetAll(): void {
    const { cache, cacheWork } = this.deps;
    for (const { store } of this.blocks) if (store !== null) cacheWork.order(cache.dissolve(store));
  }
}

/** For each server block, by plugin. */
type Prepared = readonly ReadonlyMap<string, unknown>[];

/** Runs the plugins' `prepare` before the configuration is in use; given up when `isOver` returns true. */
export async function prepare(
  config: Config,
  deps: PluginDeps,
  isOver: () => boolean = () => false,
): Promise<Prepared> {
  const all: Map<string, unknown>[] = [];
  for (const { settings } of config.blocks) {
    const prepared = new Map<string, unknown>();
    all.push(prepared);
    for (const plugin of plugins) {
      const own = settings[plugin.name];
      if (own !== undefined && plugin.prepare) prepared.set(plugin.name, await plugin.prepare(own, deps, isOver));
    }
  }
  return all;
}

function atWorkOf(block: Pick<BlockAtWork, 'plugins'>): readonly PluginAtWork[] {
  return [...block.plugins.values()];
}

interface BlockStart extends Pick<BlockAtWork, 'forwards'> {
  readonly prepared: ReadonlyMap<string, unknown>;
  forget(store: Store, isAbout: (name: string) => boolean): void;
}

function startBlock(config: BlockConfig, start: BlockStart, deps: GenerationDeps): BlockAtWork {
  const { forwards, prepared, forget } = start;
  const { cache } = config;
  const errors = config.errors === null ? null : newErrorsLog(config.errors, deps);
  const bounds = cache && { successEntriesMax: cache.success.entriesMax, denialEntriesMax: cache.denial.entriesMax };
  const store = bounds && deps.cache.newStore(bounds);
  const started = new Map<string, PluginAtWork>();
  const isForwarded = anyResponsible(config.forwards.map(responsibility));
  try {
    for (const plugin of plugins) {
      const own = config.settings[plugin.name];
      if (own === undefined) continue;
      const atWork = plugin.start?.(own, {
        deps,
        prepared: prepared.get(plugin.name),
        isForwarded,
        forget: (isAbout) => store !== null && forget(store, isAbout),
      });
      if (atWork != null) started.set(plugin.name, atWork);
    }
    return blockOf({ config, forwards, plugins: started, store }, errors, deps);
  } catch (error) {
    for (const atWork of started.values()) atWork.stop?.();
    throw error;
  }
}

type BlockParts = Pick<BlockAtWork, 'config' | 'forwards' | 'plugins' | 'store'>;

function blockOf(parts: BlockParts, errors: ErrorsLog | null, deps: GenerationDeps): BlockAtWork {
  const { config, forwards } = parts;
  const { noteFailure } = deps;
  const atWork = atWorkOf(parts);
  const tap = newDnstap(config.dnstap, deps);
  const uncached: BlockRoute = {
    guard: guardFrom(atWork),
    ask: forwards.ask,
    asksOurselves: false,
    keep: null,
    order: atWork.find(({ order }) => order !== undefined)?.order ?? 'as sent',
    sections: atWork.find(({ sections }) => sections !== undefined)?.sections ?? 'all',
    plan: planFrom(atWork),
    make: makeFrom(atWork),
    logQuery: bothTold(newQueryLog(config.log, deps.queryLogOutput), tap === null ? null : tap.answered),
    failed(question, rcode, text) {
      noteFailure?.(question, rcode, text);
      errors?.failed({ rcode, name: wireToName(question, 0), type: u16(question, question.length - 4), text });
    },
    answeredBadly:
      noteFailure &&
      ((question, rcode, from) => noteFailure(question, rcode, `upstream ${from} answered ${rcodeName(rcode)}`)),
  };
  return {
    ...parts,
    uncached,
    cached: { ...uncached, keep: config.cache === null ? null : keepRoute(config.cache) },
    stop() {
      errors?.stop();
      toEach(atWork, (one) => one.stop?.());
      tap?.stop();
    },
  };
}

/** Plugins whose answers are for one client act for translated clients too; others act in the subqueries. */
function translatedFrom(route: Route, atWork: readonly PluginAtWork[], subquery: Ask, normaliser: Normaliser): Route {
  const outer = atWork.some(({ isForClientAlone }) => isForClientAlone) ? route : { ...route, make: null };
  const translator = atWork.find(({ translate }) => translate !== undefined)!;
  return translator.translate!(outer, subquery, normaliser);
}

/**
 * Work on whole stores, which may have a million entries: one after the other in the order in which it is ordered, because
 * what a reload moves is not complete before the previous one has moved it.
 */
export class CacheWork {
  readonly #clock: Clock;
  readonly #queue: Generator<void, void>[] = [];
  #isRunning = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins at once, unless other work is in progress, and goes on in later turns of the event loop. */
  order(work: Generator<void, void>): void {
    this.#queue.push(work);
    if (!this.#isRunning) void inTurns(this.#clock, this.#allOfIt());
  }

  *#allOfIt(): Generator<void, void> {
    this.#isRunning = true;
    try {
      for (let work = this.#queue.shift(); work !== undefined; work = this.#queue.shift()) yield* work;
    } finally {
      this.#isRunning = false;
    }
  }
}

type NoteFailure = (question: Uint8Array, rcode: number, text: string) => void;

interface ResolvConfFiles {
  /** The servers in this file, or why there are none; we serve port 53 on `ownAddresses`. */
  read(path: string, ownAddresses: readonly string[]): readonly Endpoint[] | { readonly error: string };
}

/** Logs each change of the servers once. */
export function newResolvConfFiles(readFile: (path: string) => string | undefined, log: Log): ResolvConfFiles {
  const said = new Map<string, string>();
  function say(path: string, text: string, level: 'info' | 'error'): void {
    if (said.get(path) === text) return;
    said.set(path, text);
    log[level](text);
  }
  return {
    read(path, ownAddresses) {
      const choice = chooseServers({ path, read: readFile, ownAddresses });
      if (!choice.ok) {
        say(path, choice.why, 'error');
        return { error: choice.why };
      }
      const servers = choice.servers.map(({ address }) => address).join(', ');
      const from = choice.path === path ? path : `${choice.path}, because ${path} lists only this server`;
      say(path, `upstreams ${servers} from ${from}`, 'info');
      return choice.servers;
    },
  };
}
