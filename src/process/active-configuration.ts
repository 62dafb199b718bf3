/**
 * The configuration in force: opens what it names, watches its files, and on a reload switches to the next one in one
 * turn or changes nothing.
 */
import { type Config, ConfigError, formatDiagnostic } from '../config/config.js';
import { watchFiles } from '../config/watch.js';
import type { KeepAnswer, Refresh, Refuse, Serve } from '../listen/client.js';
import { ListenError, type Listeners, type WantedListener } from '../listen/listeners.js';
import type { Timer } from '../os/clock.js';
import type { LogFields } from '../os/log.js';
import type { TableOf } from '../resolve/serve.js';
import type { PlannedListener } from '../resolve/zone-plan.js';
import type { ZoneTable } from '../resolve/zones.js';
import { doAll, toEach } from '../scheduling/each.js';
import type { Endpoints } from './endpoints.js';
import { Generation, type GenerationDeps, prepare } from './generation.js';
import { type ProbingDeps, startProbing } from './start-probes.js';

export type ReloadResult = 'reloaded' | 'unchanged' | 'refused';

export interface ActiveConfigurationDeps extends ProbingDeps {
  /** Throws a ConfigError. */
  readonly load: () => Config;
  readonly listeners: Listeners<ZoneTable>;
  readonly watching: Endpoints;
  readonly deps: GenerationDeps;
  /** How often the configuration's files are read, whatever `reload` says; null: as `reload` says. */
  readonly lookEveryMs: number | null;
  /** Callbacks for each packet, for refreshes and for packets without room. Each uses the table in force. */
  serve(tableOf: TableOf): Serve;
  refresh(tableOf: TableOf): Refresh;
  refuse(tableOf: TableOf): Refuse;
  /** For the answers of workers, in whatever zone. */
  readonly keep: KeepAnswer;
  /** What came under the present tables is to be dealt with. */
  tablesWillChange(): void;
  tablesChanged(config: Config): void;
}

interface LastReload {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly result: ReloadResult;
  /** Why it was rejected; null: it was not. */
  readonly error: string | null;
}

export class ActiveConfiguration {
  generation: Generation;
  /** Since when the configuration is in force, in milliseconds since 1970. */
  inForceSinceMs: number;
  /** Null before the first. */
  lastReload: LastReload | null = null;
  /** The last reload was rejected: the configuration in force is not the one in the file. */
  isLastRefused = false;
  readonly #deps: ActiveConfigurationDeps;
  /** What each open server answers by; a listener reads it for each packet. */
  readonly #servers = new Map<string, { by: PlannedListener }>();
  #watch: Timer | null = null;
  #probing: Timer | null = null;
  #reloading: Promise<unknown> = Promise.resolve();
  /** Earlier generations that still answer their last queries. */
  readonly #draining = new Set<Generation>();
  #isFinishing = false;
  /** Nothing is opened any more. */
  #isOver = false;

  constructor(first: Generation, deps: ActiveConfigurationDeps) {
    this.generation = first;
    this.inForceSinceMs = deps.deps.clock.wallMs();
    this.#deps = deps;
    this.#watch = this.#watchFilesOf(first.config);
  }

  get config(): Config {
    return this.generation.config;
  }

