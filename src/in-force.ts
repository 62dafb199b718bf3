/**
 * The configuration in force: opens what it names, watches the files it came from, and on a reload puts the next one
 * in its place in one turn, or refuses that and leaves everything as it is. Part of the composition root.
 */
import type { Config } from './config/config.js';
import { formatDiagnostic } from './config/error.js';
import { systemdResolvConf } from './config/resolv-conf.js';
import { type Look, watchFiles } from './config/watch.js';
import { resolvConfPeriodMs } from './limits.js';
import type { Refresh, Refuse, Serve } from './listen/asker.js';
import type { Listeners, WantedListener } from './listen/listeners.js';
import type { Timer } from './outside/clock.js';
import type { TableOf } from './resolve/serve.js';
import type { PlannedListener } from './resolve/zone-plan.js';
import type { ZoneTable } from './resolve/zones.js';
import { Serving, type ServingWorld } from './serving.js';
import { startProbe } from './start-probes.js';
import type { Watching } from './watching.js';

export type ReloadResult = 'reloaded' | 'unchanged' | 'refused';

export interface InForceWorld {
  /** Reads the configuration; throws a ConfigError. */
  readonly load: () => Config;
  readonly listeners: Listeners<ZoneTable>;
  readonly watching: Watching;
  readonly world: ServingWorld;
  readonly look: Look;
  /** Looks at the configuration's files this often, whatever `reload` says; null leaves it to `reload`. */
  readonly lookEveryMs: number | null;
  /** What a listener calls for each packet, by the table that is in force then. */
  serve(tableOf: TableOf): Serve;
  /** The same for answers that are due for a refresh. */
  refresh(tableOf: TableOf): Refresh;
  /** And for what there is no room for. */
  refuse(tableOf: TableOf): Refuse;
  /** Other tables are in force now. */
  tablesChanged(): void;
  upstreamAnswered(): void;
}

export class InForce {
  serving: Serving;
  /** When the configuration was last read it was refused, so what is in force is not what is written. */
  isLastRefused = false;
  readonly #world: InForceWorld;
  /** What each open server answers by; a listener reads it anew for each packet. */
  readonly #servers = new Map<string, { by: PlannedListener }>();
  /** Looks at the files that the configuration was read from. */
  #watch: Timer | null = null;
  #timers: Timer[] = [];
  #probes: Timer[] = [];
  #reloading: Promise<unknown> = Promise.resolve();
  #isSettled = false;

  constructor(first: Serving, world: InForceWorld) {
    this.serving = first;
    this.#world = world;
    this.#watch = this.#watchFilesOf(first.config);
  }

  get config(): Config {
    return this.serving.config;
  }

