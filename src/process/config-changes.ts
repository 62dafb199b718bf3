/**
 * What is a change of the configuration: looks at the files that it was read from, and whether what was read again is
 * what is in force. Part of the composition root.
 */
import type { Config } from '../config/config.js';
import { type Look, watchFiles } from '../config/watch.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Random } from '../os/random.js';

interface LookingDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly look: Look;
  /** Looks this often, whatever `reload` says; null leaves it to `reload`. */
  readonly lookEveryMs: number | null;
  changed(): void;
}

/** Looks at the files as often as the configuration says; null when it says never. */
export function watchConfig({ reload, files }: Pick<Config, 'reload' | 'files'>, deps: LookingDeps): Timer | null {
  const { clock, random, look, lookEveryMs, changed } = deps;
  // Spread, so that the nodes of a cluster do not all look at once.
  const reloadMs = reload === null ? Number.POSITIVE_INFINITY : reload.intervalMs + random.below(reload.jitterMs + 1);
  const periodMs = Math.min(reloadMs, lookEveryMs ?? Number.POSITIVE_INFINITY);
  if (periodMs === Number.POSITIVE_INFINITY) return null;
  return watchFiles(clock, () => files, periodMs, changed, look);
}

/** The same text, and what it names: an interface may have other addresses, a file other certificates. */
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
