/**
 * The configuration in force: opens what it names, watches the files it came from, and on a reload puts the next one
 * in its place in one turn, or refuses that and leaves everything as it is. Part of the composition root.
 */
import { type Config, ConfigError, formatDiagnostic } from '../config/config.js';
import type { Refresh, Refuse, Serve } from '../listen/client.js';
import { ListenError, type Listeners, type WantedListener } from '../listen/listeners.js';
import type { Timer } from '../os/clock.js';
import type { LogFields } from '../os/log.js';
import type { TableOf } from '../resolve/serve.js';
import type { PlannedListener } from '../resolve/zone-plan.js';
import type { ZoneTable } from '../resolve/zones.js';
import { doAll, toEach } from '../scheduling/each.js';
import { isSameConfig, watchConfig } from './config-changes.js';
import type { Endpoints } from './endpoints.js';
import { Generation, type GenerationDeps, prepare } from './generation.js';
import { startTending, type TendingDeps } from './tending.js';

export type ReloadResult = 'reloaded' | 'unchanged' | 'refused';

export interface ActiveConfigurationDeps extends TendingDeps {
  /** Reads the configuration; throws a ConfigError. */
  readonly load: () => Config;
  readonly listeners: Listeners<ZoneTable>;
  readonly watching: Endpoints;
  readonly deps: GenerationDeps;
  /** Looks at the configuration's files this often, whatever `reload` says; null leaves it to `reload`. */
  readonly lookEveryMs: number | null;
  /** What a listener calls for each packet, by the table that is in force then. */
  serve(tableOf: TableOf): Serve;
  /** The same for answers that are due for a refresh. */
  refresh(tableOf: TableOf): Refresh;
  /** And for what there is no room for. */
  refuse(tableOf: TableOf): Refuse;
  /** Other tables are in force now, those of this configuration. */
  tablesChanged(config: Config): void;
}

export class ActiveConfiguration {
  serving: Generation;
  /** When the configuration was last read it was refused, so what is in force is not what is written. */
  isLastRefused = false;
  readonly #deps: ActiveConfigurationDeps;
  /** What each open server answers by; a listener reads it anew for each packet. */
  readonly #servers = new Map<string, { by: PlannedListener }>();
  /** Looks at the files that the configuration was read from. */
  #watch: Timer | null = null;
  /** What runs while it is in force. */
  #tending: Timer | null = null;
  #reloading: Promise<unknown> = Promise.resolve();
  /** Those before it that still finish what they were asked. */
  readonly #draining = new Set<Generation>();
  /** No further reload is begun. */
  #isSettled = false;
  /** Nothing is to be opened any more. */
  #isOver = false;

  constructor(first: Generation, deps: ActiveConfigurationDeps) {
    this.serving = first;
    this.#deps = deps;
    this.#watch = this.#watchFilesOf(first.config);
  }

  get config(): Config {
    return this.serving.config;
  }

