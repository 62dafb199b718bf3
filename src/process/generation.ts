/**
 * One configuration at work: its listeners' tables, and for each server block its upstreams, templates, stores and
 * logs. A reload makes a new one beside the old, moves over what is cached, and lets the old one finish what it was
 * asked. Part of the composition root, split from app.ts because it lives as long as a configuration, not as long as
 * the process.
 */
import type { Cache, Store } from '../cache/cache.js';
import type { BlockConfig, Config } from '../config/config.js';
import { rememberedAddresses, waysOf } from '../config/returning.js';
import { wireToName } from '../dns/names.js';
import { Normaliser } from '../dns/normalise.js';
import { u16 } from '../dns/wire.js';
import { addressFreeMs } from '../limits.js';
import { newDnstap } from '../observe/dnstap.js';
import { bothTold, type ErrorsLog, newErrorsLog, newQueryLog } from '../observe/query-log.js';
import type { Network } from '../os/network.js';
import type { Random } from '../os/random.js';
import type { PluginDeps } from '../plugins/plugin.js';
import { plugins } from '../plugins/registry.js';
import { keepPolicy, keepsFor } from '../resolve/cacheability.js';
import type { LoopWatch } from '../resolve/loop.js';
import { guardFrom, judgeIn, type KeepRoute, type PluginAtWork, planFrom, type Route } from '../resolve/route.js';
import type { Holding, Numbering, ReusableNumbering } from '../resolve/stable-ids.js';
import { makeFrom } from '../resolve/synthesize.js';
import { type PlannedListener, planZones } from '../resolve/zone-plan.js';
import type { ServedZone, ZoneTable } from '../resolve/zones.js';
import { doAll, toEach } from '../scheduling/each.js';
import type { Ask } from '../upstream/ask.js';
import { anyResponsible, responsibility } from '../upstream/forward.js';
import { Forwards } from '../upstream/forwards.js';
import type { Outages } from '../upstream/health.js';
import { ownListeners } from '../upstream/own-upstreams.js';
import { Forgetting } from './forgetting.js';
import type { ResolvConfFiles } from './resolv-conf-files.js';

export interface GenerationDeps extends PluginDeps {
  readonly network: Network;
  readonly random: Random;
  readonly cache: Cache;
  readonly numberings: { readonly cache: Numbering; readonly counters: ReusableNumbering };
  /** What it returns says, when it is asked later, whether all threads answer by what they were told until now. */
  readonly following: () => () => boolean;
  readonly loops: LoopWatch;
  readonly outages: Outages;
  readonly queryLogOutput: (line: () => string) => void;
  /** Filled here; zones of an old configuration keep their way until nobody asks by them. */
  readonly routes: WeakMap<ServedZone, Route>;
  readonly resolvConfs: ResolvConfFiles;
  /** Asks ourselves, as a client in this zone would. */
  readonly within: (zone: ServedZone) => Ask;
  /** Asks ourselves, as a client of the listener with this table would. */
  readonly lookUpIn: (table: ZoneTable) => Route['lookUp'];
}

/** What is the same for all its zones, on all listeners. */
type BlockRoute = Omit<Route, 'lookUp' | 'judge'>;

/** What belongs to one server block while its configuration is in use. */
export interface BlockAtWork {
  readonly config: BlockConfig;
  readonly forwards: Forwards;
  /** By name. */
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
  /** Its zones' places in the counters. */
  readonly #places: Holding;
  readonly #forgetting: Forgetting;

