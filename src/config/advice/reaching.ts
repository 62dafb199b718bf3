/** Advice about what stands in the way: directives that nothing comes to, and questions that get nowhere. */
import { isInZone } from '../../dns/names.js';
import type { ForwardConfig } from '../config.js';
import type { BlockRule } from './advised.js';
import { lineOf } from './advised.js';

export const forwardUnreachable: BlockRule = ({ config }) => {
  const { forwards, traits } = config;
  const catchAll = traits.answersAll;
  return forwards.flatMap((forward, index) => {
    const earlier = catchAll ?? forwards.slice(0, index).find((other) => takesAllOf(other, forward));
    if (earlier === undefined) return [];
    const what = 'name' in earlier ? earlier.name : 'forward';
    return [
      {
        at: forward.at,
        message: `forward: the ${what} on ${lineOf(earlier.at, forward.at)} already takes every name of ${forward.from}`,
        remedy: what === 'forward' ? 'move this one above it, or remove it' : 'remove one of the two',
      },
    ];
  });
};

/** Whether no name that `later` is for can come to it. */
function takesAllOf(earlier: ForwardConfig, later: ForwardConfig): boolean {
  if (earlier.next.length > 0 || earlier.nextOnNodata || !isInZone(later.from, earlier.from)) return false;
  return !earlier.except.some((zone) => isInZone(zone, later.from) || isInZone(later.from, zone));
}
