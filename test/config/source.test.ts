import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import type { Config } from '../../src/config/config.js';
import { Source, type SourceOptions } from '../../src/config/source.js';
import { testOptions } from './options.js';

const base = '/etc/coredns/Corefile.base';
const corefile = '/etc/Corefile';
const stubDomains = '/etc/kube-dns/stubDomains';
const upstreamNameservers = '/etc/kube-dns/upstreamNameservers';

const template = `__PILLAR__DNS__DOMAIN__ {
  bind __PILLAR__LOCAL__DNS__
  forward . __PILLAR__CLUSTER__DNS__
}
. {
  bind __PILLAR__LOCAL__DNS__
  forward . __PILLAR__UPSTREAM__SERVERS__
}
`;
const acme = '{"acme.local": ["1.2.3.4"]}';

function world(initial: Readonly<Record<string, string>>, other: Partial<SourceOptions> = {}) {
  const files = new Map(Object.entries(initial));
  const lines: string[] = [];
  const say = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  const counts = { wrong: 0, written: 0 };
  let isReadOnly = false;
  const load = {
    ...testOptions(),
    files: {
      ...testOptions().files,
      read(file: string) {
        const text = file === '/etc/resolv.conf' ? '' : files.get(file);
        if (text === undefined || text === 'unreadable') throw new Error(`EACCES: ${file}.`);
        return text;
      },
      exists: (file: string) => files.has(file) || file === '/etc/resolv.conf',
      list: (folder: string) => [...files.keys()].filter((file) => path.dirname(file) === folder),
    },
  };
  const options: SourceOptions = {
    localAddresses: ['169.254.20.10'],
    dnsPort: 53,
    clusterDns: { endpoint: { address: '10.97.12.34', port: 53 }, missing: null },
    healthPort: 8080,
    prometheusAddress: ':9253',
    corefilePath: corefile,
    corefileGiven: true,
    baseCorefilePath: base,
    baseCorefileGiven: false,
    kubeDnsFolder: '/etc/kube-dns',
    ...other,
  };
  const source = new Source(options, {
    load,
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
    write(file, text) {
      if (isReadOnly) throw new Error('EROFS: read-only file system');
      counts.written++;
      files.set(file, text);
    },
    wrong: () => counts.wrong++,
  });
  return {
    ...{ files, lines, counts, source: () => source.read() },
    readOnly() {
      isReadOnly = true;
    },
    zones: (config: Config = source.read()) => config.blocks.map(({ zones }) => zones[0].zone),
    /** The lines since the last call. */
    said: () => lines.splice(0),
  };
}

const target = ({ blocks }: Config, index: number) => blocks[index].forwards[0].to[0];