  /**
   * `prepared` is what its plugins read in advance; they read the rest when it serves already. Whatever it throws, nothing
   * is left started.
   */
  constructor(
    readonly config: Config,
    readonly deps: GenerationDeps,
    prepared: Prepared = [],
  ) {
    this.#places = deps.numberings.counters.hold();
    this.#forgetting = new Forgetting(deps.cache, deps.clock);
    const ownAddresses = config.blocks
      .filter(({ zones }) => zones.some(({ port }) => port === 53))
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
        const forget = (store: Store, isAbout: (name: string) => boolean) => this.#forgetting.names(store, isAbout);
        started.push(startBlock(block, { forwards, prepared: prepared[index] ?? new Map(), forget }, deps));
      }
      this.#judgeOwn();
      for (const { tables } of this.listeners) for (const table of tables) this.#open(table);
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /** Which upstreams lead back may change with the upstreams of any block; until all are there nobody asks. */
  #judgeOwn(): void {
    if (this.blocks.length < this.config.blocks.length) return;
    for (const { forwards } of this.blocks) forwards.judgeOwn();
  }

  /** Makes the ways of the zones in this table. */
  #open(table: ZoneTable): void {
    const { cache, routes, lookUpIn, within } = this.deps;
    const normaliser = new Normaliser(cache.blocks.hashKey);
    const ways = { lookUp: lookUpIn(table), judge: judgeIn(table, (block) => atWorkOf(this.blocks[block])) };
    for (const zone of table.byBytes.flat()) {
      const block = this.blocks[zone.block];
      this.#storeOfZone.set(zone.zoneId, block.store);
      const route = { ...(zone.cache === null ? block.uncached : block.cached), ...ways };
      routes.set(zone, route);
      if (zone.translation === null) continue;
      this.#storeOfZone.set(zone.translation.zone.zoneId, block.store);
      routes.set(zone.translation.zone, translatedFrom(route, atWorkOf(block), within(zone), normaliser));
    }
  }

  /** Where answers of this zone are kept now; null when nothing of it is. */
  store(zoneId: number): Store | null {
    return this.#storeOfZone.get(zoneId) ?? null;
  }

  /** Takes over what `before` has cached of zones that are served here too, where the same is made here. The rest stays there. */
  takeCacheOf(before: Generation): void {
    const changed = new Set<number>();
    for (const { zones } of this.listeners) {
      for (const zone of zones) {
        if (before.madeIn(zone.zoneId) === this.madeIn(zone.zoneId)) continue;
        changed.add(zone.zoneId);
        if (zone.translation !== null) changed.add(zone.translation.zone.zoneId);
      }
    }
    before.#forgetting.finish();
    toEach(before.blocks, ({ store }) => {
      if (store === null) return;
      this.deps.cache.move(store, (zoneId) => (changed.has(zoneId) ? null : this.store(zoneId)));
    });
    this.#forgetOthers(before);
  }

  /** A file that a plugin reads may have changed with the configuration, as both may come from one ConfigMap. */
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
        if (isOther !== null) this.#forgetting.names(store, isOther);
      }
    }
  }

  /** What its plugins have prepared, for the same configuration put to work once more. */
  get prepared(): Prepared {
    return this.blocks.map(
      ({ plugins: all }) => new Map([...all].flatMap(([name, one]) => (one.prepared ? [[name, one.prepared()]] : []))),
    );
  }

  /** What is made of a zone here rather than asked for, as text; undefined when it is not served. */
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

  /** The files that `forward` names as lists of upstreams, without duplicates. */
  get resolvConfs(): readonly string[] {
    const targets = this.config.blocks.flatMap(({ forwards }) => forwards.flatMap(({ to }) => to));
    return [...new Set(targets.flatMap((target) => (target.kind === 'file' ? [target.path] : [])))];
  }

  /** Takes the upstreams from those files again. */
  resolvConfsChanged(): void {
    for (const path of this.resolvConfs) toEach(this.blocks, ({ forwards }) => forwards.resolvConfChanged(path));
  }

  /**
   * Drops what nobody has taken over of what is cached; lets what is being asked finish, then closes every connection
   * and calls `done`, once.
   */
  drain(done: () => void): void {
    let left = this.blocks.length;
    const drain = (block: BlockAtWork): void =>
      block.forwards.drain(() =>
        doAll(
          () => block.stop(),
          () => --left === 0 && this.#over(done),
        ),
      );
    doAll(
      () => this.#forgetAll(),
      () => toEach(this.blocks, drain),
    );
  }

  /** Drops everything at once; what is cached stays where it is. */
  stop(): void {
    toEach(this.blocks, (block) => {
      doAll(
        () => block.forwards.stop(),
        () => block.stop(),
      );
    });
  }

  /** Drops everything at once, what is cached too: it never served, or does not any more. */
  discard(): void {
    doAll(
      () => this.stop(),
      () => this.#forgetAll(),
      () => this.#releasePlaces(),
    );
  }

  #over(done: () => void): void {
    doAll(done, () => this.#releasePlaces());
  }

  /**
   * Others may have the places of its zones in the counters, but later: threads learn of the next configuration when they
   * look, and a client's question may still wait for one of ours that the next one asks, and is counted when it is answered.
   */
  #releasePlaces(): void {
    const { clock, following } = this.deps;
    const haveFollowed = following();
    const isOverAtMs = clock.nowMs() + addressFreeMs;
    this.#places.release(() => clock.nowMs() >= isOverAtMs && haveFollowed());
  }

  #forgetAll(): void {
    toEach(this.blocks, ({ store }) => {
      if (store !== null) this.deps.cache.dissolve(store);
    });
  }
}

