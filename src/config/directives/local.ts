/** `local { localhost_prefix on|off }`: names of this machine are answered here and never asked for. */
import { eachOption, noWords, oneOf, oneWord } from '../arguments.js';
import type { LocalConfig } from '../config.js';
import type { Directive } from '../corefile.js';

export function readLocal(directive: Directive): LocalConfig {
  noWords(directive);
  let takesPrefix = true;
  eachOption(directive, {
    localhost_prefix(option) {
      takesPrefix = oneOf(option, oneWord(option, 'on or off'), 'it', ['on', 'off']) === 'on';
    },
  });
  return { takesPrefix };
}
