import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConfigError } from '../../src/config/config.js';
import {
  builtinCorefile,
  fillPillars,
  fromBuiltin,
  fromTemplate,
  hasPillars,
  joined,
  kubeDnsFiles,
  type MakeOptions,
  noKubeDns,
  type PillarValues,
  readKubeDns,
  stubBlocks,
} from '../../src/config/generated-corefile.js';
import { parsePieces } from '../../src/config/load.js';
import { builtinConfig, builtinExample, configOf, testOptions } from './options.js';

const options: MakeOptions = {
  localAddresses: ['169.254.20.10', '10.96.0.10'],
  dnsPort: 53,
  clusterDns: { endpoint: { address: '10.97.12.34', port: 53 }, missing: null },
  healthPort: 8080,
  prometheusAddress: ':9253',
  corefilePath: '/etc/Corefile',
  baseCorefilePath: '/etc/coredns/Corefile.base',
  kubeDnsFolder: '/etc/kube-dns',
};
const load = testOptions();
const base = '/etc/coredns/Corefile.base';
const acme = { stubDomains: [{ domain: 'acme.local', servers: ['1.2.3.4'] }], upstreamNameservers: ['8.8.8.8'] };

test('a template becomes its text with the values of this node, and a block for each stub domain behind it', () => {
  const text = '__PILLAR__DNS__DOMAIN__ {\nbind __PILLAR__LOCAL__DNS__\nforward . __PILLAR__CLUSTER__DNS__\n}\n';
  const alone = fromTemplate({ text, file: base }, noKubeDns, options, load);
  assert.equal(joined(alone), 'cluster.local {\nbind 169.254.20.10 10.96.0.10\nforward . 10.97.12.34\n}\n');
  const { blocks } = parsePieces(fromTemplate({ text, file: base }, acme, options, load), [], testOptions());
  assert.deepEqual(
    blocks.map(({ at, zones }) => [`${at.file}:${at.line}`, zones[0].zone]),
    [
      [`${base}:1`, 'cluster.local.'],
      ['/etc/kube-dns/stubDomains:0', 'acme.local.'],
    ],
  );
});
test('errors name the line of the template, or the ConfigMap', () => {
  const parse = (text: string, kubeDns = noKubeDns) =>
    parsePieces(fromTemplate({ text, file: base }, kubeDns, options, load), [], testOptions());
  const forced = 'forward . __PILLAR__UPSTREAM__SERVERS__ {\n force_tcp\n}\n';
  assert.throws(() => parse(`. {\n${forced}cachee\n}\n`), /^ConfigError: \/etc\/coredns\/Corefile\.base:5: .*cachee/u);
  assert.throws(() => parse(`. {\n${forced}cachee\n}\n`, acme), /^ConfigError: \/etc\/coredns\/Corefile\.base:5: /u);
  const taken = 'acme.local {\nbind __PILLAR__LOCAL__DNS__\nforward . 10.0.0.1\n}\n';
  assert.throws(
    () => parse(taken, acme),
    /^ConfigError: \/etc\/kube-dns\/stubDomains: the zone acme\.local\. .* is already served by the server block on \/etc\/coredns\/Corefile\.base:1;/u,
  );
});
test('relative imports begin where the Corefile is written', () => {
  const files = { '/etc/custom/a.server': 'b {\nforward . 10.0.0.1\n}\n' };
  const text = '. {\nforward . 10.0.0.1\n}\nimport custom/*.server\n';
  const pieces = fromTemplate({ text, file: base }, acme, options, testOptions(files));
  const { blocks, files: watched } = parsePieces(pieces, [base], testOptions(files));
  assert.deepEqual(
    blocks.map(({ zones }) => zones[0].zone),
    ['.', 'b.', 'acme.local.'],
  );
  assert.deepEqual(watched, [base, '/etc/custom', '/etc/custom/a.server']);
});
test('the built-in configuration takes the ConfigMap as well', () => {
  const builtin = { localAddresses: options.localAddresses, port: 53, clusterDns: '10.97.12.34:53' };
  assert.equal(joined(fromBuiltin(noKubeDns, options, load)), builtinCorefile(builtin));
  const { blocks, source } = parsePieces(fromBuiltin(acme, options, load), [], testOptions());
  assert.equal(source, '(built-in)');
  assert.deepEqual(
    blocks.map(({ zones }) => zones[0].zone),
    ['cluster.local.', 'in-addr.arpa.', 'ip6.arpa.', '.', 'acme.local.'],
  );
  assert.deepEqual(blocks[3].forwards[0].to, [{ kind: 'endpoint', endpoint: { address: '8.8.8.8', port: 53 } }]);
  const lost = { ...options, clusterDns: { endpoint: null, missing: 'gone.' } };
  assert.deepEqual(parsePieces(fromBuiltin(noKubeDns, lost, load), [], testOptions()).blocks.length, 1);
});
test('the hash is that of the text as it is written', () => {
  const pieces = fromTemplate({ text: '. {\nforward . 10.0.0.1\n}\n', file: base }, acme, options, load);
  const whole = parsePieces([{ text: joined(pieces), file: 'f' }], [], testOptions());
  assert.equal(pieces.length, 2);
  assert.equal(parsePieces(pieces, [], testOptions()).sha512, whole.sha512);
});
test('stub domains are served where all other names are', () => {
  const bound = (bind: string): readonly string[] => {
    const text = `. {\n${bind}\nforward . 10.0.0.1\n}\n`;
    return parsePieces(fromTemplate({ text, file: base }, acme, options, load), [], load).blocks[1].addresses;
  };
  assert.deepEqual(bound('bind __PILLAR__LOCAL__DNS__'), options.localAddresses);
  assert.deepEqual(bound('bind 10.9.9.9'), options.localAddresses, 'as with node-cache');
  assert.deepEqual(bound('bind 0.0.0.0'), ['0.0.0.0']);
  assert.deepEqual(bound(''), ['::']);
});