  /** Opens everything. Rejects with a ListenError when something cannot be opened, after closing the rest. */
  async start(): Promise<void> {
    const { listeners, watching } = this.#deps;
    try {
      await listeners.open(this.#wanted(this.generation));
      await watching.use(this.config);
      watching.readiness.met('listeners');
      this.#probing = startProbing(this.generation, this.#deps);
    } catch (error) {
      await this.#undo([
        () => this.#stopTimers(),
        () => this.generation.stop(),
        () => listeners.keepOnly(new Set()),
        () => watching.stop(),
      ]);
      throw error;
    }
    this.#warn();
  }

  /** Reloads, one at a time. If anything throws, the old configuration stays and what was opened is closed. */
  reload(why: string): Promise<ReloadResult> {
    const result = this.#reloading.then(() => this.#reloadNow(why));
    this.#reloading = result.catch(() => {});
    return result;
  }

  /**
   * After an exception: asks upstreams over new connections, as after a reload. Queries on the old connections are
   * still answered, except those that were draining already, which may be what threw and would throw again. Runs at
   * once and leaves listeners alone: a reload may be about to open others.
   */
  renew(): void {
    if (this.#isFinishing) return;
    const next = new Generation(this.config, this.#deps.deps, this.generation.prepared);
    try {
      const before = this.#switchTo(next);
      const suspects = [...this.#draining];
      this.#draining.clear();
      this.#doAll(
        () => toEach(suspects, (one) => one.discard()),
        () => this.#drain(before),
      );
    } catch (error) {
      next.discard();
      throw error;
    }
  }

  /** Ends watching and probing, and rejects reloads. One under way has `withinMs`; then it is undone. */
  async finish(withinMs: number): Promise<void> {
    this.#isFinishing = true;
    await new Promise<void>((resolve) => {
      const late = this.#deps.deps.clock.after(withinMs, resolve);
      void this.#reloading.then(() => {
        late.stop();
        resolve();
      });
    });
    this.#isOver = true;
    this.#stopTimers();
  }

  async #reloadNow(why: string): Promise<ReloadResult> {
    const { deps } = this.#deps;
    if (this.#isFinishing) return 'refused';
    const undo: (() => unknown)[] = [];
    try {
      const result = await this.#replace(why, undo);
      this.lastReload = { atMs: deps.clock.wallMs(), result, error: null };
      if (result === 'reloaded') this.inForceSinceMs = deps.clock.wallMs();
      return result;
    } catch (error) {
      this.isLastRefused = true;
      deps.counters.count('reloadFailed');
      const message = error instanceof ConfigError ? error.summary : (error as Error).message;
      this.lastReload = { atMs: deps.clock.wallMs(), result: 'refused', error: message };
      deps.log.error(`${why}: new configuration rejected, keeping the old one: ${message}`, stackOf(error));
      if (error instanceof ConfigError) this.#alsoWatch(error.files);
      await this.#undo(undo.reverse());
      return 'refused';
    }
  }

  /** Puts the written configuration in force. `undo` gets the steps to run, in reverse order, if it throws. */
  async #replace(why: string, undo: (() => unknown)[]): Promise<ReloadResult> {
    const { listeners, watching, deps, load } = this.#deps;
    const config = load();
    const watch = this.#watchFilesOf(config);
    if (isSameConfig(config, this.config)) {
      this.isLastRefused = false;
      deps.log.info(`${why}: the configuration is unchanged`);
      // The same text may come from other files now.
      this.#watchBy(watch);
      return 'unchanged';
    }
    undo.push(() => watch?.stop());
    const prepared = await prepare(config, deps, () => this.#isOver);
    this.#mustGoOn();
    const next = new Generation(config, deps, prepared);
    undo.push(() => next.discard());
    undo.push(() => this.#closeOthers());
    await listeners.open(this.#wanted(next));
    this.#mustGoOn();
    // If an endpoint of the old configuration cannot be reopened, this is the moment to log it.
    undo.push(() => this.#isOver || watching.use(this.config));
    await watching.use(config);
    this.#mustGoOn();
    const before = this.#switchTo(next);
    undo.length = 0;
    this.#watchBy(watch);
    this.isLastRefused = false;
    // Queries through a listener that is closed are still answered through it, by the old configuration.
    this.#doAll(
      () => this.#closeOthers(),
      () => this.#drain(before),
    );
    deps.log.info(`${why}: new configuration in force`, { sha512: next.config.sha512 });
    this.#warn();
    return 'reloaded';
  }

  #mustGoOn(): void {
    if (this.#isOver) throw new Error('the program is stopping.');
  }

  /**
   * Switches in one turn, so that no packet sees half of each. Returns the old generation, which serves on if it
   * throws.
   */
  #switchTo(next: Generation): Generation {
    const before = this.generation;
    try {
      this.#deps.tablesWillChange();
      this.#use(next);
      next.takeCacheOf(before);
      const probing = startProbing(next, this.#deps);
      this.#probing?.stop();
      this.#probing = probing;
    } catch (error) {
      this.#doAll(
        () => this.#use(before),
        () => before.takeCacheOf(next),
      );
      throw error;
    }
    return before;
  }

  #drain(before: Generation): void {
    this.#draining.add(before);
    before.drain(() => this.#draining.delete(before));
  }

  /** For every packet from now on. */
  #use(generation: Generation): void {
    this.generation = generation;
    for (const by of generation.listeners) this.#servers.get(by.server)!.by = by;
    this.#deps.tablesChanged(generation.config);
  }

  /** Undoes the steps for a configuration that is not used after all; a step that fails does not stop the others. */
  async #undo(steps: readonly (() => unknown)[]): Promise<void> {
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  /** The same in one turn. */
  #doAll(...steps: readonly (() => void)[]): void {
    try {
      doAll(...steps);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const { counters, log } = this.#deps.deps;
    if (!isForeseen(error)) counters.count('panics');
    log.error((error as Error).message, stackOf(error));
  }

  #stopTimers(): void {
    this.#watch?.stop();
    this.#probing?.stop();
  }

  /** Also watches the files of a rejected configuration: one that it names may be on its way. */
  #alsoWatch(files: readonly string[]): void {
    if (this.#isOver || files.length === 0) return;
    this.#watchBy(this.#watchFilesOf({ ...this.config, files: [...new Set([...this.config.files, ...files])] }));
  }

  #watchBy(watch: Timer | null): void {
    this.#watch?.stop();
    this.#watch = watch;
  }

  #wanted({ listeners }: Generation): WantedListener<ZoneTable>[] {
    const { serve, refresh, refuse, keep } = this.#deps;
    return listeners.map((by) => {
      const { server, at } = by;
      const entry = this.#servers.get(server) ?? { by };
      this.#servers.set(server, entry);
      const table = () => entry.by.table;
      const timeouts = () => entry.by.block.timeouts;
      const tableOf = (client: string) => entry.by.tableOf(client);
      const hands = { serve: serve(tableOf), refresh: refresh(tableOf), refuse: refuse(tableOf), keep };
      return { key: server, at, timeouts, table, ...hands };
    });
  }

  #closeOthers(): void {
    const servers = new Set(this.generation.listeners.map(({ server }) => server));
    this.#deps.listeners.keepOnly(servers);
    for (const server of this.#servers.keys()) if (!servers.has(server)) this.#servers.delete(server);
  }

  #warn(): void {
    for (const warning of this.config.warnings) this.#deps.deps.log.warn(formatDiagnostic(warning));
  }

  /** Begins as soon as the files have been read, so that changes during the opening are noticed. */
  #watchFilesOf(config: Pick<Config, 'reload' | 'files'>): Timer | null {
    const { deps, look, lookEveryMs } = this.#deps;
    const changed = () => void this.reload('the Corefile has changed');
    return watchConfig(config, { clock: deps.clock, random: deps.random, look, lookEveryMs, changed });
  }
}

