/**
 * All plugins, in the order in which they act on a query, whatever their order in the Corefile: that of CoreDNS's
 * plugin.cfg since July 2026. docs/REFERENCE.md shows the order. Directives which the rest of the program knows stand
 * between them by name, for readers. A new plugin is a folder here and one line of this list.
 */
import { acl } from './acl/plugin.js';
import { any } from './any/plugin.js';
import { autopath } from './autopath/plugin.js';
import { chaos } from './chaos/plugin.js';
import { dns64 } from './dns64/plugin.js';
import { header } from './header/plugin.js';
import { hosts } from './hosts/plugin.js';
import { loadbalance } from './loadbalance/plugin.js';
import { local } from './local/plugin.js';
import { minimal } from './minimal/plugin.js';
import { nsid } from './nsid/plugin.js';
import type { Plugin } from './plugin.js';
import { rewrite } from './rewrite/plugin.js';
import { template } from './template/plugin.js';
import { whoami } from './whoami/plugin.js';

const order: readonly (Plugin | string)[] = [
  nsid,
  'bufsize',
  'prometheus',
  'errors',
  'log',
  'dnstap',
  local,
  dns64,
  rewrite,
  autopath,
  acl,
  'aaaa',
  any,
  chaos,
  loadbalance,
  'cache',
  'nxdomain_cut',
  header,
  minimal,
  template,
  hosts,
  'loop',
  'forward',
  whoami,
];

export const plugins: readonly Plugin[] = order.flatMap((one) => (typeof one === 'string' ? [] : one));

/** Directives that see queries or their answers, in that order. */
export const pluginOrder: readonly string[] = order.map((one) => (typeof one === 'string' ? one : one.name));
