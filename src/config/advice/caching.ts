/** Advice about `cache`: what is kept nowhere, too shortly, or never refreshed. */
import { isInZone } from '../../dns/names.js';
import { type Advised, type BlockRule, hasOption, placeOf, type Saying } from './advised.js';

/** What node-cache's own Corefile keeps denials for. */
const denialTtlSecondsLeast = 5;
/** From this many places on somebody meant denials to be kept. */
const placesMany = 1_000;
/** Questions a second for one name that no node sees. */
const hitsPerSecondMost = 1_000;

export const cacheMissing: BlockRule = (block) => {
  if (block.config.cache !== null || block.config.forwards.length === 0) return [];
  return [
    {
      at: block.config.at,
      message: 'no cache: every query of this server block goes upstream',
      remedy: 'add "cache 30"',
    },
  ];
};

export const denialTtlShort: BlockRule = (block) => {
  const { cache, forwards } = block.config;
  if (cache === null || forwards.length === 0 || isEverywhere(block, cache.denialDisabled)) return [];
  const { ttlMaxSeconds, entriesMax } = cache.denial;
  if (ttlMaxSeconds >= denialTtlSecondsLeast || entriesMax < placesMany) return [];
  return [
    {
      at: placeOf(block, 'cache', 'denial'),
      message:
        `denials are cached for ${ttlMaxSeconds} s at most, so nonexistent names of search paths go ` +
        `upstream again and again, and ${entriesMax} places stay mostly empty`,
      remedy: `write ${denialTtlSecondsLeast} s or more, for example "denial ${entriesMax} ${denialTtlSecondsLeast}"`,
    },
  ];
};

export const prefetchNever: BlockRule = (block) => {
  const prefetch = block.config.cache?.prefetch ?? null;
  if (block.config.cache === null || prefetch === null) return [];
  const { successDisabled, success } = block.config.cache;
  const at = placeOf(block, 'cache', 'prefetch');
  const never = (message: string, remedy: string): Saying[] => [{ at, message, remedy }];
  if (isEverywhere(block, successDisabled)) {
    return never('prefetch has no effect: positive answers are not cached', 'remove prefetch or "disable"');
  }
  if (prefetch.gapMs === 0) {
    return never('prefetch has no effect: the gap between hits is 0', 'write a gap such as 1m');
  }
  if (prefetch.hits <= success.ttlMaxSeconds * hitsPerSecondMost) return [];
  const perSecond = Math.ceil(prefetch.hits / success.ttlMaxSeconds);
  return never(
    `prefetch needs ${perSecond} queries a second for a name, because its TTL is ` +
      `${success.ttlMaxSeconds} s at most`,
    'write fewer hits, for example "prefetch 10 1m 25%"',
  );
};

export const staleWithoutRoom: BlockRule = (block) => {
  const { cache } = block.config;
  if (cache === null || cache.stale === null || !hasOption(block, 'cache', 'serve_stale')) return [];
  const at = placeOf(block, 'cache', 'serve_stale');
  if (isEverywhere(block, cache.successDisabled)) {
    return [
      {
        at,
        message: 'serve_stale has no effect: positive answers are not cached',
        remedy: 'remove serve_stale or "disable"',
      },
    ];
  }
  if (cache.success.entriesMax >= placesMany) return [];
  return [
    {
      at,
      message: `the cache has room for only ${cache.success.entriesMax} answers, so few stay past their TTL`,
      remedy: 'write a capacity of thousands, for example "success 9984"',
    },
  ];
};

/** Whether `disable` means every zone of the block. */
function isEverywhere({ config }: Advised, disabled: readonly string[] | null): boolean {
  return disabled !== null && config.zones.every(({ zone }) => disabled.some((wide) => isInZone(zone, wide)));
}
