/** The directives that are on or off, or one word: `any`, `debug`, `loop`, `minimal`, `whoami`, `bufsize`, `cancel`, `aaaa`. */
import { plainUdpBytesMax, udpBytesDefault } from '../../limits.js';
import {
  type DirectiveContext,
  durationMs,
  fail,
  noBlock,
  noWords,
  oneOf,
  oneWord,
  warn,
  wholeNumber,
  words,
} from '../arguments.js';
import type { AaaaPolicy } from '../config.js';
import type { Directive } from '../corefile.js';

const bufsizeBytesMax = 4_096;

/** `any`, `debug`, `loop`, `minimal` and `whoami`: being there is all they say. */
export function readSwitch(directive: Directive): true {
  noWords(directive);
  noBlock(directive);
  return true;
}

/** `bufsize [BYTES]`. */
export function readBufsize(directive: Directive, context: DirectiveContext): number {
  noBlock(directive);
  const [size] = words(directive, 0, 1, 'a number of bytes');
  if (size === undefined) return udpBytesDefault;
  const bytes = wholeNumber(directive, size, 'the size', plainUdpBytesMax, bufsizeBytesMax);
  if (bytes > udpBytesDefault) {
    warn(
      context,
      directive,
      `answers above ${udpBytesDefault} bytes may be fragmented and lost; write a smaller size.`,
    );
  }
  return bytes;
}

/** `cancel [DURATION]`: until when a query must be answered, which here it always is sooner. */
export function readCancel(directive: Directive, context: DirectiveContext): void {
  noBlock(directive);
  const [duration] = words(directive, 0, 1, 'a duration');
  if (duration !== undefined && durationMs(directive, duration, 'the time') <= 0) {
    fail(directive, `"${duration.text}" is not a usable timeout; write a duration like 5s.`, duration.at);
  }
  warn(
    context,
    directive,
    'has no effect: zerohop answers every query within 2 s, or within 5 s if read_timeout allows it.',
  );
}

/** `aaaa nxdomain|nodata|smart|forward`. */
export function readAaaa(directive: Directive): AaaaPolicy {
  noBlock(directive);
  const word = oneWord(directive, 'nxdomain, nodata, smart or forward');
  return oneOf(directive, word, 'the policy', ['nxdomain', 'nodata', 'smart', 'forward']);
}
