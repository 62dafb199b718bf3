/**
 * Directives that are on or off or take one or two words: `debug`, `loop`, `bufsize`, `cancel`, `aaaa`, `nxdomain_cut`,
 * `reload` and some plugins. And those without effect: `metadata`, whose labels `log` and `dnstap` know without it, and
 * `trace`, whose spans are not sent.
 */
import { plainUdpBytesMax, reloadPeriodMs, udpBytesDefault } from '../../limits.js';
import {
  type DirectiveContext,
  durationMs,
  eachOption,
  fail,
  noBlock,
  noWords,
  oneDurationMs,
  oneOf,
  oneWord,
  warn,
  warnOfForeignZones,
  wholeNumber,
  words,
} from '../arguments.js';
import type { AaaaPolicy, ReloadConfig } from '../config.js';
import type { Directive } from '../corefile.js';
import { readZones } from '../zones.js';

const bufsizeBytesMax = 4_096;

/** A directive without arguments and block. */
export function readSwitch(directive: Directive): true {
  noWords(directive);
  noBlock(directive);
  return true;
}

/** The same for a directive that may be repeated. */
export function readSwitches(directives: readonly Directive[]): true {
  directives.forEach(readSwitch);
  return true;
}

/** `bufsize [BYTES]`. */
export function readBufsize(directive: Directive, context: DirectiveContext): number {
  noBlock(directive);
  const [size] = words(directive, 0, 1, 'a number of bytes');
  if (size === undefined) return udpBytesDefault;
  const bytes = wholeNumber(directive, size, 'the size', plainUdpBytesMax, bufsizeBytesMax);
  if (bytes > udpBytesDefault) {
    const sentence = `answers above ${udpBytesDefault} bytes may be fragmented and lost; write a smaller size.`;
    warn(context, directive, sentence);
  }
  return bytes;
}

/** `cancel [DURATION]`: the time limit of a query, which zerohop never reaches. */
export function readCancel(directive: Directive, context: DirectiveContext): void {
  noBlock(directive);
  const [duration] = words(directive, 0, 1, 'a duration');
  if (duration !== undefined && durationMs(directive, duration, 'the time') <= 0) {
    fail(directive, `"${duration.text}" is not a usable timeout; write a duration like 5s.`, duration.at);
  }
  const limits = 'within 5 s, and within 2 s if the upstreams are silent';
  warn(context, directive, `has no effect: zerohop answers every query ${limits}.`);
}

/** `aaaa nxdomain|nodata|smart|forward`. */
export function readAaaa(directive: Directive): AaaaPolicy {
  noBlock(directive);
  const word = oneWord(directive, 'nxdomain, nodata, smart or forward');
  return oneOf(directive, word, 'the policy', ['nxdomain', 'nodata', 'smart', 'forward']);
}

/** `nxdomain_cut on|off`. */
export function readNxdomainCut(directive: Directive): boolean {
  noBlock(directive);
  const word = oneWord(directive, 'on or off');
  return oneOf(directive, word, 'the setting', ['on', 'off']) === 'on';
}

/** `metadata [ZONES...]`. */
export function readMetadata(directive: Directive, context: DirectiveContext): void {
  noBlock(directive);
  const zones = directive.arguments.flatMap((token) => readZones(token, directive.path));
  warnOfForeignZones(context, directive, zones);
}

/** `trace [[ENDPOINT-TYPE] ENDPOINT] { … }`: spans for Zipkin or Datadog. */
export function readTrace(directive: Directive, context: DirectiveContext): void {
  const given = words(directive, 0, 2, '[zipkin|datadog] [ENDPOINT]');
  if (given.length === 2) {
    oneOf(directive, { ...given[0], text: given[0].text.toLowerCase() }, 'the type', ['zipkin', 'datadog']);
  }
  const count = (option: Directive): void => {
    wholeNumber(option, oneWord(option, 'a number'), 'it', 0, Number.MAX_SAFE_INTEGER);
  };
  eachOption(directive, {
    every: count,
    service: (option) => void oneWord(option, 'a name'),
    client_server: (option) => void words(option, 0, 1, 'true or false'),
    datadog_analytics_rate: (option) => void words(option, 0, 1, 'a share from 0 to 1'),
    zipkin_max_backlog_size: count,
    zipkin_max_batch_size: count,
    zipkin_max_batch_interval: (option) => void oneDurationMs(option, 'the interval'),
  });
  warn(context, directive, 'zerohop sends no spans; remove it, or use dnstap to record queries.');
}

const intervalMsLeast = 2_000;
const jitterMsLeast = 1_000;
/** CoreDNS's, if an INTERVAL is given; our default interval is shorter and needs less. */
const jitterMsDefault = 15_000;

/** `reload [INTERVAL] [JITTER]`: how often the Corefile is checked for changes. */
export function readReload(directive: Directive, context: DirectiveContext): ReloadConfig {
  noBlock(directive);
  const [interval, jitter] = words(directive, 0, 2, '[INTERVAL] [JITTER]');
  const intervalMs = interval === undefined ? reloadPeriodMs : durationMs(directive, interval, 'the interval');
  if (intervalMs < intervalMsLeast) fail(directive, 'the interval must be at least 2s; write a longer one.');
  const unsaidMs = interval === undefined ? jitterMsLeast : jitterMsDefault;
  const jitterMs = jitter === undefined ? unsaidMs : durationMs(directive, jitter, 'the jitter');
  if (jitterMs !== 0 && jitterMs < jitterMsLeast) fail(directive, 'the jitter must be 0 or at least 1s.');
  if (jitter !== undefined && jitterMs > intervalMs / 2) {
    warn(context, directive, 'the jitter is reduced to half of the interval.');
  }
  return { intervalMs, jitterMs: Math.min(jitterMs, intervalMs / 2) };
}