test('the built-in configuration is what the design promises', () => {
  const config = builtinConfig(
    { localAddresses: ['169.254.20.10', 'fd00::a'], port: 53, clusterDns: '10.96.0.10:53' },
    testOptions(),
  );
  assert.equal(config.source, '(built-in)');
  assert.deepEqual(config.files, []);
  assert.deepEqual(config.health, { addresses: [{ address: '169.254.20.10', port: 8080 }], lameduckMs: 0 });
  assert.deepEqual(config.ready, { addresses: [{ address: '::', port: 8181 }], monitor: 'until-ready' });
  assert.deepEqual(config.metrics, [{ address: '::', port: 9253 }]);
  assert.deepEqual(config.reload, { intervalMs: 5_000, jitterMs: 1_000 });
  assert.deepEqual(
    config.blocks.map(({ zones }) => zones),
    ['cluster.local.', 'in-addr.arpa.', 'ip6.arpa.', '.'].map((zone) => [{ zone, port: 53 }]),
  );
  for (const { addresses, aaaa, settings, errors, loop, prometheus } of config.blocks) {
    assert.deepEqual(addresses, ['169.254.20.10', 'fd00::a']);
    assert.deepEqual([aaaa, Object.keys(settings).length, loop, prometheus], ['nxdomain', 0, true, true]);
    assert.notEqual(errors, null);
  }
  const [cluster, , , rest] = config.blocks;
  assert.deepEqual([cluster.cache?.success.ttlMaxSeconds, cluster.cache?.denial.ttlMaxSeconds], [30, 5]);
  assert.equal(cluster.forwards[0].transport, 'tcp');
  assert.deepEqual(cluster.forwards[0].to, [{ kind: 'endpoint', endpoint: { address: '10.96.0.10', port: 53 } }]);
  assert.equal(rest.cache?.success.ttlMaxSeconds, 30);
  assert.deepEqual(rest.forwards[0].to, [{ kind: 'file', path: '/etc/resolv.conf' }]);
  assert.equal(config.warnings.length, 1, 'that AAAA is NXDOMAIN, and nothing else');
});
test('ports and addresses can be moved, as the demo needs', () => {
  const config = builtinConfig(
    {
      localAddresses: ['127.0.0.1'],
      port: 1053,
      clusterDns: '127.0.0.1:5300',
      healthPort: 18080,
      prometheusAddress: '127.0.0.1:19253',
      readyAddress: '127.0.0.1:18181',
    },
    testOptions(),
  );
  assert.equal(config.blocks[0].zones[0].port, 1053);
  assert.deepEqual(config.health, { addresses: [{ address: '127.0.0.1', port: 18080 }], lameduckMs: 0 });
  assert.deepEqual(config.ready?.addresses[0].port, 18181);
  assert.deepEqual(config.metrics, [{ address: '127.0.0.1', port: 19253 }]);
});
test('health on an IPv6 address is written in brackets', () => {
  assert.match(builtinCorefile({ ...builtinExample, localAddresses: ['fd00::a'] }), /health \[fd00::a\]:8080/u);
});
test('without a cluster DNS only the resolv.conf is asked', () => {
  const config = builtinConfig(
    { ...builtinExample, clusterDns: null, outside: '/run/r' },
    testOptions({ '/run/r': '' }),
  );
  assert.deepEqual(
    config.blocks.map(({ zones }) => zones[0].zone),
    ['.'],
  );
  assert.deepEqual(config.blocks[0].forwards[0].to, [{ kind: 'file', path: '/run/r' }]);
});

