import assert from 'node:assert/strict';
import { test } from 'node:test';
import { supportedDirectives } from '../../src/config/directives/known.js';
import { inPluginOrder, pluginOrder } from '../../src/resolve/plugin-order.js';

/** What CoreDNS 1.13's plugin.cfg says of those that it has, and that see questions or answers. */
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
    'acl',
    'any',
    'loadbalance',
    'cache',
  ],
  ...['rewrite', 'header', 'autopath', 'minimal', 'template', 'hosts', 'loop', 'forward', 'whoami'],
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
