/** `cache [TTL] [ZONES…] { … }`: how long answers are cached, how many, and when a stale one may be served. */
import { cacheEntriesMax, refreshRecheckMs, ttlSecondsMax } from '../../limits.js';
import {
  type DirectiveContext,
  durationMs,
  eachOption,
  fail,
  oneDurationMs,
  oneOf,
  oneWord,
  set,
  someWords,
  switchOn,
  warn,
  warnOfForeignZones,
  wholeNumber,
  words,
} from '../arguments.js';
import type { CacheConfig, PrefetchConfig, StaleConfig, StoreConfig } from '../config.js';
import type { Directive } from '../corefile.js';
import type { Token } from '../lexer.js';
import { readZones } from '../zones.js';

/** CoreDNS's 256 shards of 39. */
const entriesDefault = 9_984;
/** CoreDNS's minimum. */
const entriesLeast = 1_024;
const successTtlSeconds = 3_600;
const denialTtlSeconds = 1_800;
const servfailMsMax = 300_000;

type CacheDraft = { -readonly [Key in keyof CacheConfig]: CacheConfig[Key] };

/** Without `serve_stale`: only if the upstream fails or is slower than the patience, with the TTL of RFC 8767 4. */
export const staleByDefault: StaleConfig = {
  maxAgeMs: 3_600_000,
  patienceMs: 400,
  ttlSeconds: 30,
  recheckMs: refreshRecheckMs,
};

export function readCache(directive: Directive, context: DirectiveContext): CacheConfig {
  const { ttlSeconds, zones } = ttlAndZones(directive, context);
  warnOfForeignZones(context, directive, zones);
  const cache: CacheDraft = {
    zones,
    success: store(ttlSeconds ?? successTtlSeconds),
    denial: store(ttlSeconds ?? denialTtlSeconds),
    prefetch: null,
    stale: staleByDefault,
    preferPositive: false,
    servfailMs: 5_000,
    successDisabled: null,
    denialDisabled: null,
    keepTtl: false,
  };
  eachOption(directive, {
    success: set(cache, 'success', (option) => readStore(option, cache.success, context)),
    denial: set(cache, 'denial', (option) => readStore(option, cache.denial, context)),
    prefetch: set(cache, 'prefetch', readPrefetch),
    serve_stale: set(cache, 'stale', readServeStale),
    serve_stale_policy(option) {
      oneOf(option, oneWord(option, 'prefer_positive'), 'the policy', ['prefer_positive']);
      cache.preferPositive = true;
    },
    servfail(option) {
      cache.servfailMs = oneDurationMs(option, 'the time to keep SERVFAIL');
      if (cache.servfailMs > servfailMsMax) fail(option, 'SERVFAIL is cached for 5m at most; write a shorter time.');
    },
    disable(option) {
      const [which, ...names] = someWords(option, 'success or denial, then zones');
      const disabled = names.length === 0 ? context.zones : names.flatMap((name) => readZones(name, option.path));
      if (oneOf(option, which, 'what is disabled', ['success', 'denial']) === 'success')
        cache.successDisabled = disabled;
      else cache.denialDisabled = disabled;
    },
    keepttl: switchOn(cache, 'keepTtl'),
  });
  return cache;
}

function ttlAndZones(directive: Directive, context: DirectiveContext) {
  const [first, ...rest] = directive.arguments;
  if (first === undefined) return { ttlSeconds: undefined, zones: [] };
  const isTtl = /^[+-]?\d+$/u.test(first.text);
  if (!isTtl && !first.text.includes('.')) {
    const meaning = `"${first.text}" is read as a zone name, as in CoreDNS, so only names in it are cached`;
    warn(context, directive, `${meaning}; for a TTL write a number of seconds without a unit.`);
  }
  return {
    ttlSeconds: isTtl ? wholeNumber(directive, first, 'the TTL', 1, ttlSecondsMax) : undefined,
    zones: (isTtl ? rest : directive.arguments).flatMap((token) => readZones(token, directive.path)),
  };
}

function store(ttlMaxSeconds: number): StoreConfig {
  return { entriesMax: entriesDefault, ttlMaxSeconds, ttlMinSeconds: 0 };
}