const values: PillarValues = {
  localAddresses: ['169.254.20.10', '10.96.0.10'],
  clusterDns: { endpoint: { address: '10.97.12.34', port: 53 }, missing: null },
  upstreamServers: [],
  prometheusAddress: ':9253',
};
const fill = (text: string, other: Partial<PillarValues> = {}) => fillPillars(text, 'base', { ...values, ...other });
const clusterAt = (address: string, port: number) => ({ clusterDns: { endpoint: { address, port }, missing: null } });

test('each placeholder becomes what it is on this node', () => {
  for (const [placeholder, value] of [
    ['__PILLAR__DNS__DOMAIN__', 'cluster.local'],
    ['__PILLAR__LOCAL__DNS__', '169.254.20.10 10.96.0.10'],
    ['__PILLAR__DNS__SERVER__', ''],
    ['__PILLAR__CLUSTER__DNS__', '10.97.12.34'],
    ['__PILLAR__UPSTREAM__SERVERS__', '/etc/resolv.conf'],
    ['__PROMETHEUS__ENDPOINT__', ':9253'],
  ]) {
    assert.equal(fill(`a ${placeholder} b\n${placeholder}`), `a ${value} b\n${value}`);
    assert.ok(hasPillars(`{\n bind ${placeholder}\n}`));
  }
});
test('what has no placeholder is no template and stays as it is, to the byte', () => {
  const text =
    '\ufeff. {\r\n  bind 127.0.0.1 # __PILLAR__LOCAL__DNS__?\r\n  log __x__ __PILLAR__ __pillar__dns__domain__\r\n}';
  assert.equal(hasPillars(text), false);
  assert.equal(fill(text.replace('__PILLAR__LOCAL__DNS__', 'x')), text.replace('__PILLAR__LOCAL__DNS__', 'x'));
});
test('a local address that is part of a word is the first one, in brackets where a port follows', () => {
  assert.equal(fill('health __PILLAR__LOCAL__DNS__:8080'), 'health 169.254.20.10:8080');
  assert.equal(fill('bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__'), 'bind 169.254.20.10 10.96.0.10 ');
  const six = { localAddresses: ['fd00::a', 'fd00::b'] };
  assert.equal(fill('health __PILLAR__LOCAL__DNS__:8080', six), 'health [fd00::a]:8080');
  assert.equal(fill('bind __PILLAR__LOCAL__DNS__\r\n', six), 'bind fd00::a fd00::b\r\n');
});
test('the cluster DNS has its port where that is not 53, unless the template says one', () => {
  assert.equal(fill('forward . __PILLAR__CLUSTER__DNS__', clusterAt('10.0.0.1', 5353)), 'forward . 10.0.0.1:5353');
  assert.equal(fill('__PILLAR__CLUSTER__DNS__:54', clusterAt('10.0.0.1', 5353)), '10.0.0.1:54');
  assert.equal(fill('__PILLAR__CLUSTER__DNS__:54', clusterAt('fd00::1', 53)), '[fd00::1]:54');
  assert.equal(fill('__PILLAR__CLUSTER__DNS__', clusterAt('fd00::1', 53)), 'fd00::1');
  assert.equal(fill('__PILLAR__CLUSTER__DNS__ {', clusterAt('fd00::1', 5353)), '[fd00::1]:5353 {');
});
test('a cluster DNS that is not known is an error at its line, except in a comment', () => {
  const missing = { clusterDns: { endpoint: null, missing: 'X_SERVICE_HOST is not set; set it.' } } as const;
  assert.throws(
    () => fill('. {\n\n forward . __PILLAR__CLUSTER__DNS__\n}', missing),
    (error) =>
      error instanceof ConfigError &&
      error.message === 'base:3: no value for __PILLAR__CLUSTER__DNS__: X_SERVICE_HOST is not set; set it.',
  );
  assert.equal(fill('# __PILLAR__CLUSTER__DNS__', missing), '# __PILLAR__CLUSTER__DNS__');
  assert.equal(fill('forward . /etc/resolv.conf', missing), 'forward . /etc/resolv.conf');
});
test('a placeholder that nobody knows is an error at its line, except in a comment', () => {
  for (const placeholder of ['__PILLAR__CLUSTR__DNS__', '__PILLAR__DNS__', '__PROMETHEUS__PORT__']) {
    assert.throws(
      () => fill(`a\n b ${placeholder}:53 {`),
      /^ConfigError: base:2: __P.* is not a placeholder; known: __/u,
    );
    assert.equal(fill(`a # ${placeholder}`), `a # ${placeholder}`);
    assert.ok(hasPillars(placeholder));
  }
});

