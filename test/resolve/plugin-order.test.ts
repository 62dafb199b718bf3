import assert from 'node:assert/strict';
import { test } from 'node:test';
import { supportedDirectives } from '../../src/config/directives/known.js';
import { inPluginOrder, pluginOrder } from '../../src/resolve/plugin-order.js';

/**
 * What CoreDNS's plugin.cfg says of those that it has, and that see questions or answers, since `rewrite` and `autopath`
 * stand before `acl` there (pull requests 7882, 8289 and 8290).
 */
const ofCoreDns = [
  ...[
    'nsid',
    'bufsize',
    'prometheus',
    'errors',
    'log',
    'dnstap',
    'local',
    'dns64',
    'rewrite',
    'autopath',
    'acl',
    'any',
  ],
  ...['loadbalance', 'cache', 'header', 'minimal', 'template', 'hosts', 'loop', 'forward', 'whoami'],
];
/** What sets the process up or does nothing here, and sees no question. */
const ofTheProcess = [
  ...['bind', 'cancel', 'debug', 'health', 'metadata', 'pprof', 'ready', 'reload', 'timeouts', 'trace'],
];

test('the order is that of plugin.cfg', () => {
  const names: readonly string[] = pluginOrder;
  const shared = ofCoreDns.filter((name) => names.includes(name));
  assert.deepEqual(
    names.filter((name) => name !== 'aaaa'),
    shared,
  );
});

test('every directive has its place in it, or sees no question', () => {
  assert.deepEqual([...pluginOrder, ...ofTheProcess].sort(), [...supportedDirectives].sort());
});

test('what a block has is sorted by it', () => {
  assert.deepEqual(inPluginOrder({ whoami: 4, template: 2, hosts: 3, any: 1 }), [1, 2, 3, 4]);
  assert.deepEqual(inPluginOrder({ acl: undefined, local: 'local' }), ['local']);
  assert.deepEqual(inPluginOrder({}), []);
});