/** What `prepare` of each plugin gave, for each server block by plugin. */
type Prepared = readonly ReadonlyMap<string, unknown>[];

/** Reads what plugins need from files before the configuration is in use; given up when `isOver` says so. */
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
  /** Drops what is cached of these names. */
  forget(store: Store, isAbout: (name: string) => boolean): void;
}

function startBlock(config: BlockConfig, start: BlockStart, deps: GenerationDeps): BlockAtWork {
  const { cache } = config;
  const { forwards, prepared, forget } = start;
  const errors = config.errors === null ? null : newErrorsLog(config.errors, deps);
  const store =
    cache === null
      ? null
      : deps.cache.newStore({
          successEntriesMax: cache.success.entriesMax,
          denialEntriesMax: cache.denial.entriesMax,
        });
  const started = new Map<string, PluginAtWork>();
  const isForwarded = anyResponsible(config.forwards.map(responsibility));
  try {
    for (const plugin of plugins) {
      const own = config.settings[plugin.name];
      const atWork =
        own === undefined
          ? null
          : plugin.start?.(own, {
              deps,
              prepared: prepared.get(plugin.name),
              isForwarded,
              forget: (isAbout) => store !== null && forget(store, isAbout),
            });
      if (atWork != null) started.set(plugin.name, atWork);
    }
    return blockOf(config, { forwards, errors, store, plugins: started }, deps);
  } catch (error) {
    for (const atWork of started.values()) atWork.stop?.();
    if (store !== null) deps.cache.dissolve(store);
    throw error;
  }
}

interface BlockParts extends Pick<BlockAtWork, 'forwards' | 'store' | 'plugins'> {
  readonly errors: ErrorsLog | null;
}

function blockOf(config: BlockConfig, parts: BlockParts, deps: GenerationDeps): BlockAtWork {
  const { forwards, errors, store } = parts;
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
      errors?.failed({ rcode, name: wireToName(question, 0), type: u16(question, question.length - 4), text });
    },
  };
  return {
    config,
    forwards,
    plugins: parts.plugins,
    store,
    uncached,
    cached: { ...uncached, keep: keepRoute(config) },
    stop() {
      errors?.stop();
      toEach(atWork, (one) => one.stop?.());
      tap?.stop();
    },
  };
}

/** Answers for one client alone are made for clients with translated answers too: others are made for the queries within. */
function translatedFrom(route: Route, atWork: readonly PluginAtWork[], within: Ask, normaliser: Normaliser): Route {
  const outer = atWork.some(({ isForClientAlone }) => isForClientAlone) ? route : { ...route, make: null };
  const translator = atWork.find(({ translate }) => translate !== undefined)!;
  return translator.translate!(outer, within, normaliser);
}

function keepRoute({ cache }: BlockConfig): KeepRoute | null {
  if (cache === null) return null;
  return {
    policy: keepPolicy(cache),
    patienceMs: cache.stale?.patienceMs ?? Number.POSITIVE_INFINITY,
    recheckMs: cache.stale?.recheckMs ?? 0,
    preferPositive: cache.preferPositive,
    keeps: keepsFor(cache),
  };
}
