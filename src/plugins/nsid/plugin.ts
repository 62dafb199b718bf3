/** `nsid [TEXT...]`: the NSID of this server (RFC 5001), by default the host's name. */

import { type DirectiveContext, fail, noBlock } from '../../config/arguments.js';
import type { Directive } from '../../config/corefile.js';
import { nsidBytesMax } from '../../limits.js';
import type { Plugin } from '../plugin.js';

export const nsid: Plugin<string> = {
  name: 'nsid',
  repeats: 'refused',
  leavesHits: true,
  leavesDenials: () => true,
  read: ([directive], context) => readNsid(directive, context),
  traits: (serverId) => ({ serverId }),
};

/** Words are joined with one space. */
function readNsid(directive: Directive, context: DirectiveContext): string {
  noBlock(directive);
  const written = directive.arguments.map(({ text }) => text).join(' ');
  const name = directive.arguments.length === 0 ? (context.hostName?.() ?? 'localhost') : written;
  if (name === '') fail(directive, 'the name is empty; write a name, or no argument for the name of this host.');
  if (Buffer.byteLength(name) > nsidBytesMax) fail(directive, `the name may have ${nsidBytesMax} bytes at most.`);
  return name;
}
