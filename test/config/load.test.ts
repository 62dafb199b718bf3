import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Config, ConfigError } from '../../src/config/config.js';
import {
  loadCorefile,
  openFilesFor,
  parseConfig,
  systemFiles,
  systemLoadOptions,
  tooFewOpenFiles,
} from '../../src/config/load.js';
import { settingsOf } from '../../src/config/plugins.js';
import { clientKindsMax, listenersMax, openFilesPerWorker, openFilesSpare, openFilesToLoad } from '../../src/limits.js';
import { plugins } from '../../src/plugins/registry.js';
import { template } from '../../src/plugins/template/plugin.js';
import { loadOptions } from '../resolve/context-fixture.js';
import { configOf, testOptions, warningsOf } from './options.js';

const pathOf = (name: string) =>
  fileURLToPath(new URL(`../../../test/config/corefiles/${name}.corefile`, import.meta.url));
const sample = (name: string): Config => parseConfig(readFileSync(pathOf(name), 'utf8'), `/${name}`, testOptions());
const to = ({ forwards }: Config['blocks'][number]) =>
  forwards[0].to.map((target) =>
    target.kind === 'endpoint'
      ? `${target.endpoint.address}:${target.endpoint.port}`
      : target.kind === 'file'
        ? target.path
        : target.name,
  );

test('the standard node-local Corefile', () => {
  const { blocks, health, ready, metrics, reload, debug, warnings } = sample('standard');
  assert.deepEqual(
    blocks.map((block) => [block.zones[0].zone, block.zones[0].port, to(block)[0], block.forwards[0].transport]),
    [
      ['cluster.local.', 53, '10.97.12.34:53', 'tcp'],
      ['in-addr.arpa.', 53, '10.97.12.34:53', 'tcp'],
      ['ip6.arpa.', 53, '10.97.12.34:53', 'tcp'],
      ['.', 53, '/etc/resolv.conf', 'client'],
    ],
  );
  assert.deepEqual(
    blocks.map(({ cache }) => [cache?.success.ttlMaxSeconds, cache?.denial.ttlMaxSeconds, cache?.denial.ttlMinSeconds]),
    [
      [30, 5, 0],
      [30, 30, 0],
      [30, 30, 0],
      [30, 30, 0],
    ],
  );
  for (const block of blocks) {
    assert.deepEqual(block.addresses, ['169.254.20.10', '10.96.0.10']);
    assert.deepEqual([block.aaaa, block.loop, block.prometheus, block.log], [null, true, true, []]);
    assert.deepEqual(block.errors, { stacktrace: false, consolidate: [] });
    assert.deepEqual(block.cache?.stale, { maxAgeMs: 3_600_000, patienceMs: 400, ttlSeconds: 30, recheckMs: 1_000 });
  }
  assert.deepEqual(blocks[0].directives, [
    'errors',
    'cache',
    'reload',
    'loop',
    'bind',
    'forward',
    'prometheus',
    'health',
  ]);
  assert.deepEqual(health, { addresses: [{ address: '169.254.20.10', port: 8080 }], lameduckMs: 0 });
  assert.deepEqual([ready, debug, warnings], [null, false, []]);
  assert.deepEqual(metrics, [{ address: '::', port: 9253 }]);
  assert.deepEqual(reload, { intervalMs: 5_000, jitterMs: 1_000 });
});
test('a Corefile as kubespray writes it', () => {
  const { blocks, health, metrics, warnings } = sample('kubespray');
  assert.deepEqual(to(blocks[0]), ['192.168.0.53:53', '192.168.0.54:53']);
  assert.equal(blocks[0].log.length, 1);
  assert.equal(blocks[1].errors?.consolidate.length, 2);
  assert.equal(blocks[1].errors?.consolidate[0].level, 'warning');
  assert.deepEqual(
    blocks[2].zones.map(({ zone }) => zone),
    ['in-addr.arpa.', 'ip6.arpa.'],
  );
  const [{ policy, concurrentMax, except }] = blocks[3].forwards;
  assert.deepEqual([policy, concurrentMax, except], ['sequential', 1_000, ['company.internal.']]);
  assert.equal(health?.addresses[0].port, 9254);
  assert.deepEqual(metrics, [{ address: '10.0.0.7', port: 9253 }]);
  assert.deepEqual(warnings, []);
});
test('a Corefile as the deliveryhero chart writes it', () => {
  const { blocks, health, warnings } = sample('deliveryhero');
  for (const block of blocks) {
    assert.deepEqual(block.addresses, ['0.0.0.0']);
    assert.deepEqual([block.aaaa, block.settings], ['nodata', {}]);
    assert.deepEqual(block.cache?.prefetch, { hits: 3, gapMs: 30_000, percent: 20 });
    assert.equal(block.cache?.stale?.patienceMs, 0);
  }
  assert.deepEqual(blocks[1].log[0].classes, ['error']);
  assert.deepEqual(health, { addresses: [{ address: '::', port: 8080 }], lameduckMs: 0 });
  assert.deepEqual(warnings, []);
});
test('a Corefile in the style of deckhouse', () => {
  const { blocks, health, ready, reload, warnings } = sample('deckhouse');
  const [{ cache, forwards, errors, addresses }] = blocks;
  assert.deepEqual(cache?.success, { entriesMax: 120_000, ttlMaxSeconds: 30, ttlMinSeconds: 5 });
  assert.deepEqual(cache?.denial, { entriesMax: 65_536, ttlMaxSeconds: 5, ttlMinSeconds: 1 });
  assert.equal(cache?.servfailMs, 0);
  assert.equal(cache?.stale?.patienceMs, Number.POSITIVE_INFINITY);
  assert.deepEqual([forwards[0].transport, forwards[0].healthCheck.intervalMs], ['udp', 330]);
  assert.equal(errors?.consolidate[0].showFirst, true);
  assert.deepEqual(addresses, ['169.254.20.10']);
  assert.deepEqual(health, { addresses: [{ address: '127.0.0.1', port: 9225 }], lameduckMs: 5_000 });
  assert.equal(ready?.addresses[0].port, 9226);
  assert.deepEqual(reload, { intervalMs: 2_000, jitterMs: 1_000 });
  assert.deepEqual(warnings, []);
});
test('a Corefile in the style of AKS LocalDNS', () => {
  const { blocks, ready, warnings } = sample('aks');
  assert.equal(settingsOf(blocks[0], template)![0].answer.length, 1);
  const [{ cache, forwards }] = blocks.slice(1);
  assert.equal(forwards[0].failfastAllUnhealthy, true);
  assert.deepEqual(forwards[0].healthCheck, { intervalMs: 1_000, recursionDesired: false, domain: 'health.local.' });
  assert.equal(cache?.preferPositive, true);
  assert.deepEqual(cache?.stale, { maxAgeMs: 3_600_000, patienceMs: 0, ttlSeconds: 0, recheckMs: 1_000 });
  assert.deepEqual(ready, { addresses: [{ address: '169.254.10.10', port: 8181 }], monitor: 'until-ready' });
  assert.deepEqual(warnings, []);
});

