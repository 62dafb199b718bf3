/** `minimal`: positive answers lose their authority and additional sections. */
import { readSwitch } from '../../config/directives/switches.js';
import type { Plugin } from '../plugin.js';
export const minimal: Plugin<true> = {
  name: 'minimal',
  repeats: 'last',
  read: ([directive]) => readSwitch(directive),
  start: () => ({ sections: 'answer' }),
};
