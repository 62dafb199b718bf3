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
      message: 'without cache every question of this server block is asked upstream',
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
        `denials live for ${ttlMaxSeconds} s at most, so the names of every search path that are not there are ` +
        `asked upstream again and again, and ${entriesMax} places for them stay empty`,
      remedy: `write ${denialTtlSecondsLeast} s or more, as in "denial ${entriesMax} ${denialTtlSecondsLeast}"`,
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
    return never('nothing is ever refreshed, since positive answers are not kept', 'take prefetch or "disable" out');
  }
  if (prefetch.gapMs === 0) {
    return never('nothing is ever refreshed, since hits may have no time between them', 'write a gap like 1m');
  }
  if (prefetch.hits <= success.ttlMaxSeconds * hitsPerSecondMost) return [];
  const perSecond = Math.ceil(prefetch.hits / success.ttlMaxSeconds);
  return never(
    `a name is refreshed only if it is asked for ${perSecond} times a second, since it lives for ` +
      `${success.ttlMaxSeconds} s at most`,
    'write fewer hits, as in "prefetch 10 1m 25%"',
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
        message: 'there is no stale answer to give, since positive ones are not kept',
        remedy: 'take serve_stale or "disable" out',
      },
    ];
  }
  if (cache.success.entriesMax >= placesMany) return [];
  return [
    {
      at,
      message: `there is room for ${cache.success.entriesMax} answers, so hardly one is there past its TTL`,
      remedy: 'write a capacity of thousands, as in "success 9984"',
    },
  ];
};

/** Whether `disable` means every zone of the block. */
function isEverywhere({ config }: Advised, disabled: readonly string[] | null): boolean {
  return disabled !== null && config.zones.every(({ zone }) => disabled.some((wide) => isInZone(zone, wide)));
}
