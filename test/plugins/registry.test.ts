import assert from 'node:assert/strict';
import { test } from 'node:test';
import { directiveNames } from '../../src/config/block.js';
import { pluginOrder, plugins } from '../../src/plugins/registry.js';

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
    'chaos',
  ],
  ...['loadbalance', 'cache', 'header', 'minimal', 'template', 'hosts', 'loop', 'forward', 'whoami'],
];
/** What sets the process up or does nothing here, and sees no question. */
const ofTheProcess = [
  ...['bind', 'cancel', 'debug', 'health', 'metadata', 'pprof', 'ready', 'reload', 'timeouts', 'trace'],
];

/** Directives that CoreDNS does not have. */
const ofOurs = ['aaaa', 'nxdomain_cut'];

test('the order is that of plugin.cfg', () => {
  const names = pluginOrder;
  const shared = ofCoreDns.filter((name) => names.includes(name));
  assert.deepEqual(
    names.filter((name) => !ofOurs.includes(name)),
    shared,
  );
});

test('every directive has its place in it, or sees no question', () => {
  assert.deepEqual([...pluginOrder, ...ofTheProcess].sort(), [...directiveNames(plugins)].sort());
});

test('each plugin is there once, in the order of that list', () => {
  const names = plugins.map(({ name }) => name);
  assert.deepEqual(
    names,
    pluginOrder.filter((name) => names.includes(name)),
  );
  assert.equal(new Set(names).size, names.length);
});
