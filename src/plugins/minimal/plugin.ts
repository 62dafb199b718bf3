/** `minimal`: positive answers lose their authority and additional sections. */
import { readSwitches } from '../../config/directives/switches.js';
import type { Plugin } from '../plugin.js';
export const minimal: Plugin<true> = {
  name: 'minimal',
  repeats: 'all',
  leavesHits: true,
  leavesDenials: () => true,
  read: readSwitches,
  start: () => ({ sections: 'answer' }),
};