/** A fault of the configuration or the machine, not of this program. */
function isForeseen(error: unknown): boolean {
  return error instanceof ConfigError || error instanceof ListenError;
}

function stackOf(error: unknown): LogFields | undefined {
  return isForeseen(error) ? undefined : { error: String((error as Error).stack) };
}

type WatchDeps = Pick<GenerationDeps, 'clock' | 'random'> &
  Pick<ActiveConfigurationDeps, 'look' | 'lookEveryMs'> & { changed(): void };

/** Reads the files as often as the configuration says; null: never. */
export function watchConfig({ reload, files }: Pick<Config, 'reload' | 'files'>, deps: WatchDeps): Timer | null {
  const { clock, random, look, lookEveryMs, changed } = deps;
  // Spread, so that the nodes of a cluster do not all read at once.
  const reloadMs = reload === null ? Number.POSITIVE_INFINITY : reload.intervalMs + random.below(reload.jitterMs + 1);
  const periodMs = Math.min(reloadMs, lookEveryMs ?? Number.POSITIVE_INFINITY);
  if (periodMs === Number.POSITIVE_INFINITY) return null;
  return watchFiles(clock, () => files, periodMs, changed, look);
}

/** Compares the text and what it names: an interface may have other addresses, a file other certificates. */
export function isSameConfig(one: Config, other: Config): boolean {
  return one.sha512 === other.sha512 && named(one) === named(other);
}

function named({ blocks }: Config): string {
  return JSON.stringify(
    blocks.map(({ addresses, traits, forwards }) => {
      return [addresses, traits.cachedBy, forwards.map(({ tls }) => tls)];
    }),
  );
}