test('a byte order mark and CRLF change nothing but the hash', () => {
  const text = readFileSync(pathOf('standard'), 'utf8');
  const plain = parseConfig(text, 'f', testOptions());
  const windows = parseConfig(`\ufeff${text.replaceAll('\n', '\r\n')}`, 'f', testOptions());
  assert.deepEqual({ ...windows, sha512: '', pieces: [] }, { ...plain, sha512: '', pieces: [] });
});
test('the text is kept as it was read, without what it imports', () => {
  const text = 'import a\n';
  const files = { '/etc/a': '. {\nforward . 10.0.0.1\n}\n' };
  assert.deepEqual(configOf(text, files).pieces, [{ text, file: configOf(text, files).source }]);
});
test('the hash is that of the text, and of what it imports', () => {
  const text = '. {\nforward . 10.0.0.1\n}\n';
  assert.equal(configOf(text).sha512, createHash('sha512').update(text).digest('hex'));
  const importing = (content: string) => configOf('import a\n', { '/etc/a': content });
  assert.notEqual(importing(text).sha512, importing(`${text} `).sha512);
});
test('the files are the Corefile and all it imports', () => {
  const files = {
    '/c/Corefile': 'import a\nimport d/*.x\n',
    '/c/a': '. {\nforward . 10.0.0.1\n}\n',
    '/c/d/b.x': '# none\n',
  };
  assert.deepEqual(loadCorefile('/c/Corefile', testOptions(files)).files, ['/c/Corefile', '/c/a', '/c/d', '/c/d/b.x']);
});
test('the default port is the one given', () => {
  const { blocks } = parseConfig('. a:53 {\nforward . 10.0.0.1\n}\n', 'f', { ...testOptions(), defaultPort: 1053 });
  assert.deepEqual(
    blocks[0].zones.map(({ port }) => port),
    [1053, 53],
  );
});
test('the whole configuration is frozen', () => {
  const frozen = (value: unknown): boolean =>
    typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
  assert.ok(frozen(sample('deliveryhero')));
});
test('NXDOMAIN for AAAA is warned of once, at its first place', () => {
  const block = (zone: string) => `${zone} {\nforward . 10.0.0.1\ntemplate ANY AAAA {\nrcode NXDOMAIN\n}\n}\n`;
  const warnings = warningsOf(`${block('a')}${block('b')}`);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /^3: AAAA queries get NXDOMAIN.*"aaaa nodata" or "aaaa smart"/u);
  assert.deepEqual(warningsOf('. {\nforward . 10.0.0.1\naaaa smart\n}\n'), []);
});

