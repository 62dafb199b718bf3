import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FlagName, flagTable, readFlags, UsageError } from '../../src/config/flag-reader.js';

const names = Object.keys(flagTable) as FlagName[];

test('one dash or two, with a blank or with =', () => {
  for (const argv of [['-conf', '/x'], ['--conf', '/x'], ['-conf=/x'], ['--conf=/x'], ['-corefile', '/x']]) {
    const flags = readFlags(argv);
    assert.equal(flags.text('conf'), '/x');
    assert.deepEqual(flags.given, ['conf']);
    assert.deepEqual(flags.words, []);
  }
  assert.equal(readFlags(['-p', '1053']).text('dns.port'), '1053');
  assert.equal(readFlags(['--p=1053']).text('dns.port'), '1053');
});

test('the value is everything after the first =, also nothing and line ends', () => {
  assert.equal(readFlags(['-conf=/a=b']).text('conf'), '/a=b');
  assert.equal(readFlags(['-handover=']).text('handover'), '');
  assert.equal(readFlags(['-handover', '']).text('handover'), '');
  assert.equal(readFlags(['-conf=a\nb']).text('conf'), 'a\nb');
});

test('without being written a flag has its default', () => {
  const flags = readFlags([]);
  for (const name of names) assert.equal(flags.text(name), flagTable[name].byDefault);
  assert.deepEqual(flags.given, []);
  assert.equal(flags.isSet('setupiptables'), true);
  assert.equal(flags.isSet('skipteardown'), false);
});

test('the last of repeated flags counts', () => {
  const flags = readFlags(['-conf', '/a', '-quiet', '-conf', '/b', '-quiet=false']);
  assert.equal(flags.text('conf'), '/b');
  assert.equal(flags.isSet('quiet'), false);
  assert.deepEqual(flags.given, ['conf', 'quiet']);
});

test('booleans are Go’s, and never take the next word', () => {
  for (const text of ['1', 't', 'T', 'TRUE', 'true', 'True'])
    assert.equal(readFlags([`-quiet=${text}`]).isSet('quiet'), true);
  for (const text of ['0', 'f', 'F', 'FALSE', 'false', 'False']) {
    assert.equal(readFlags([`-setupiptables=${text}`]).isSet('setupiptables'), false);
  }
  assert.equal(readFlags(['--quiet']).isSet('quiet'), true);
  const stray = readFlags(['-quiet', 'false', '-skipteardown=true', 'x']);
  assert.deepEqual(stray.words, ['false', 'x']);
  assert.equal(stray.isSet('quiet'), true);
  assert.deepEqual([...stray.behindBoolean], [['false', 'quiet']]);
  for (const text of ['', 'yes', 'no', 'tRUE', '2']) {
    assert.throws(() => readFlags([`-quiet=${text}`]), /neither true nor false; write -quiet=true or -quiet=false/);
  }
});

test('words may stand anywhere, and -- ends the flags', () => {
  assert.deepEqual(readFlags(['check', '-quiet', 'a', '-conf', '/x', 'b']).words, ['check', 'a', 'b']);
  assert.deepEqual(readFlags(['check', '--', '-a', '--', '-conf']).words, ['check', '-a', '--', '-conf']);
  assert.deepEqual(readFlags(['-']).words, ['-']);
});

test('a value that was forgotten is noticed', () => {
  assert.throws(() => readFlags(['-conf']), /^Error: -conf needs a value; write -conf=VALUE\.$/);
  assert.throws(() => readFlags(['-localip', '-conf', '/x']), /-localip needs a value/);
  assert.throws(() => readFlags(['-localip', '--conf=/x']), /-localip needs a value/);
  // A dash alone does not make a flag of it.
  assert.equal(readFlags(['-conf', '-']).text('conf'), '-');
  assert.equal(readFlags(['-conf', '-odd-file']).text('conf'), '-odd-file');
});

test('unknown flags name the nearest known one', () => {
  const cases: Readonly<Record<string, string>> = {
    '-locaip': '-localip',
    '--local-ip': '--localip',
    '-config': '-conf',
    '-upstreamsvcs=x': '-upstreamsvc',
    '-setupiptable=false': '-setupiptables',
    '-no-setupiptables': '-setupiptables',
    '-dnsport': '-dns.port',
    '-CONF': '-conf',
    '-healthport': '-health-port',
    '-metrics': '-metrics-listen-address',
  };
  for (const [written, meant] of Object.entries(cases)) {
    const [flag] = written.split('=');
    assert.throws(() => readFlags([written]), new UsageError(`unknown flag ${flag}; did you mean ${meant}?`));
  }
  for (const written of ['-xyzzyplugh', '---conf', '-=x', '--=', '-constructor', '-__proto__']) {
    assert.throws(() => readFlags([written]), /^Error: unknown flag .*;/, written);
  }
  assert.throws(() => readFlags(['-xyzzyplugh']), /see zerohop --help/);
});
