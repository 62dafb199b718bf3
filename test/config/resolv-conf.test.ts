import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseServers, parseResolvConf, parseSearchPath, systemdResolvConf } from '../../src/config/resolv-conf.js';
import { resolvConfServersMax } from '../../src/limits.js';

const addresses = (text: string) => parseResolvConf(text).map(({ address }) => address);

test('name servers in order, on port 53', () => {
  assert.deepEqual(parseResolvConf('nameserver 10.0.0.2\nnameserver 10.0.0.1\n'), [
    { address: '10.0.0.2', port: 53 },
    { address: '10.0.0.1', port: 53 },
  ]);
});
test('comments, other lines, tabs, CRLF, a byte order mark, no last line end', () => {
  const text =
    '\ufeff# nameserver 1.1.1.1\r\n;nameserver 1.1.1.2\r\nsearch a b\r\n nameserver\t10.0.0.1 # x\r\nnameserver 10.0.0.2;x';
  assert.deepEqual(addresses(text), ['10.0.0.1', '10.0.0.2']);
});
test('search domains in order, of several lines the last, without comments', () => {
  assert.deepEqual(parseSearchPath('nameserver 10.0.0.1\nsearch a.test\tB.test  . # c\n'), ['a.test', 'B.test', '.']);
  assert.deepEqual(parseSearchPath('search a\r\ndomain b;c\r\n'), ['b']);
  assert.deepEqual(parseSearchPath('nameserver 10.0.0.1\nsearches a\n search b\n'), []);
});
test('IPv6 with and without scope, in one spelling', () => {
  assert.deepEqual(addresses('nameserver FD00:0::1\nnameserver fe80::1%eth0\n'), ['fd00::1', 'fe80::1%eth0']);
});
test('lines that are not understood are skipped', () => {
  assert.deepEqual(
    addresses('nameserver\nnameserver a.test\nnameserver 10.0.0\nnameservers 10.0.0.1\nnameserver10.0.0.1'),
    [],
  );
});
test('duplicates count once, and there is a bound', () => {
  assert.deepEqual(addresses('nameserver 10.0.0.1\nnameserver 10.0.0.1\n'), ['10.0.0.1']);
  const many = Array.from({ length: 100 }, (_, index) => `nameserver 10.0.0.${index + 1}`).join('\n');
  assert.equal(addresses(many).length, resolvConfServersMax);
});

function choose(
  files: Readonly<Record<string, string>>,
  ownAddresses: readonly string[] = ['169.254.20.10'],
  path = '/etc/resolv.conf',
) {
  const choice = chooseServers({ path, ownAddresses, read: (file) => files[file] });
  return choice.ok ? [choice.path, ...choice.servers.map(({ address }) => address)].join(' ') : choice.why;
}
const stub = 'nameserver 127.0.0.53\n';

test('real servers are taken', () => {
  assert.equal(choose({ '/etc/resolv.conf': 'nameserver 10.0.0.1\n' }), '/etc/resolv.conf 10.0.0.1');
});
test('ourselves and the stub are left out beside real ones', () => {
  const text = `${stub}nameserver 169.254.20.10\nnameserver 10.0.0.1\nnameserver 0.0.0.0\n`;
  assert.equal(choose({ '/etc/resolv.conf': text }), '/etc/resolv.conf 10.0.0.1');
});
test("the stub alone leads to systemd's own list", () => {
  const files = { '/etc/resolv.conf': stub, [systemdResolvConf]: 'nameserver 10.0.0.7\n' };
  assert.equal(choose(files), `${systemdResolvConf} 10.0.0.7`);
});
test('our own address, however it is written, leads there too', () => {
  const files = { '/etc/resolv.conf': 'nameserver FD00::0A\n', [systemdResolvConf]: 'nameserver 10.0.0.7\n' };
  assert.equal(choose(files, ['fd00:0::a']), `${systemdResolvConf} 10.0.0.7`);
});
test('another resolver on loopback is somebody’s choice, unless we listen on all addresses', () => {
  const files = { '/etc/resolv.conf': 'nameserver 127.0.0.1\n' };
  assert.equal(choose(files), '/etc/resolv.conf 127.0.0.1');
  assert.match(choose(files, ['::']), /lists only addresses of this host \(127\.0\.0\.1\)/u);
  assert.equal(choose({ '/etc/resolv.conf': 'nameserver 10.0.0.1\n' }, ['::']), '/etc/resolv.conf 10.0.0.1');
});
test('nothing to ask is said with the reason', () => {
  assert.match(choose({}), /^\/etc\/resolv\.conf: cannot be read/u);
  assert.match(choose({ '/etc/resolv.conf': 'search a\n' }), /: no nameserver line/u);
  assert.match(choose({ '/etc/resolv.conf': stub }), /name real resolvers in the forward directive\.$/u);
  assert.match(choose({ '/etc/resolv.conf': stub, [systemdResolvConf]: stub }), /lists nothing else/u);
  assert.match(
    choose({ [systemdResolvConf]: stub }, [], systemdResolvConf),
    /lists only addresses of this host \(127\.0\.0\.53\)/u,
  );
});
