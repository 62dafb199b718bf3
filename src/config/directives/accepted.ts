/**
 * Directives that are accepted and change nothing: `metadata`, whose labels `log` and `dnstap` know without it, and
 * `trace`, whose spans are not sent.
 */
import {
  type DirectiveContext,
  durationMs,
  eachOption,
  noBlock,
  oneOf,
  oneWord,
  warn,
  warnOfForeignZones,
  wholeNumber,
  words,
} from '../arguments.js';
import type { Directive } from '../corefile.js';
import { readZones } from '../zones.js';

/** `metadata [ZONES...]`. */
export function readMetadata(directive: Directive, context: DirectiveContext): void {
  noBlock(directive);
  warnOfForeignZones(
    context,
    directive,
    directive.arguments.flatMap((token) => readZones(token, directive.path)),
  );
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
    zipkin_max_batch_interval: (option) => void durationMs(option, oneWord(option, 'a duration'), 'the interval'),
  });
  warn(context, directive, 'zerohop sends no spans; remove it, or use dnstap to record queries.');
}
