/** `reload [INTERVAL] [JITTER]`: how often the Corefile is looked at for changes. */
import { reloadPeriodMs } from '../../limits.js';
import { type DirectiveContext, durationMs, fail, noBlock, warn, words } from '../arguments.js';
import type { ReloadConfig } from '../config.js';
import type { Directive } from '../corefile.js';

const intervalMsLeast = 2_000;
const jitterMsLeast = 1_000;
/** CoreDNS's, for an INTERVAL that was chosen; ours is short enough to need less. */
const jitterMsDefault = 15_000;

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