test('a template is filled, written to -conf and watched with the ConfigMap', () => {
  const { source, files, said, counts } = world({ [base]: template });
  const config = source();
  assert.deepEqual(target(config, 0), { kind: 'endpoint', endpoint: { address: '10.97.12.34', port: 53 } });
  assert.deepEqual(config.files, [base, stubDomains, upstreamNameservers]);
  assert.match(
    files.get(corefile) ?? '',
    /^cluster\.local \{\n {2}bind 169\.254\.20\.10\n {2}forward \. 10\.97\.12\.34\n/u,
  );
  assert.deepEqual(said(), [`info: Corefile written from ${base}`]);
  source();
  assert.deepEqual([counts.written, said()], [1, []], 'what is as it was is neither written nor said again');
});
test('stub domains and servers are taken from the ConfigMap, and go with it', () => {
  const { source, zones, files } = world({
    [base]: template,
    [stubDomains]: acme,
    [upstreamNameservers]: '["8.8.8.8"]',
  });
  const config = source();
  assert.deepEqual(zones(config), ['cluster.local.', '.', 'acme.local.']);
  assert.deepEqual(target(config, 1), { kind: 'endpoint', endpoint: { address: '8.8.8.8', port: 53 } });
  assert.match(files.get(corefile) ?? '', /\nacme\.local:53 \{\n/u);
  files.delete(stubDomains);
  files.delete(upstreamNameservers);
  assert.deepEqual(zones(), ['cluster.local.', '.']);
  assert.deepEqual(target(source(), 1), { kind: 'file', path: '/etc/resolv.conf' });
});
test('a ConfigMap that is wrong at start is said and counted, and the template serves without it', () => {
  const { zones, said, counts } = world({ [base]: template, [stubDomains]: 'acme.local' });
  assert.deepEqual(zones(), ['cluster.local.', '.']);
  assert.equal(counts.wrong, 1);
  const [line, ...more] = said();
  assert.match(line, /^error: invalid kube-dns ConfigMap, ignoring it: \/etc\/kube-dns\/stubDomains: not/u);
  assert.deepEqual(more, [`info: Corefile written from ${base}`]);
});
test('a ConfigMap that becomes wrong leaves the one before in use, with a changed template too', () => {
  const { zones, said, counts, files } = world({ [base]: template, [stubDomains]: acme });
  zones();
  said();
  files.set(stubDomains, '{"Acme.local": ["1.2.3.4"]}');
  assert.deepEqual(zones(), ['cluster.local.', '.', 'acme.local.']);
  assert.match(
    said().join('\n'),
    /^error: .* keeping the previous one: \/etc\/kube-dns\/stubDomains: "Acme.local" is not a domain/u,
  );
  files.set(base, `${template}b {\n forward . 10.0.0.1\n}\n`);
  assert.deepEqual(zones(), ['cluster.local.', '.', 'b.', 'acme.local.']);
  assert.equal(counts.wrong, 2);
  files.set(stubDomains, '{"c.local": ["1.2.3.4"]}');
  said();
  assert.deepEqual(zones(), ['cluster.local.', '.', 'b.', 'c.local.']);
  assert.deepEqual([counts.wrong, said()], [2, [`info: Corefile written from ${base}`]]);
});
test('a stub domain that the template serves is the fault of the ConfigMap', () => {
  const { zones, said, counts } = world({ [base]: template, [stubDomains]: '{"cluster.local": ["1.2.3.4"]}' });
  assert.deepEqual(zones(), ['cluster.local.', '.']);
  assert.match(said()[0], /invalid kube-dns ConfigMap, .*stubDomains: the zone cluster\.local\. .*Corefile\.base:1;/u);
  assert.equal(counts.wrong, 1);
});
test('a template that becomes wrong is refused with its line and counted once, and -conf keeps the last right one', () => {
  const { source, zones, counts, files } = world({ [base]: template, [stubDomains]: acme });
  source();
  const right = files.get(corefile);
  files.set(base, template.replace('  bind', '  bin'));
  assert.throws(source, /^ConfigError: \/etc\/coredns\/Corefile\.base:2: unknown directive "bin"/u);
  assert.equal(counts.wrong, 1);
  files.set(base, 'unreadable');
  assert.throws(source, /^ConfigError: \/etc\/coredns\/Corefile\.base: EACCES: .*; give/u);
  files.delete(base);
  assert.throws(source, /^ConfigError: \/etc\/coredns\/Corefile\.base: no such file; mount the ConfigMap/u);
  assert.equal(counts.wrong, 3);
  assert.equal(files.get(corefile), right);
  files.set(base, template);
  assert.deepEqual(zones(), ['cluster.local.', '.', 'acme.local.']);
});
test('a cluster DNS that nobody knows is refused at its line', () => {
  const clusterDns = { endpoint: null, missing: 'KUBE_DNS_SERVICE_HOST is not in the environment; create it.' };
  const { source, counts } = world({ [base]: template }, { clusterDns });
  assert.throws(source, /Corefile\.base:3: no value for __PILLAR__CLUSTER__DNS__: KUBE_DNS_SERVICE_HOST is not/u);
  assert.equal(counts.wrong, 1);
});
test('a template that is wrong at start leaves what it was when it was last right, if that was kept', () => {
  const kept = 'kept {\n forward . 10.0.0.1\n}\n';
  const { source, zones, said, counts, files } = world({ [base]: '. {\n', [corefile]: kept });
  const config = source();
  assert.deepEqual(zones(config), ['kept.']);
  assert.deepEqual(config.files, [corefile, base, stubDomains, upstreamNameservers]);
  assert.match(said()[0], /^error: invalid template, using \/etc\/Corefile as it is: .*Corefile\.base:1: /u);
  assert.equal(counts.wrong, 1);
  files.set(base, template);
  assert.deepEqual(zones(), ['cluster.local.', '.']);
  for (const broken of ['. {\n', 'unreadable']) {
    assert.throws(world({ [base]: '. {\n', [corefile]: broken }).source, /Corefile\.base:1: /u);
  }
});
test('where -conf cannot be written, the Corefile is used from memory, which is said once', () => {
  const { zones, readOnly, said, counts, files } = world({ [base]: template });
  readOnly();
  assert.deepEqual(zones(), ['cluster.local.', '.']);
  files.set(base, `${template}b {\n forward . 10.0.0.1\n}\n`);
  assert.deepEqual(zones(), ['cluster.local.', '.', 'b.']);
  assert.equal(files.has(corefile), false);
  const told = said().filter((line) => line.includes('not writable'));
  assert.deepEqual(told, [
    'info: /etc/Corefile is not writable, using the Corefile from memory: EROFS: read-only file system',
  ]);
  assert.equal(counts.wrong, 0);
});
test('a template that is -conf itself is not overwritten', () => {
  const { zones, files, counts } = world({ [corefile]: template }, { baseCorefilePath: '/etc/../etc/Corefile' });
  files.set('/etc/../etc/Corefile', template);
  assert.deepEqual(zones(), ['cluster.local.', '.']);
  assert.deepEqual([files.get(corefile), counts.written], [template, 0]);
});
test('upstreamNameservers without their placeholder are warned of', () => {
  const { source, said } = world({ [base]: '. {\n forward . 10.0.0.1\n}\n', [upstreamNameservers]: '["8.8.8.8"]' });
  source();
  assert.deepEqual(
    said().filter((line) => line.startsWith('warn')),
    [`warn: upstreamNameservers has no effect: ${base} has no __PILLAR__UPSTREAM__SERVERS__`],
  );
});
test('without a template -conf serves, and a template that appears takes its place', () => {
  const { source, zones, counts, files, said } = world({ [corefile]: 'a {\n forward . 10.0.0.1\n}\n' });
  assert.deepEqual(source().files, [corefile, base]);
  assert.deepEqual([zones(), counts.wrong, said()], [['a.'], 0, []]);
  files.set(base, template);
  assert.deepEqual(zones(), ['cluster.local.', '.']);
});
test('a template that was asked for and is not there is said and counted, and -conf serves', () => {
  const { zones, counts, said } = world({ [corefile]: 'a {\n forward . 10.0.0.1\n}\n' }, { baseCorefileGiven: true });
  assert.deepEqual(zones(), ['a.']);
  assert.equal(counts.wrong, 1);
  assert.deepEqual(said(), [
    `error: ${base}: no such file; mount the ConfigMap of the template, or omit -basecorefile.`,
  ]);
});
test('-conf that is given and not there is refused; not given, the built-in configuration serves with the ConfigMap', () => {
  assert.throws(world({}).source, /^ConfigError: \/etc\/Corefile: .*; give -conf a file/u);
  const { source, zones, files } = world({ [stubDomains]: acme }, { corefileGiven: false });
  const config = source();
  assert.deepEqual(zones(config), ['cluster.local.', 'in-addr.arpa.', 'ip6.arpa.', '.', 'acme.local.']);
  assert.deepEqual(config.files, [corefile, base, stubDomains, upstreamNameservers]);
  files.set(corefile, 'a {\n forward . 10.0.0.1\n}\n');
  assert.deepEqual(zones(), ['a.']);
});
test('without a cluster DNS the built-in configuration says so once', () => {
  const clusterDns = { endpoint: null, missing: 'KUBE_DNS_SERVICE_HOST is not set.' };
  const { source, said } = world({}, { corefileGiven: false, clusterDns });
  source();
  source();
  assert.deepEqual(said(), [
    'warn: no cluster DNS, all queries use /etc/resolv.conf: KUBE_DNS_SERVICE_HOST is not set.',
  ]);
});
