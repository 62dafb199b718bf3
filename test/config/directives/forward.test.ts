import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { check } from '../../../src/config/check.js';
import { ConfigError } from '../../../src/config/config.js';
import { readFlags } from '../../../src/config/flag-reader.js';
import { parseConfig } from '../../../src/config/load.js';
import { serveOptions } from '../../../src/config/serve-options.js';
import { newAuthority, openssl, textsOf } from '../../os/certificates.js';
import { needs } from '../../real/commands.js';
import { blockOf, configOf, testOptions, warningsOf } from '../options.js';

const forward = (first: string, ...options: string[]) =>
  blockOf(options.length === 0 ? first : `${first} {`, ...options, ...(options.length === 0 ? [] : ['}'])).forwards[0];
const option = (...lines: string[]) => forward('forward . 10.0.0.1', ...lines);
const target = (text: string) => forward(`forward . ${text}`).to[0];
const endpoint = (address: string, port = 53) => ({ kind: 'endpoint', endpoint: { address, port } });

test('the defaults', () => {
  assert.deepEqual(forward('forward . 10.0.0.1'), {
    at: { file: '/etc/Corefile', line: 2 },
    from: '.',
    to: [endpoint('10.0.0.1')],
    except: [],
    transport: 'client',
    expireMs: 10_000,
    maxAgeMs: 45_000,
    idleConnectionsMax: 0,
    readTimeoutMs: 2_000,
    failsMax: 2,
    connectAttemptsMax: 0,
    healthCheck: { intervalMs: 500, recursionDesired: true, domain: '.' },
    policy: 'random',
    concurrentMax: 0,
    next: [],
    nextOnNodata: false,
    failover: [],
    failfastAllUnhealthy: false,
    sourceAddress: null,
    endpoints: null,
    tls: { serverName: null, material: null },
    udpBytes: 1232,
  });
});
test('targets: addresses with and without port and scheme, files', () => {
  assert.deepEqual(target('10.0.0.1:5353'), endpoint('10.0.0.1', 5353));
  assert.deepEqual(target('dns://10.0.0.1'), endpoint('10.0.0.1'));
  assert.deepEqual(target('dns://[FD00::1]:5353'), endpoint('fd00::1', 5353));
  assert.deepEqual(target('fd00::1'), endpoint('fd00::1'));
  assert.deepEqual(target('fe80::1%eth0'), endpoint('fe80::1%eth0'));
  assert.deepEqual(target('/etc/resolv.conf'), { kind: 'file', path: '/etc/resolv.conf' });
  const relative = configOf('. {\nforward . resolv.conf\n}\n', { 'resolv.conf': '' }).blocks[0].forwards[0].to[0];
  assert.deepEqual(relative, { kind: 'file', path: 'resolv.conf' });
});
test('a file that is not there is a warning: it may come', () => {
  assert.match(warningsOf('. {\nforward . /etc/none\n}\n')[0], /^2: forward: \/etc\/none does not exist/u);
});
test('an IPv6 address that looks like one with a port is warned of', () => {
  const warned = (text: string) => warningsOf(`. {\nforward . ${text}\n}\n`);
  for (const [text, meant] of [
    ['fd00::10:53', '[fd00::10]:53'],
    ['dns://fd00::10:53', '[fd00::10]:53'],
    ['tls://fd00::10:853', '[fd00::10]:853'],
  ]) {
    const [first, ...more] = warned(text);
    const sentence = `is an IPv6 address; for port ${meant.split(':').at(-1)} of fd00::10 write ${meant}.`;
    assert.ok(first.endsWith(sentence), first);
    assert.deepEqual(more, []);
  }
  for (const text of ['fd00::53', 'fd00::10', '[fd00::10]:53', 'fd00::10:5353'])
    assert.deepEqual(warned(text), [], text);
});
test('several targets keep their order', () => {
  assert.deepEqual(forward('forward . 10.0.0.2 10.0.0.1').to, [endpoint('10.0.0.2'), endpoint('10.0.0.1')]);
});
test('what is no target says what to write', () => {
  for (const [text, reason] of [
    ['tls://dns.quad9.net', /write tls:\/\/ and an IP address/u],
    ['https://dns.test/dns-query', /https:\/\/ upstreams are not supported yet/u],
    ['ftp://9.9.9.9', /"ftp:\/\/" is not a supported scheme/u],
    ['10.0.0.1:0', /not an upstream; write ADDRESS/u],
    ['10.0.0.256', /not an upstream; write ADDRESS/u],
    ['kube-dns', /"kube-dns" is a name, and no other upstream can resolve it/u],
    ['kube-dns:0', /not an upstream; write ADDRESS/u],
    ['"" 10.0.0.1', /an upstream is empty/u],
    ['__PILLAR__CLUSTER__DNS__', /It is a placeholder/u],
  ] as const) {
    assert.throws(() => target(text), reason, text);
  }
});
test('failover takes any rcode that a failure may have, and no success', () => {
  assert.deepEqual(option('failover SERVFAIL refused NOTIMPL', 'failover NXDOMAIN').failover, [2, 5, 4, 3]);
  for (const word of ['NOERROR', 'noerror', '0', 'RCODE0']) {
    assert.throws(
      () => option(`failover SERVFAIL ${word}`),
      /failover: NOERROR is not a failure, and would retry every/u,
    );
  }
  for (const word of ['SUCCESS', 'SERVERFAIL', 'NODATA', '4096', '""']) {
    assert.throws(() => option(`failover ${word}`), /is not an rcode/u, word);
  }
  assert.throws(() => option('failover'), /failover: expects rcodes/u);
  assert.deepEqual(option('next NOERROR NXDOMAIN').next, [0, 3]);
});
test('a health check without a pause between probes gets the usual one', () => {
  const text = '. {\nforward . 10.0.0.1 {\nhealth_check 0s no_rec\n}\n}\n';
  assert.deepEqual(configOf(text).blocks[0].forwards[0].healthCheck, {
    intervalMs: 500,
    recursionDesired: false,
    domain: '.',
  });
  assert.match(warningsOf(text)[0], /^3: forward health_check: an interval of 0 is not allowed; 500ms is used/u);
});
test('force_tcp wins over prefer_udp in either order', () => {
  assert.equal(option('force_tcp').transport, 'tcp');
  assert.equal(option('prefer_udp').transport, 'udp');
  assert.equal(option('prefer_udp', 'force_tcp').transport, 'tcp');
  assert.equal(option('force_tcp', 'prefer_udp').transport, 'tcp');
});
test('times and counts', () => {
  assert.equal(option('expire 1s').expireMs, 1_000);
  assert.equal(option('max_age 0').maxAgeMs, 0);
  assert.equal(option('expire 1m').maxAgeMs, 45_000);
  assert.equal(option('read_timeout 500ms').readTimeoutMs, 500);
  assert.equal(option('max_fails 0').failsMax, 0);
  assert.equal(option('max_idle_conns 7').idleConnectionsMax, 7);
  assert.equal(option('max_connect_attempts 3').connectAttemptsMax, 3);
  assert.equal(option('max_concurrent 1000').concurrentMax, 1_000);
  assert.throws(() => option('max_concurrent -1'), /from 0 to/u);
  assert.throws(() => option('read_timeout 0'), /longer than 0/u);
});
test('max_age is compared with expire only if both are written', () => {
  assert.equal(option('max_age 5s').maxAgeMs, 5_000);
  assert.equal(option('expire 30s', 'max_age 0').maxAgeMs, 0);
  assert.throws(() => option('max_age 10s', 'expire 30s'), /must not be shorter/u);
});
test('health_check', () => {
  assert.deepEqual(option('health_check 1s no_rec domain Health.local').healthCheck, {
    intervalMs: 1_000,
    recursionDesired: false,
    domain: 'health.local.',
  });
  assert.equal(option('health_check 330ms').healthCheck.intervalMs, 330);
  assert.throws(() => option('health_check 1s domain'), /a name is expected after "domain"/u);
});
test('rcodes, by name in any case', () => {
  assert.deepEqual(option('next nxdomain SERVFAIL', 'next REFUSED').next, [3, 2, 5]);
  assert.deepEqual(option('failover ServFail').failover, [2]);
  assert.equal(option('next_on_nodata').nextOnNodata, true);
});
test('the rest', () => {
  assert.equal(option('policy sequential').policy, 'sequential');
  assert.equal(option('failfast_all_unhealthy_upstreams').failfastAllUnhealthy, true);
  assert.equal(option('source_address FD00::1').sourceAddress, 'fd00::1');
  assert.deepEqual(option('except A.test', 'except 10.0.0.0/8').except, ['a.test.', '10.in-addr.arpa.']);
});
test('from is one zone, even of a network that is several', () => {
  assert.equal(forward('forward Cluster.Local 10.0.0.1').from, 'cluster.local.');
  assert.match(warningsOf('. {\nforward 10.0.0.0/15 10.0.0.1\n}\n')[0], /2 reverse zones, and only 0\.10\.in-addr/u);
});
test('a from that no name of the block is in is warned of', () => {
  assert.match(
    warningsOf('a.test {\nforward b.test 10.0.0.1\n}\n')[0],
    /^2: forward: has no effect: no name of b\.test\. reaches this server block/u,
  );
});