  /** Opens everything. Rejects with a ListenError when something cannot be opened; then nothing is left open. */
  async start(): Promise<void> {
    const { listeners, watching } = this.#world;
    try {
      await listeners.open(this.#wanted(this.serving));
      await watching.use(this.config);
    } catch (error) {
      this.#watch?.stop();
      this.serving.stop();
      listeners.keepOnly(new Set());
      await watching.stop();
      throw error;
    }
    watching.readiness.met('listeners');
    this.#begin();
  }

  /** Reads the configuration again; one reload at a time, in the order in which they were asked for. */
  reload(why: string): Promise<ReloadResult> {
    const result = this.#reloading.then(() => this.#reloadNow(why));
    this.#reloading = result;
    return result;
  }

  /** Asks upstreams by new connections, as after a reload; what was asked by the old ones is still answered. */
  renew(): void {
    if (!this.#isSettled) this.#switchTo(new Serving(this.config, this.#world.world));
  }

  /** Ends watching and probing, and refuses further reloads; resolves when none is under way. */
  async settle(): Promise<void> {
    this.#isSettled = true;
    await this.#reloading;
    for (const timer of [this.#watch, ...this.#timers, ...this.#probes]) timer?.stop();
  }

  async #reloadNow(why: string): Promise<ReloadResult> {
    const { listeners, watching, world, load } = this.#world;
    if (this.#isSettled) return 'refused';
    let next: Serving | null = null;
    let watch: Timer | null = null;
    try {
      const config = load();
      if (isSame(config, this.config)) {
        this.isLastRefused = false;
        world.log.info(`${why}: the configuration is what it was`);
        // The same text may be made of other files now.
        this.#watch?.stop();
        this.#watch = this.#watchFilesOf(config);
        return 'unchanged';
      }
      watch = this.#watchFilesOf(config);
      next = new Serving(config, world);
      await listeners.open(this.#wanted(next));
      await watching.use(config);
    } catch (error) {
      this.isLastRefused = true;
      world.counters.count('reloadFailed');
      world.log.error(`${why}, but it is refused and the old configuration serves on: ${(error as Error).message}`);
      watch?.stop();
      next?.stop();
      this.#closeOthers();
      // It served on these endpoints a moment ago; if one cannot be had back, there is no better moment to say so.
      await watching.use(this.config).catch((again: Error) => world.log.error(again.message));
      return 'refused';
    }
    this.#watch?.stop();
    this.#watch = watch;
    this.#switchTo(next);
    this.isLastRefused = false;
    world.log.info(`${why}: serving by the new configuration`, { sha512: next.config.sha512 });
    return 'reloaded';
  }

  /** In one turn, so that no packet sees half of each. */
  #switchTo(next: Serving): void {
    const before = this.serving;
    this.serving = next;
    for (const by of next.listeners) this.#servers.get(by.server)!.by = by;
    this.#world.tablesChanged();
    next.takeCacheOf(before);
    // What was asked through a listener that is gone is still answered through it, by the old configuration.
    this.#closeOthers();
    before.drain(() => {});
    this.#begin();
  }

  #wanted({ listeners }: Serving): WantedListener<ZoneTable>[] {
    const { serve, refresh, refuse } = this.#world;
    return listeners.map((by) => {
      const { server, at } = by;
      const entry = this.#servers.get(server) ?? { by };
      this.#servers.set(server, entry);
      const table = () => entry.by.table;
      const timeouts = () => entry.by.block.timeouts;
      const tableOf = (client: string) => entry.by.tableOf(client);
      const hands = { serve: serve(tableOf), refresh: refresh(tableOf), refuse: refuse(tableOf) };
      return { key: server, at, timeouts, table, ...hands };
    });
  }

  /** Closes listeners that are not in force. */
  #closeOthers(): void {
    const servers = new Set(this.serving.listeners.map(({ server }) => server));
    this.#world.listeners.keepOnly(servers);
    for (const server of this.#servers.keys()) if (!servers.has(server)) this.#servers.delete(server);
  }

  /** Says what is unwise in the configuration, and starts what runs by the clock while it is in force. */
  #begin(): void {
    const { world, upstreamAnswered, look } = this.#world;
    const { clock, random, log } = world;
    for (const warning of this.config.warnings) log.warn(formatDiagnostic(warning));
    for (const timer of this.#timers) timer.stop();
    const probeWorld = { clock, random, log, loops: world.loops, answered: upstreamAnswered };
    const probe = (): void => {
      for (const timer of this.#probes) timer.stop();
      this.#probes = this.serving.blocks.map((block, index) => startProbe(block, index, probeWorld));
    };
    probe();
    this.#timers = [];
    // Where everything is made here there is nobody to wait for.
    if (this.config.blocks.every(({ forwards }) => forwards.length === 0)) upstreamAnswered();
    if (this.serving.resolvConfs.length > 0) {
      const files = [...this.serving.resolvConfs, systemdResolvConf];
      const changed = (): void => {
        this.serving.resolvConfsChanged();
        probe();
      };
      this.#timers.push(watchFiles(clock, () => files, resolvConfPeriodMs, changed, look));
    }
  }

  /** Begins as soon as the files have been read: what changes while things are being opened is seen as well. */
  #watchFilesOf({ reload, files }: Config): Timer | null {
    const { world, look, lookEveryMs } = this.#world;
    // Spread, so that the nodes of a cluster do not all look at once.
    const reloadMs =
      reload === null ? Number.POSITIVE_INFINITY : reload.intervalMs + world.random.below(reload.jitterMs + 1);
    const periodMs = Math.min(reloadMs, lookEveryMs ?? Number.POSITIVE_INFINITY);
    if (periodMs === Number.POSITIVE_INFINITY) return null;
    const changed = () => void this.reload('the Corefile has changed');
    return watchFiles(world.clock, () => files, periodMs, changed, look);
  }
}

/** The same text, and what it names: an interface may have other addresses, a resolv.conf other search domains. */
function isSame(one: Config, other: Config): boolean {
  const named = ({ blocks }: Config) =>
    JSON.stringify(blocks.map(({ addresses, changing }) => [addresses, changing.autopath?.search]));
  return one.sha512 === other.sha512 && named(one) === named(other);
}
