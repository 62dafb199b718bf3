import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConfigError } from '../../src/config/config.js';
import { kubeDnsFiles, noKubeDns, readKubeDns, stubBlocks } from '../../src/config/kube-dns.js';
import { configOf, testOptions } from './options.js';

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