test('a name beside an address is an upstream, with a port or not', () => {
  const { to } = forward('forward . 10.96.0.10 Kube-DNS.kube-system.svc:5353');
  const name = { kind: 'name', name: 'kube-dns.kube-system.svc.', port: 5353, refreshMs: 30_000 };
  assert.deepEqual(to, [endpoint('10.96.0.10'), name]);
});
test('endpoints: a name, its port, and how often', () => {
  const options = 'endpoints pods.kube-system.svc.cluster.local:1053 5s';
  assert.deepEqual(forward(`forward . 10.96.0.10 {\n${options}\n}`).endpoints, {
    name: 'pods.kube-system.svc.cluster.local.',
    port: 1053,
    refreshMs: 5_000,
  });
  assert.equal(forward('forward . 10.96.0.10').endpoints, null);
});
test('tls:// is port 853 over TLS, checked against its address or tls_servername', () => {
  const { to, tls } = forward('forward . tls://9.9.9.9 tls://[fd00::1]:8853 {\ntls\ntls_servername dns.quad9.net\n}');
  assert.deepEqual(to, [
    { kind: 'endpoint', endpoint: { address: '9.9.9.9', port: 853, overTls: true } },
    { kind: 'endpoint', endpoint: { address: 'fd00::1', port: 8853, overTls: true } },
  ]);
  assert.deepEqual(tls, { serverName: 'dns.quad9.net', material: null });
});
test('tls:// takes the name in the certificate behind a %, with a port before or behind it', () => {
  const [quad9, v6] = [
    { address: '9.9.9.9', port: 853, overTls: true, serverName: 'dns.quad9.net' },
    { address: '2620:fe::fe', port: 853, overTls: true, serverName: 'dns.quad9.net' },
  ];
  const linkLocal = { address: 'fe80::1%eth0', port: 853, overTls: true };
  for (const [text, endpoint] of [
    ['9.9.9.9%dns.quad9.net', quad9],
    ['9.9.9.9%DNS.quad9.net.', quad9],
    ['9.9.9.9%dns.quad9.net:8853', { ...quad9, port: 8853 }],
    ['9.9.9.9:8853%dns.quad9.net', { ...quad9, port: 8853 }],
    ['2620:fe::fe%dns.quad9.net', v6],
    ['2620:fe::fe%dns.quad9.net:8853', { ...v6, port: 8853 }],
    ['[2620:fe::fe%dns.quad9.net]', v6],
    ['[2620:fe::fe]%dns.quad9.net', v6],
    ['[2620:fe::fe%dns.quad9.net]:8853', { ...v6, port: 8853 }],
    ['[2620:fe::fe]:8853%dns.quad9.net', { ...v6, port: 8853 }],
    ['fe80::1%eth0', linkLocal],
    ['[fe80::1%eth0]:8853', { ...linkLocal, port: 8853 }],
    ['fe80::1%eth0%dns.quad9.net', { ...linkLocal, serverName: 'dns.quad9.net' }],
    ['[fe80::1%eth0%dns.quad9.net]:8853', { ...linkLocal, port: 8853, serverName: 'dns.quad9.net' }],
  ] as const) {
    assert.deepEqual(forward(`forward . tls://${text}`).to, [{ kind: 'endpoint', endpoint }], text);
  }
  const { to } = forward('forward . fe80::1%eth0');
  assert.deepEqual(
    to,
    [{ kind: 'endpoint', endpoint: { address: 'fe80::1%eth0', port: 53 } }],
    'plain DNS has no name',
  );
  for (const text of [
    '9.9.9.9%',
    '%dns.quad9.net',
    'dns.quad9.net%9.9.9.9',
    '9.9.9.9%a%b',
    '9.9.9.9%a:b',
    '9.9.9.9%a:99999',
  ]) {
    assert.throws(() => forward(`forward . tls://${text}`), /tls_servername or after a %/u, text);
  }
});