const three = (...directives: string[]) =>
  directives.map((directive, index) => `z${index} {\nforward . 10.0.0.1\n${directive}\n}\n`).join('');

test('prometheus in several blocks gives each address once', () => {
  assert.deepEqual(configOf(three('prometheus :9253', 'prometheus', 'prometheus 127.0.0.1:9153')).metrics, [
    { address: '::', port: 9253 },
    { address: '127.0.0.1', port: 9153 },
  ]);
});
test('health may be repeated, at other addresses, too; the longest lameduck holds', () => {
  assert.deepEqual(
    configOf(three('health :80', 'health :80 {\nlameduck 5s\n}', 'health :80 {\nlameduck 2s\n}')).health,
    { addresses: [{ address: '::', port: 80 }], lameduckMs: 5_000 },
  );
  assert.deepEqual(configOf(three('health 127.0.0.1:8080', 'health [::1]:8080', 'health :9254')).health?.addresses, [
    { address: '127.0.0.1', port: 8080 },
    { address: '::1', port: 8080 },
    { address: '::', port: 9254 },
  ]);
});
test('ready may be repeated, at other addresses, too; continuously holds for all', () => {
  assert.deepEqual(configOf(three('ready', 'ready :81 {\nmonitor continuously\n}')).ready, {
    addresses: [
      { address: '::', port: 8181 },
      { address: '::', port: 81 },
    ],
    monitor: 'continuously',
  });
});
test('a directive with a variable that is not set means what it means without it', () => {
  const meant = (...lines: string[]) => {
    const { at: _, traits, ...block } = configOf(`. {\n${lines.join('\n')}\n}\n`).blocks[0];
    // Functions are equal to themselves alone.
    return { ...block, traits: { ...traits, onward: traits.onward.length } };
  };
  const plain = meant('forward . 10.0.0.1');
  const forward = 'forward . 10.0.0.1';
  for (const line of [
    ...['cache', 'cache 30', 'errors', 'log', 'log .', 'bufsize', 'hosts', 'dns64', 'loadbalance', 'loop', 'nsid'],
    ...['bind 10.0.0.1', 'health :8080', 'ready', 'prometheus', 'reload', 'reload 10s', 'debug', 'whoami', 'metadata'],
    ...['template IN A', 'acl {\nblock\n}', 'cache {\nsuccess 10\n}', 'cache {\nserve_stale\n}'],
  ]) {
    for (const nothing of ['{$UNSET}', '{%UNSET%}', '{$UNSET}{%UNSET%}', '{$UNSET} {$EMPTY}']) {
      const written = line.split('\n').map((part) => (/[{}]$/u.test(part) ? part : `${part} ${nothing}`));
      assert.deepEqual(meant(forward, ...written), meant(forward, line), `${line} ${nothing}`);
    }
    assert.deepEqual(meant(forward, `{$UNSET} ${line}`), meant(forward, line), `{$UNSET} ${line}`);
  }
  assert.deepEqual(meant('forward {$UNSET} . {$UNSET} 10.0.0.{$UNSET}1', '{$UNSET}'), plain);
  assert.deepEqual(configOf('. {$UNSET} {\nforward . 10.0.0.1\n}\n').blocks[0].zones, plain.zones);
  assert.throws(() => meant('forward . {$UNSET}'), /forward: an upstream is empty/u);
  assert.throws(() => meant(forward, 'bind {$UNSET}'), /bind: expects addresses or interface names/u);
  assert.throws(() => meant(forward, 'import {$UNSET}'), /import expects the name/u);
});
test('the first reload counts, and another one is warned of', () => {
  const text = three('reload 10s', 'reload 10s', 'reload 20s');
  assert.equal(configOf(text).reload?.intervalMs, 10_000);
  assert.deepEqual(warningsOf(text), ['11: reload: line 3 differs, and only the first counts; make them equal.']);
});
test('debug anywhere is debug everywhere', () => assert.equal(configOf(three('', 'debug')).debug, true));

