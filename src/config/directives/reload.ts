/** `reload [INTERVAL] [JITTER]`: how often the Corefile is looked at for changes. */
import { type DirectiveContext, durationMs, fail, noBlock, warn, words } from '../arguments.js';
import type { ReloadConfig } from '../config.js';
import type { Directive } from '../corefile.js';

const intervalMsLeast = 2_000;
const jitterMsLeast = 1_000;

export function readReload(directive: Directive, context: DirectiveContext): ReloadConfig {
  noBlock(directive);
  const [interval, jitter] = words(directive, 0, 2, '[INTERVAL] [JITTER]');
  const intervalMs = interval === undefined ? 30_000 : durationMs(directive, interval, 'the interval');
  if (intervalMs < intervalMsLeast) fail(directive, 'the interval must be at least 2s; write a longer one.');
  const jitterMs = jitter === undefined ? 15_000 : durationMs(directive, jitter, 'the jitter');
  if (jitterMs !== 0 && jitterMs < jitterMsLeast) fail(directive, 'the jitter must be 0 or at least 1s.');
  if (jitter !== undefined && jitterMs > intervalMs / 2) {
    warn(context, directive, 'the jitter is cut to half of the interval.');
  }
  return { intervalMs, jitterMs: Math.min(jitterMs, intervalMs / 2) };
}