const block = (inside: string) => `.:53 {\n    forward . __PILLAR__UPSTREAM__SERVERS__${inside}\n    cache 30\n}\n`;
const servers = { upstreamServers: ['1.1.1.1', '8.8.8.8:5353'] };

test('servers of a ConfigMap are not forced to TCP, and every line keeps its number', () => {
  const asked = '.:53 {\n    forward . 1.1.1.1 8.8.8.8:5353';
  for (const inside of [' {\n            force_tcp\n    }', ' {\n\tforce_tcp\n\t}', '{\n  force_tcp\n\n}']) {
    const lines = '\n'.repeat(inside.split('\n').length - 1);
    assert.equal(fill(block(inside), servers), `${asked}${lines}\n    cache 30\n}\n`);
  }
});
test('force_tcp stays beside other options, and where resolv.conf is asked or other servers are named', () => {
  const more = ' {\n        force_tcp\n        max_concurrent 100\n    }';
  assert.match(fill(block(more), servers), /forward \. 1\.1\.1\.1 8\.8\.8\.8:5353 \{\n {8}force_tcp\n/u);
  const alone = ' {\n        force_tcp\n    }';
  assert.match(fill(block(alone)), /forward \. \/etc\/resolv\.conf \{\n {8}force_tcp\n {4}\}/u);
  const others = 'forward . 10.0.0.1 {\n force_tcp\n}\n';
  assert.equal(fill(others, servers), others);
});

const folder = '/etc/kube-dns';
const read = (keys: Readonly<Record<string, string>>) =>
  readKubeDns(
    folder,
    testOptions(Object.fromEntries(Object.entries(keys).map(([key, text]) => [`${folder}/${key}`, text]))).files,
  );
const stubs = (value: unknown) => read({ stubDomains: JSON.stringify(value) }).stubDomains;
const upstreams = (value: unknown) => read({ upstreamNameservers: JSON.stringify(value) }).upstreamNameservers;

function refuses(run: () => unknown, message: RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, message);
    assert.match(error.message, /^[^\n]*\.$/u, 'one sentence, one line');
    return true;
  });
}