test('a file that cannot be read, or is not text, is refused', () => {
  const options = { ...testOptions(), files: systemFiles };
  assert.throws(
    () => loadCorefile('/does/not/exist', options),
    /^ConfigError: \/does\/not\/exist: no such file; give -conf/u,
  );
  assert.throws(() => loadCorefile(process.execPath, options), /: (larger than|not UTF-8)/u);
});
test('interfaces of this machine are found by name', () => {
  const options = systemLoadOptions(53, plugins);
  assert.ok(options.interfaceAddresses('lo')?.includes('127.0.0.1'));
  assert.equal(options.interfaceAddresses('no-such-interface'), undefined);
  assert.equal(options.interfaceAddresses('constructor'), undefined);
});
test('an unforeseen exception is not dressed up as bad configuration', () => {
  const options = { ...testOptions(), interfaceAddresses: () => assert.fail('broken') };
  assert.throws(
    () => parseConfig('. {\nbind lo\n}\n', 'f', options),
    (error) => !(error instanceof ConfigError),
  );
});

const two = (first: string, second: string, keys = ['.', '.']) =>
  configOf(`${keys[0]} {\n${first}\nforward . 10.9.9.9\n}\n${keys[1]} {\n${second}\nforward . 10.9.9.9\n}\n`);

test('one zone on one address and port is served once', () => {
  for (const [first, second] of [
    ['', ''],
    ['bind 10.0.0.1', 'bind 10.0.0.2 10.0.0.1'],
    ['bind 10.0.0.1', ''],
    ['bind ::', 'bind fd00::1'],
    ['bind FD00::1', 'bind fd00:0::1'],
    ['bind 0.0.0.0', 'bind 10.0.0.1'],
  ]) {
    assert.throws(() => two(first, second), /^ConfigError: \/etc\/Corefile:5: the zone \. on port 53 .* on line 1/u);
  }
});
test('other addresses, other ports, other zones are other things', () => {
  assert.equal(two('bind 10.0.0.1', 'bind 10.0.0.2').blocks.length, 2);
  assert.equal(two('bind 0.0.0.0', 'bind fd00::1').blocks.length, 2);
  assert.equal(two('', '', ['.', '.:5353']).blocks.length, 2);
  assert.equal(two('', '', ['a.', 'b.']).blocks.length, 2);
});
test('a network that contains a reverse zone of another block overlaps with it', () => {
  assert.throws(() => two('', '', ['10.0.0.0/15', '1.10.in-addr.arpa']), /already served/u);
});
test('the place of a block in another file is named with its file', () => {
  const text = 'import other\n. {\nforward . 10.0.0.1\n}\n';
  assert.throws(
    () => configOf(text, { '/etc/other': '. {\nforward . 10.0.0.1\n}\n' }),
    /server block on \/etc\/other:1;/u,
  );
});
test('HTTP servers need a port each', () => {
  assert.throws(
    () => two('health :8080', 'ready 10.0.0.1:8080', ['a.', 'b.']),
    /ready: 10\.0\.0\.1:8080 is used by health/u,
  );
  assert.equal(two('health 10.0.0.1:8080', 'ready 10.0.0.2:8080', ['a.', 'b.']).blocks.length, 2);
  assert.equal(two('health :0', 'ready :0', ['a.', 'b.']).blocks.length, 2);
});
test('there is a bound on listeners', () => {
  const addresses = Array.from({ length: listenersMax + 1 }, (_, index) => `10.1.${index >> 8}.${index & 255}`);
  assert.throws(() => two(`bind ${addresses.join(' ')}`, 'bind 127.0.0.1'), /more than 256 addresses and ports/u);
});

test('an HTTP server has no port on which DNS is answered over TCP', () => {
  const dns = (bind: string, http: string) => two(bind, http, ['a.:5353', 'b.']);
  assert.throws(
    () => dns('bind 10.0.0.1', 'ready :5353'),
    /^ConfigError: \/etc\/Corefile:6: ready: \[::\]:5353 is the DNS port of the server block on line 1; /u,
  );
  assert.throws(() => dns('', 'prometheus 127.0.0.1:5353'), /prometheus: 127\.0\.0\.1:5353 is the DNS port/u);
  assert.equal(dns('bind 10.0.0.1', 'health 10.0.0.2:5353').blocks.length, 2);
});

