/**
 * `serve_stale [DURATION] [immediate [TTL [RECHECK]] | verify [TIMEOUT [TTL [RECHECK]]]]` of `cache`: CoreDNS's modes
 * as the numbers of one rule. A patience of 0 answers at once and asks afterwards, one of Infinity asks first.
 */
import { refreshRecheckMs, ttlSecondsMax } from '../../limits.js';
import { durationMs, fail, oneOf, words } from '../arguments.js';
import type { StaleConfig } from '../config.js';
import type { Directive } from '../corefile.js';
import type { Token } from '../lexer.js';

const maxAgeMsDefault = 3_600_000;

/** Null when the duration is 0: then nothing is served stale. */
export function readServeStale(option: Directive): StaleConfig | null {
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
    ttlSeconds: ttl === undefined ? 0 : ttlSeconds(option, ttl),
    recheckMs: recheck === undefined ? refreshRecheckMs : durationMs(option, recheck, 'the time between tries'),
  };
}

/** A timeout of 0 is the upstream's own. */
function verifyPatienceMs(option: Directive, token: Token | undefined): number {
  const timeoutMs = token === undefined ? 0 : durationMs(option, token, "verify's timeout");
  return timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs;
}

function ttlSeconds(option: Directive, token: Token): number {
  const seconds = Math.floor(durationMs(option, token, 'the TTL of stale answers') / 1_000);
  return seconds <= ttlSecondsMax ? seconds : fail(option, `a TTL of ${seconds} is too large; write a shorter one.`);
}
