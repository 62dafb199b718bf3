import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf } from '../../../src/config/plugins.js';
import { autopath } from '../../../src/plugins/autopath/plugin.js';
import type { AutopathConfig } from '../../../src/plugins/autopath/walk.js';
import { configOf, warningsOf } from '../../config/options.js';

const pods = 'search default.svc.cluster.local Svc.cluster.local cluster.local\nnameserver 169.254.20.10\n';

function autopathOf(line: string, text = pods, zones = 'cluster.local'): AutopathConfig | null {
  const corefile = `${zones} {\nforward . 10.0.0.1\n${line}\n}\n`;
  return settingsOf(configOf(corefile, { '/etc/pods.conf': text }).blocks[0], autopath) ?? null;
}

test('the search path is what the file says, for the zones of the block or its own', () => {
  const written = {
    at: { file: '/etc/Corefile', line: 3 },
    zones: ['cluster.local.'],
    file: '/etc/pods.conf',
    search: ['default.svc.cluster.local.', 'svc.cluster.local.', 'cluster.local.'],
  };
  assert.deepEqual(autopathOf('autopath /etc/pods.conf'), written);
  const own = autopathOf('autopath a.cluster.local b.cluster.local /etc/pods.conf');
  assert.deepEqual(own?.zones, ['a.cluster.local.', 'b.cluster.local.']);
  assert.equal(autopathOf(''), null);
});

test('the file is one whose change is a reload', () => {
  const { files } = configOf('. {\nautopath /etc/pods.conf\nforward . 10.0.0.1\n}\n', { '/etc/pods.conf': pods });
  assert.ok(files.includes('/etc/pods.conf'));
});

test('a file without search domains is a warning', () => {
  const warnings = (text: string) =>
    warningsOf('. {\nautopath /etc/pods.conf\nforward . 10.0.0.1\n}\n', { '/etc/pods.conf': text });
  assert.match(warnings('nameserver 10.0.0.1\n')[0], /autopath: \/etc\/pods\.conf has no line "search DOMAIN…"/u);
  assert.deepEqual(warnings(pods), []);
});

test('what is wrong is refused at its line', () => {
  const wrong: Readonly<Record<string, RegExp>> = {
    autopath: /^[^ ]* ?[^ ]*:3: autopath: expects \[ZONE…\] and a file/u,
    'autopath @kubernetes': /:3: autopath: "@kubernetes" needs the list of all pods, .* name a file/u,
    'autopath cluster.local @kubernetes': /:3: autopath: "@kubernetes"/u,
    'autopath /etc/nowhere': /:3: autopath: \/etc\/nowhere cannot be read \(no such file: \/etc\/nowhere\)/u,
    'autopath a..b /etc/pods.conf': /:3: autopath: /u,
  };
  for (const [line, message] of Object.entries(wrong)) assert.throws(() => autopathOf(line), message, line);
  assert.throws(() => autopathOf('autopath /etc/pods.conf {\nx\n}'), /takes no block/u);
  assert.throws(() => autopathOf('autopath /etc/pods.conf', 'search a..b\n'), /:3: autopath: /u);
  const many = Array.from({ length: 33 }, (_, index) => `d${index}`).join(' ');
  assert.throws(() => autopathOf('autopath /etc/pods.conf', `search ${many}\n`), /more than 32 search domains/u);
});