test('an address that another one means as well is not opened twice', () => {
  const health = (first: string, second: string) =>
    two(`health ${first}`, `health ${second}`, ['a.', 'b.']).health?.addresses.map(({ address }) => address);
  assert.deepEqual(health(':8080', '127.0.0.1:8080'), ['::']);
  assert.deepEqual(health('[::1]:8080', ':8080'), ['::']);
  assert.deepEqual(health('0.0.0.0:8080', '127.0.0.1:8080'), ['0.0.0.0']);
  assert.deepEqual(health('0.0.0.0:8080', '[::1]:8080'), ['0.0.0.0', '::1']);
  assert.deepEqual(health(':8080', '127.0.0.1:8081'), ['::', '127.0.0.1']);
  assert.deepEqual(health('localhost:8080', '127.0.0.1:8080'), ['127.0.0.1']);
  const twice = two('prometheus :9253', 'prometheus 127.0.0.1:9253', ['a.', 'b.']);
  assert.deepEqual(twice.metrics, [{ address: '::', port: 9253 }]);
  assert.equal(two('pprof :0', 'pprof 127.0.0.1:0', ['a.', 'b.']).pprof.length, 2, 'these get two ports');
});

test('rules may tell so many kinds of clients apart, where a block asks other names', () => {
  const acls = (count: number) =>
    Array.from({ length: count }, (_, at) => `acl z${at}.test {\nblock net 10.${at}.0.0/16\n}`).join('\n');
  const block = (lines: string) => `a.test {\n${lines}\nforward . 10.9.9.9\n}\n`;
  const other = (lines: string) => `. {\n${lines}\nforward . 10.9.9.9\n}\n`;
  const rewriting = 'rewrite name a.test b.test';
  assert.equal(configOf(block(acls(clientKindsMax - 1)) + other(rewriting)).blocks.length, 2);
  assert.equal(configOf(block(acls(clientKindsMax)) + other('cache')).blocks.length, 2, 'no other names are asked');
  assert.throws(
    () => configOf(block(acls(clientKindsMax)) + other(rewriting)),
    /^ConfigError: \/etc\/Corefile:2: acl: the rules on \[::\]:53 distinguish 65 groups of clients; .* most 64 are allowed; put/u,
  );
});

const read = (corefile: string) => parseConfig(corefile, 'Corefile', loadOptions);
const many = Array.from({ length: 50 }, (_, index) => `10.0.0.${index + 1}`).join(' ');

describe('openFilesFor', () => {
  it('counts a socket for each listener and thread, once where several blocks share it, and those of HTTP', () => {
    const one = read(`. {\n bind ${many}\n forward . 192.0.2.9\n}\n`);
    assert.equal(openFilesFor(one, 4), 50 * 5 + 4 * openFilesPerWorker + openFilesSpare);
    assert.equal(openFilesFor(one, 0), 50 * 2 + openFilesSpare, 'the event loop has one socket, too');
    const block = ` bind ${many}\n prometheus :9253\n forward . 192.0.2.9\n`;
    const two = read(`. {\n${block} health\n ready\n pprof\n}\nexample.org {\n${block}}\n`);
    assert.equal(openFilesFor(two, 4), openFilesFor(one, 4) + 4);
  });

  it('is more than what reading the program takes', () => {
    assert.ok(openFilesFor(read('. {\n forward . 192.0.2.9\n}\n'), 0) > openFilesToLoad);
  });
});

describe('tooFewOpenFiles', () => {
  const config = read(`. {\n bind ${many}\n forward . 192.0.2.9\n}\n`);
  const needed = openFilesFor(config, 2);

  it('is silent where there may be enough, or nobody knows', () => {
    for (const limit of [needed, Number.POSITIVE_INFINITY, null]) {
      assert.equal(tooFewOpenFiles(config, 2, limit), null);
    }
  });

  it('says how many there may be, how many it takes, and what to change', () => {
    const sentence = tooFewOpenFiles(config, 2, needed - 1);
    assert.ok(sentence?.startsWith(`open file limit ${needed - 1} is too low: this configuration needs ${needed};`));
    assert.match(sentence ?? '', /ulimit -n.*fewer -workers\.$/u);
    assert.doesNotMatch(tooFewOpenFiles(config, 1, 9) ?? '', /workers/u);
  });
});