  /** Opens everything. Rejects with a ListenError when something cannot be opened; then nothing is left open. */
  async start(): Promise<void> {
    const { listeners, watching } = this.#deps;
    try {
      await listeners.open(this.#wanted(this.serving));
      await watching.use(this.config);
      watching.readiness.met('listeners');
      this.#tending = startTending(this.serving, this.#deps);
    } catch (error) {
      await this.#undo([
        () => this.#stopTimers(),
        () => this.serving.stop(),
        () => listeners.keepOnly(new Set()),
        () => watching.stop(),
      ]);
      throw error;
    }
    this.#warn();
  }

  /**
   * Reads the configuration again; one reload at a time, in the order in which they were asked for. Whatever throws on
   * the way, the configuration in force stays in force, and what was opened for the other is closed.
   */
  reload(why: string): Promise<ReloadResult> {
    const result = this.#reloading.then(() => this.#reloadNow(why));
    this.#reloading = result.catch(() => {});
    return result;
  }

  /**
   * Asks upstreams by new connections, as after a reload, because something threw. What was asked by the old ones is
   * still answered, except where they were draining already: those may be what threw, and would throw again. It happens
   * at once, and leaves listeners alone: a reload may be about to open others.
   */
  renew(): void {
    if (this.#isSettled) return;
    const next = new Generation(this.config, this.#deps.deps, this.serving.prepared);
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

  /** Ends watching and probing, and refuses further reloads. One that is under way has so long; then it is undone. */
  async settle(withinMs: number): Promise<void> {
    this.#isSettled = true;
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
    if (this.#isSettled) return 'refused';
    const undo: (() => unknown)[] = [];
    try {
      return await this.#replace(why, undo);
    } catch (error) {
      this.isLastRefused = true;
      deps.counters.count('reloadFailed');
      const message = error instanceof ConfigError ? error.summary : (error as Error).message;
      deps.log.error(`${why}: new configuration rejected, keeping the old one: ${message}`, stackOf(error));
      if (error instanceof ConfigError) this.#alsoWatch(error.files);
      await this.#undo(undo.reverse());
      return 'refused';
    }
  }

  /** Puts what is written now in force. `undo` gets what is to be done, the last first, if it throws. */
  async #replace(why: string, undo: (() => unknown)[]): Promise<ReloadResult> {
    const { listeners, watching, deps, load } = this.#deps;
    const config = load();
    const watch = this.#watchFilesOf(config);
    if (isSameConfig(config, this.config)) {
      this.isLastRefused = false;
      deps.log.info(`${why}: the configuration is unchanged`);
      // The same text may be made of other files now.
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
    // It served on these endpoints a moment ago; if one cannot be had back, there is no better moment to say so.
    undo.push(() => this.#isOver || watching.use(this.config));
    await watching.use(config);
    this.#mustGoOn();
    const before = this.#switchTo(next);
    undo.length = 0;
    this.#watchBy(watch);
    this.isLastRefused = false;
    // What was asked through a listener that is gone is still answered through it, by the old configuration.
    this.#doAll(
      () => this.#closeOthers(),
      () => this.#drain(before),
    );
    deps.log.info(`${why}: new configuration in force`, { sha512: next.config.sha512 });
    this.#warn();
    return 'reloaded';
  }

  /** Whether there is still a program to be reloaded. */
  #mustGoOn(): void {
    if (this.#isOver) throw new Error('the program is stopping.');
  }

  /**
   * Serves by the next, in one turn, so that no packet sees half of each; returns the one before, to be drained. When
   * it throws, the one before is in force as it was.
   */
  #switchTo(next: Generation): Generation {
    const before = this.serving;
    try {
      this.#use(next);
      next.takeCacheOf(before);
      const tending = startTending(next, this.#deps);
      this.#tending?.stop();
      this.#tending = tending;
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
  #use(serving: Generation): void {
    this.serving = serving;
    for (const by of serving.listeners) this.#servers.get(by.server)!.by = by;
    this.#deps.tablesChanged(serving.config);
  }

  /** Undoes what was done for a configuration that is not used after all; a step that fails leaves out no other. */
  async #undo(steps: readonly (() => unknown)[]): Promise<void> {
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  /** The same at once, for what must be done in one turn. */
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
    this.#tending?.stop();
  }

  /** What a configuration that is refused was made from, too: a file that it names may be on its way. */
  #alsoWatch(files: readonly string[]): void {
    if (this.#isOver || files.length === 0) return;
    this.#watchBy(this.#watchFilesOf({ ...this.config, files: [...new Set([...this.config.files, ...files])] }));
  }

  #watchBy(watch: Timer | null): void {
    this.#watch?.stop();
    this.#watch = watch;
  }

  #wanted({ listeners }: Generation): WantedListener<ZoneTable>[] {
    const { serve, refresh, refuse } = this.#deps;
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
    this.#deps.listeners.keepOnly(servers);
    for (const server of this.#servers.keys()) if (!servers.has(server)) this.#servers.delete(server);
  }

  /** Says what is unwise in the configuration. */
  #warn(): void {
    for (const warning of this.config.warnings) this.#deps.deps.log.warn(formatDiagnostic(warning));
  }

  /** Begins as soon as the files have been read: what changes while things are being opened is seen as well. */
  #watchFilesOf(config: Pick<Config, 'reload' | 'files'>): Timer | null {
    const { deps, look, lookEveryMs } = this.#deps;
    const changed = () => void this.reload('the Corefile has changed');
    return watchConfig(config, { clock: deps.clock, random: deps.random, look, lookEveryMs, changed });
  }
}

/** What is wrong with a configuration or in the machine, and not in this program. */
function isForeseen(error: unknown): boolean {
  return error instanceof ConfigError || error instanceof ListenError;
}

function stackOf(error: unknown): LogFields | undefined {
  return isForeseen(error) ? undefined : { error: String((error as Error).stack) };
}