function readStore(option: Directive, before: StoreConfig, context: DirectiveContext): StoreConfig {
  const [capacity, ttl, least] = words(option, 1, 3, 'CAPACITY [TTL [MINTTL]]');
  const asked = wholeNumber(option, capacity, 'the capacity', 0, Number.MAX_SAFE_INTEGER);
  if (asked === 0) {
    warn(context, option, `a capacity of 0 means ${entriesLeast}; to cache nothing write "disable ${option.name}".`);
  }
  if (asked > cacheEntriesMax) warn(context, option, `${asked} entries exceed the maximum of ${cacheEntriesMax}.`);
  const ttlMaxSeconds =
    ttl === undefined ? before.ttlMaxSeconds : wholeNumber(option, ttl, 'the TTL', 1, ttlSecondsMax);
  const askedMinSeconds = least === undefined ? 0 : wholeNumber(option, least, 'MINTTL', 0, ttlSecondsMax);
  if (askedMinSeconds > ttlMaxSeconds) {
    warn(context, option, `MINTTL ${askedMinSeconds} is above the TTL ${ttlMaxSeconds}, which wins; lower it.`);
  }
  const ttlMinSeconds = Math.min(askedMinSeconds, ttlMaxSeconds);
  return { entriesMax: asked === 0 ? entriesLeast : Math.min(asked, cacheEntriesMax), ttlMaxSeconds, ttlMinSeconds };
}

function readPrefetch(option: Directive): PrefetchConfig | null {
  const [amount, gap, percent] = words(option, 1, 3, 'AMOUNT [DURATION [PERCENT%]]');
  const hits = wholeNumber(option, amount, 'the number of hits', 0, 2 ** 31 - 1);
  const gapMs = gap === undefined ? 60_000 : durationMs(option, gap, 'the longest gap between hits');
  const share = percent === undefined ? 10 : readPercent(option, percent.text);
  return hits === 0 ? null : { hits, gapMs, percent: share };
}

function readPercent(option: Directive, text: string): number {
  const percent = /^\d{1,3}%$/u.test(text) ? Number(text.slice(0, -1)) : 0;
  if (percent >= 10 && percent <= 90) return percent;
  return fail(option, `the share of the TTL must be from 10% to 90%, with its %, not "${text}".`);
}

const maxAgeMsDefault = 3_600_000;

/**
 * `serve_stale [DURATION] [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]`: CoreDNS's modes as the numbers
 * of one rule. A patience of 0 serves at once and refreshes afterwards, one of Infinity asks first. Null if the duration is
 * 0: nothing is served stale.
 */
function readServeStale(option: Directive): StaleConfig | null {
  const given = words(option, 0, 5, '[DURATION] [immediate|verify …]');
  const startsWithMode = given[0] !== undefined && /^(immediate|verify)$/u.test(given[0].text);
  const [age, mode, ...numbers] = startsWithMode ? [undefined, ...given] : given;
  const maxAgeMs = age === undefined ? maxAgeMsDefault : durationMs(option, age, 'the time past expiry');
  const verifies = mode !== undefined && oneOf(option, mode, 'the mode', ['immediate', 'verify']) === 'verify';
  const patienceMs = verifies ? verifyPatienceMs(option, numbers.shift()) : 0;
  const [ttl, recheck, surplus] = numbers;
  if (surplus !== undefined) fail(option, `"${surplus.text}" is not allowed with immediate; remove it.`);
  if (maxAgeMs === 0) return null;
  return {
    maxAgeMs,
    patienceMs,
    ttlSeconds: ttl === undefined ? 0 : readTtlSeconds(option, ttl),
    recheckMs: recheck === undefined ? refreshRecheckMs : durationMs(option, recheck, 'the time between tries'),
  };
}

/** A timeout of 0 means that of the upstream. */
function verifyPatienceMs(option: Directive, token: Token | undefined): number {
  const timeoutMs = token === undefined ? 0 : durationMs(option, token, "verify's timeout");
  return timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs;
}

function readTtlSeconds(option: Directive, token: Token): number {
  const seconds = Math.floor(durationMs(option, token, 'the TTL of stale answers') / 1_000);
  return seconds <= ttlSecondsMax ? seconds : fail(option, `a TTL of ${seconds} is too large; write a shorter one.`);
}