describe('tls', { skip: needs('openssl') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-pem-'));
  const files: Record<string, string> = {};
  const corefile = (words: string) => `. {\nforward . tls://10.0.0.1 {\ntls ${words}\n}\n}\n`;
  const tlsOf = (words: string) => configOf(corefile(words), files).blocks[0].forwards[0].tls;

  before(() => {
    const authority = newAuthority(folder, 'ca');
    const [one, other] = [authority.issue('one.test'), authority.issue('other.test')];
    const [ca, cert, key, otherCert, otherKey] = textsOf(
      ...[authority.certificate, one.certificate, one.key, other.certificate, other.key],
    );
    const weak = join(folder, 'weak');
    openssl('req', '-x509', '-newkey', 'rsa:512', '-nodes', '-subj', '/CN=w', '-keyout', `${weak}.key`, '-out', weak);
    const [weakCert, weakKey] = textsOf(weak, `${weak}.key`);
    const locked = openssl('ec', '-in', one.key, '-aes128', '-passout', 'pass:secret');
    Object.assign(files, {
      ...{ '/ca': ca, '/cert': cert, '/key': key, '/other.key': otherKey, '/weak': weakCert, '/weak.key': weakKey },
      ...{ '/bundle': `# two\n${ca}\n${otherCert}`, '/chain': cert + ca, '/locked.key': locked },
      ...{ '/empty': '', '/half': ca.slice(0, ca.length / 2), '/half.key': key.slice(0, key.length / 2) },
      ...{
        '/second-half': ca + otherCert.slice(0, 200),
        '/broken': ca.replace(/^MII.{12}/mu, (x) => 'A'.repeat(x.length)),
      },
    });
  });
  after(() => rmSync(folder, { recursive: true }));

  it('is nothing, a CA, certificate and key, or all three; chains and bundles too', () => {
    assert.deepEqual(tlsOf(''), { serverName: null, material: null });
    const all = ['/ca', '/bundle', '/cert /key', '/chain /key', '/chain /key /ca'];
    const digests = all.map((words) => tlsOf(words).material?.digest);
    assert.ok(digests.every((digest) => digest !== undefined));
    assert.equal(new Set(digests).size, all.length);
    assert.deepEqual(
      all.map((words) => tlsOf(words).material?.digest),
      digests,
    );
  });

  it('leaves nothing of what it has read behind, also where it is refused', () => {
    const read: Buffer[] = [];
    const { files: inMemory, ...options } = testOptions(files);
    const readBytes = (file: string): Buffer => {
      const bytes = inMemory.readBytes(file);
      read.push(bytes);
      return bytes;
    };
    const parse = (words: string) =>
      parseConfig(corefile(words), 'Corefile', { ...options, files: { ...inMemory, readBytes } });
    assert.doesNotMatch(JSON.stringify(parse('/cert /key /ca')), /-----/u);
    for (const words of ['/cert /other.key', '/key /gone', '/cert /locked.key']) assert.throws(() => parse(words));
    assert.equal(read.length, 8);
    assert.ok(read.every((bytes) => bytes.length > 0 && bytes.every((byte) => byte === 0)));
  });

  it('has its files looked at as the Corefile is', () => {
    assert.deepEqual(configOf(corefile('/cert /key /ca'), files).files, ['/cert', '/key', '/ca']);
  });

  const refused: Record<string, RegExp> = {
    '/gone': /^\/gone cannot be read \(no such file: \/gone\); name a PEM file that this user can read\.$/u,
    '/empty': /^\/empty has no certificate; name a PEM file with one/u,
    '/key': /^\/key has no certificate;/u,
    '/half': /^\/half is truncated within a certificate; write the whole file\.$/u,
    '/second-half': /^\/second-half is truncated within a certificate;/u,
    '/broken': /^certificate 1 in \/broken is broken; replace the file\.$/u,
    '/cert /other.key': /^the key in \/other\.key does not match the first certificate in \/cert; name a/u,
    '/chain /ca': /^\/ca has no complete private key;/u,
    '/cert /half.key /ca': /^\/half\.key has no complete private key;/u,
    '/cert /locked.key': /^\/locked\.key has a key with a passphrase;/u,
    '/weak /weak.key': /^these files are not usable for TLS \(.*key too small\)\.$/u,
    '/cert /key /ca /ca': /^expects \[CERT KEY\] \[CA\]; remove "\/ca"/u,
  };
  for (const [words, sentence] of Object.entries(refused)) {
    it(`refuses ${words}, with its line`, () => {
      assert.throws(
        () => tlsOf(words),
        (error) => {
          assert.ok(error instanceof ConfigError, String(error));
          assert.equal(error.at.line, 3);
          assert.match(error.sentence.replace('forward tls: ', ''), sentence);
          return true;
        },
      );
    });
  }

  it('has every file that is wrong found, by check too; and a refused one is looked at, since it may yet come', () => {
    const options = testOptions({ ...files, '/a': corefile('/gone /nokey /half') });
    const [{ findings }] = check(['/a'], options, serveOptions(readFlags([]), {}));
    assert.deepEqual(
      findings.map(({ severity, code, line, message }) => `${line} ${severity} ${code}: ${message}`),
      [
        '3 error forward: forward tls: /gone cannot be read (no such file: /gone)',
        '3 error forward: forward tls: /nokey cannot be read (no such file: /nokey)',
      ],
    );
    assert.throws(
      () => configOf(corefile('/gone'), files),
      (error) => error instanceof ConfigError && error.files.includes('/gone'),
    );
  });
});
