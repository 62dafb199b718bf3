/** `loadbalance [round_robin] { prefer NETWORK... }`: shuffles the addresses of every answer. */

import { type IpNetwork, readNetwork } from '../../config/addresses.js';
import { eachOption, fail, words } from '../../config/arguments.js';
import type { Directive } from '../../config/corefile.js';
import { preferredNetworksMax } from '../../limits.js';
import type { Plugin } from '../plugin.js';

/** Addresses in these networks come first, the first network's before all others. */
type Preferred = readonly IpNetwork[];

export const loadbalance: Plugin<Preferred> = {
  name: 'loadbalance',
  repeats: 'last',
  leavesDenials: () => true,
  read: ([directive]) => readLoadbalance(directive),
  traits: (prefers) => ({ prefers }),
  start: () => ({ order: 'aliases first' }),
};

function readLoadbalance(directive: Directive): Preferred {
  const [policy] = directive.arguments;
  if (policy?.text === 'weighted') {
    fail(
      directive,
      'weighted is not supported; write round_robin, with prefer for the networks that come first.',
      policy.at,
    );
  }
  words(directive, 0, 1, 'round_robin or nothing');
  if (policy !== undefined && policy.text !== 'round_robin') {
    fail(directive, `the policy must be round_robin, not "${policy.text}".`, policy.at);
  }
  const prefer: IpNetwork[] = [];
  eachOption(directive, {
    prefer(option) {
      for (const { text, at } of words(option, 1, preferredNetworksMax, 'networks')) {
        prefer.push(readNetwork(text) ?? fail(option, `"${text}" is not a network; write one like 10.0.0.0/8.`, at));
      }
    },
  });
  if (prefer.length > preferredNetworksMax) {
    fail(directive, `has more than ${preferredNetworksMax} networks; write fewer or wider ones.`);
  }
  return prefer;
}
