import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../src/config/load.js';
import { Pattern } from '../../../src/config/pattern.js';
import { programVersion } from '../../../src/config/version.js';
import { checkLogFormat } from '../../../src/observe/log-format.js';
import { blockOf, testOptions, warningsOf } from '../options.js';

const log = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines).log;

test('bare: every query in the common format', () => {
  assert.deepEqual(log(), []);
  assert.deepEqual(log('log'), [{ names: ['.'], format: '{common}', classes: ['all'] }]);
});
test('names, format, classes', () => {
  assert.deepEqual(log('log A.test b.test "{remote} {combined}" {', 'class denial error', 'class error', '}'), [
    { names: ['a.test.', 'b.test.'], format: '{remote} {combined}', classes: ['denial', 'error'] },
  ]);
  assert.equal(log('log . {common}')[0].format, '{common}');
});
test('several log directives add up', () => assert.equal(log('log a.test', 'log b.test').length, 2));
test('a format may name what is no field, with a warning, and metadata', () => {
  const corefile = (format: string) => `. {\nforward . 10.0.0.1\nlog . "${format}"\n}\n`;
  const warned = (format: string) => parseConfig(corefile(format), 'f', { ...testOptions(), checkLogFormat }).warnings;
  assert.match(warned('{remote} {when}')[0].message, /^log: \{when\} is not a log format field and is written/u);
  assert.deepEqual(warned('{/forward/upstream} {/kubernetes/client-namespace} {name}'), []);
});
test('a format without a name is taken as one, with a warning', () => {
  assert.deepEqual(log('log "{remote}"')[0], { names: ['.'], format: '{remote}', classes: ['all'] });
  assert.match(
    warningsOf('. {\nforward . 10.0.0.1\nlog "{remote}"\n}\n')[0],
    /^3: log: CoreDNS reads a format without names/u,
  );
});

const errors = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines).errors;

test('absent, bare, and with the only file there is', () => {
  assert.equal(errors(), null);
  assert.deepEqual(errors('errors'), { stacktrace: false, consolidate: [] });
  assert.deepEqual(errors('errors stdout'), { stacktrace: false, consolidate: [] });
});
test('stacktrace and consolidate', () => {
  const lines = [
    'consolidate 5m ".* i/o timeout$" warning',
    'consolidate 30 ^x show_first',
    'consolidate 1s y info show_first',
  ];
  assert.deepEqual(errors('errors {', 'stacktrace', ...lines, '}'), {
    stacktrace: true,
    consolidate: [
      { periodMs: 300_000, pattern: new Pattern('.* i/o timeout$'), level: 'warning', showFirst: false },
      { periodMs: 30_000, pattern: new Pattern('^x'), level: 'error', showFirst: true },
      { periodMs: 1_000, pattern: new Pattern('y'), level: 'info', showFirst: true },
    ],
  });
});
test('consolidate is particular about its words', () => {
  assert.throws(() => errors('errors {', 'consolidate 5m', '}'), /expects DURATION "REGEXP"/u);
  assert.throws(() => errors('errors {', 'consolidate 0 x', '}'), /longer than 0/u);
  assert.throws(() => errors('errors {', 'consolidate 5m x loud', '}'), /the level must be/u);
  assert.throws(() => errors('errors {', 'consolidate 5m x info first', '}'), /"first" is unexpected|remove "first"/u);
});

const dnstap = (...lines: string[]) => blockOf('forward . 10.0.0.1', ...lines).dnstap;
const target = (socket: string) => dnstap(`dnstap ${socket}`)[0].to;

test('a socket, and what is said without being asked', () => {
  assert.deepEqual(dnstap(), []);
  assert.deepEqual(dnstap('dnstap /run/dnstap.sock'), [
    {
      at: { file: '/etc/Corefile', line: 3 },
      socket: '/run/dnstap.sock',
      to: { kind: 'path', path: '/run/dnstap.sock' },
      full: false,
      identity: 'node-7',
      version: `zerohop-${programVersion()}`,
      extra: null,
    },
  ]);
});
test('paths, addresses and names', () => {
  assert.deepEqual(target('unix:///run/dnstap.sock'), { kind: 'path', path: '/run/dnstap.sock' });
  assert.deepEqual(target('dnstap.sock'), { kind: 'path', path: 'dnstap.sock' });
  const tcp = (address: string, port: number) => ({ kind: 'tcp', endpoint: { address, port } });
  assert.deepEqual(target('tcp://127.0.0.1:6000'), tcp('127.0.0.1', 6000));
  assert.deepEqual(target('tcp://[FD00::1]:6000'), tcp('fd00::1', 6000));
  assert.deepEqual(target('tcp://Collector.example.com:6000'), tcp('collector.example.com', 6000));
  const tls = { kind: 'tls', endpoint: { address: '10.0.0.9', port: 6001 } };
  assert.deepEqual(target('tls://10.0.0.9:6001'), { ...tls, isVerified: true });
  assert.deepEqual(dnstap('dnstap tls://10.0.0.9:6001 {', 'skipverify', '}')[0].to, { ...tls, isVerified: false });
});
test('options, and several collectors', () => {
  const lines = ['identity ns1', 'version 1.2', 'extra "{/forward/upstream}"'];
  const [first, second] = dnstap('dnstap /a full {', ...lines, '}', 'dnstap /b full 1024 2048');
  assert.deepEqual(
    [first.full, first.identity, first.version, first.extra],
    [true, 'ns1', '1.2', '{/forward/upstream}'],
  );
  assert.deepEqual([second.socket, second.full], ['/b', true]);
});
test('sizes of what waits are taken with a warning', () => {
  const text = '. {\nforward . 10.0.0.1\ndnstap /a full 1024 2048\n}\n';
  assert.match(warningsOf(text)[0], /^3: dnstap: the sizes after full have no effect/u);
});
test('what is not a socket or option is refused', () => {
  for (const [line, reason] of [
    ['dnstap', /dnstap: expects SOCKET/u],
    ['dnstap unix://', /is not a socket; write a path/u],
    ['dnstap http://a:1', /"http:\/\/a:1" is not a socket; write a path/u],
    ['dnstap tcp://127.0.0.1', /must be tcp:\/\/ADDRESS:PORT/u],
    ['dnstap tcp://fd00::1:6000', /must be tcp:\/\/ADDRESS:PORT, with \[ADDRESS\] for IPv6/u],
    ['dnstap tcp://:6000', /must be tcp:\/\/ADDRESS:PORT/u],
    ['dnstap tcp://a..b:6000', /empty label/u],
    ['dnstap /a fuller', /the word after the socket must be full/u],
    ['dnstap /a full 0', /the size must be a whole number from 1/u],
    ['dnstap /a full 1 2 3', /remove "3"/u],
    ['dnstap /a {\nidentity\n}', /identity: expects a name/u],
    ['dnstap /a {\nskipverify x\n}', /skipverify: expects no arguments/u],
    ['dnstap /a {\nformat x\n}', /does not know "format"/u],
  ] as const) {
    assert.throws(() => dnstap(line), reason, line);
  }
});