test('both keys are read, others are not looked at', () => {
  const keys = {
    stubDomains: '{"acme.local": ["1.2.3.4"], "10.in-addr.arpa": ["1.2.3.4:5353", "fd00::1", "[fd00::1]:53"]}\n',
    upstreamNameservers: ' ["8.8.8.8", "[2001:db8::1]:54"] ',
    federations: '{nonsense',
    '..data': 'nonsense',
  };
  assert.deepEqual(read(keys), {
    stubDomains: [
      { domain: 'acme.local', servers: ['1.2.3.4'] },
      { domain: '10.in-addr.arpa', servers: ['1.2.3.4:5353', 'fd00::1', '[fd00::1]:53'] },
    ],
    upstreamNameservers: ['8.8.8.8', '[2001:db8::1]:54'],
  });
});
test('no folder, no key, an empty value and null are all nothing', () => {
  assert.deepEqual(read({}), noKubeDns);
  for (const text of ['', ' \n', 'null', '{}']) assert.deepEqual(read({ stubDomains: text }), noKubeDns, text);
  for (const text of ['', '[]', 'null']) assert.deepEqual(read({ upstreamNameservers: text }), noKubeDns, text);
});
test('what is no JSON, or another kind of it, says which file and what it should look like', () => {
  refuses(
    () => read({ stubDomains: '{"acme.local": [1.2.3.4]}' }),
    /^\/etc\/kube-dns\/stubDomains: not valid JSON \(/u,
  );
  refuses(() => read({ upstreamNameservers: '8.8.8.8\n8.8.4.4' }), /upstreamNameservers: not valid JSON/u);
  for (const value of [[], ['acme.local'], 'acme.local', 3, true]) {
    refuses(() => stubs(value), /stubDomains: must be an object such as \{"acme.local": \["10.0.0.53"\]\}\.$/u);
  }
  for (const value of [{}, '8.8.8.8', 8]) refuses(() => upstreams(value), /must be a list such as \["10.0.0.53", /u);
});
test('domains are RFC 1123 names', () => {
  for (const domain of ['a', '1', 'a-b.c', `${'a'.repeat(63)}.b`]) {
    assert.deepEqual(stubs({ [domain]: ['1.2.3.4'] }), [{ domain, servers: ['1.2.3.4'] }]);
  }
  const long = Array.from({ length: 64 }, () => 'aaa').join('.');
  for (const domain of [
    '',
    '.',
    'Acme.local',
    'acme.local.',
    '_a.b',
    'a..b',
    '-a',
    'a-',
    'a b',
    'a {',
    long,
    'a'.repeat(64),
  ]) {
    refuses(() => stubs({ [domain]: ['1.2.3.4'] }), /is not a domain; write it in lower case/u);
  }
});
test('a stub domain has one to fifteen servers', () => {
  for (const servers of [[], null, '1.2.3.4', {}])
    refuses(() => stubs({ 'a.b': servers }), /"a.b" needs a list of servers/u);
  refuses(() => stubs({ 'a.b': Array(16).fill('1.2.3.4') }), /"a.b" has 16 servers; at most 15 are allowed/u);
  assert.equal(stubs({ 'a.b': Array(15).fill('1.2.3.4') })[0].servers.length, 15);
});
test('three upstreamNameservers are possible', () => {
  assert.equal(upstreams(Array(3).fill('1.2.3.4')).length, 3);
  refuses(() => upstreams(Array(4).fill('1.2.3.4')), /4 servers; at most 3 are allowed/u);
});
test('servers are addresses, with a port or without; names are not', () => {
  const wrong = [
    'ns.acme.local',
    'ns:53',
    '1.2.3',
    '01.2.3.4',
    '1.2.3.4:',
    '1.2.3.4:0',
    '1.2.3.4:65536',
    '1.2.3.4:dns',
  ];
  for (const server of [
    ...wrong,
    'tls://1.2.3.4',
    '/etc/resolv.conf',
    '',
    ' 1.2.3.4',
    '::1:53:x',
    53,
    null,
    ['1.2.3.4'],
  ]) {
    refuses(() => stubs({ 'a.b': [server] }), /is not a server; write an IP address/u);
    refuses(() => upstreams([server]), /is not a server; write an IP address/u);
  }
});
test('a file that cannot be read is wrong', () => {
  const files = { ...testOptions().files, exists: () => true };
  refuses(() => readKubeDns(folder, files), /^\/etc\/kube-dns\/stubDomains: cannot be read: no such file/u);
});
test('a block for each stub domain is as node-cache writes it', () => {
  const kubeDns = {
    stubDomains: [
      { domain: 'acme.local', servers: ['1.2.3.4', '1.2.3.5:5353'] },
      { domain: 'b', servers: ['::1'] },
    ],
    upstreamNameservers: [],
  };
  const text = stubBlocks(kubeDns, { addresses: ['169.254.20.10', '10.96.0.10'], port: 1053 });
  assert.equal(
    text,
    `
acme.local:1053 {
    errors
    cache 30
    bind 169.254.20.10 10.96.0.10
    forward . 1.2.3.4 1.2.3.5:5353
}

b:1053 {
    errors
    cache 30
    bind 169.254.20.10 10.96.0.10
    forward . ::1
}
`,
  );
  const [acme] = configOf(text).blocks;
  assert.deepEqual([acme.zones, acme.prometheus, acme.loop], [[{ zone: 'acme.local.', port: 1053 }], false, false]);
  assert.deepEqual([acme.forwards[0].transport, acme.cache?.success.ttlMaxSeconds], ['client', 30]);
  assert.equal(stubBlocks(noKubeDns, { addresses: ['::1'], port: 53 }), '');
});
test('whatever the files say, it is refused with a ConfigError or becomes a Corefile that is understood', () => {
  const good = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('1.2.3.4:53', '[::1]:53'));
  const right = fc.dictionary(fc.domain(), fc.array(good, { minLength: 1, maxLength: 3 }), { minKeys: 1, maxKeys: 6 });
  const wrong = fc.dictionary(fc.oneof(fc.domain(), fc.string()), fc.array(fc.oneof(good, fc.string())));
  const value = fc.oneof(right, wrong, fc.jsonValue());
  let understood = 0;
  fc.assert(
    fc.property(
      fc.oneof(
        value.map((one) => JSON.stringify(one)),
        fc.string(),
      ),
      (text) => {
        let kubeDns = noKubeDns;
        try {
          kubeDns = read({ stubDomains: text });
        } catch (error) {
          assert.ok(error instanceof ConfigError);
          return;
        }
        if (kubeDns.stubDomains.length === 0) return;
        understood++;
        const { blocks } = configOf(stubBlocks(kubeDns, { addresses: ['169.254.20.10'], port: 53 }));
        assert.equal(blocks.length, kubeDns.stubDomains.length);
      },
    ),
    { numRuns: 500 },
  );
  assert.ok(understood > 10);
});
test('the files to watch are the two that are read', () => {
  assert.deepEqual(kubeDnsFiles('/a'), {
    stubDomains: '/a/stubDomains',
    upstreamNameservers: '/a/upstreamNameservers',
  });
});
