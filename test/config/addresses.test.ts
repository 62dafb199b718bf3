import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import {
  addressesOverlap,
  canonicalAddress,
  formatEndpoint,
  isInNetwork,
  meantEndpoint,
  portNumber,
  readEndpoint,
  readNetwork,
  splitHostPort,
} from '../../src/config/addresses.js';
import { addressBytes } from '../../src/os/addresses.js';

test('addresses have one spelling', () => {
  assert.equal(canonicalAddress('10.0.0.1'), '10.0.0.1');
  assert.equal(canonicalAddress('FD00:0:0::0001'), 'fd00::1');
  assert.equal(canonicalAddress('fe80::1%eth0'), 'fe80::1%eth0');
  for (const text of ['', 'localhost', '10.0.0', '10.0.0.256', '[::1]', '::1::']) {
    assert.equal(canonicalAddress(text), undefined, text);
  }
});
test('host and port part at the last colon outside brackets', () => {
  assert.deepEqual(splitHostPort('10.0.0.1:53'), { host: '10.0.0.1', port: '53' });
  assert.deepEqual(splitHostPort('[::1]:53'), { host: '::1', port: '53' });
  assert.deepEqual(splitHostPort(':53'), { host: '', port: '53' });
  for (const text of ['10.0.0.1', '::1', '[::1]', 'a:b:c']) assert.equal(splitHostPort(text), undefined, text);
});
test('ports are numbers from the least to 65535', () => {
  assert.equal(portNumber('53', 1), 53);
  assert.equal(portNumber('0', 0), 0);
  for (const text of ['0', '65536', '-1', '5e1', '', '053535']) assert.equal(portNumber(text, 1), undefined, text);
});
test('endpoints with and without port', () => {
  assert.deepEqual(readEndpoint('10.0.0.1', 53), { address: '10.0.0.1', port: 53 });
  assert.deepEqual(readEndpoint('10.0.0.1:5353', 53), { address: '10.0.0.1', port: 5353 });
  assert.deepEqual(readEndpoint('fd00::1', 53), { address: 'fd00::1', port: 53 });
  assert.deepEqual(readEndpoint('[fd00::1]', 53), { address: 'fd00::1', port: 53 });
  assert.deepEqual(readEndpoint('[fe80::1%eth0]:5353', 53), { address: 'fe80::1%eth0', port: 5353 });
  for (const text of ['', ':53', 'a:53', '10.0.0.1:', '10.0.0.1:0', '10.0.0.1:99999']) {
    assert.equal(readEndpoint(text, 53), undefined, text);
  }
});
test('what lacks brackets or a port is understood, to say how it is written', () => {
  for (const [text, meant] of [
    ['fd00::10:9254', '[fd00::10]:9254'],
    ['::1:8080', '[::1]:8080'],
    ['fe80::1%eth0:8080', '[fe80::1%eth0]:8080'],
    ['fd00:1:2:3:4:5:6:7:8080', '[fd00:1:2:3:4:5:6:7]:8080'],
    ['::1', '[::1]:53'],
    ['fd00::ab', '[fd00::ab]:53'],
    ['[::1]', '[::1]:53'],
    ['10.0.0.1', '10.0.0.1:53'],
    ['10.0.0.1:5353', '10.0.0.1:5353'],
  ]) {
    const endpoint = meantEndpoint(text, 53);
    assert.equal(endpoint && formatEndpoint(endpoint), meant, text);
  }
  for (const text of ['', '8080', ':8080', 'kube-dns', '10.0.0.1:a', '::1:99999', '1::2::3:53']) {
    assert.equal(meantEndpoint(text, 53), undefined, text);
  }
});
test('endpoints are written so that they can be read', () => {
  assert.equal(formatEndpoint({ address: '10.0.0.1', port: 53 }), '10.0.0.1:53');
  assert.equal(formatEndpoint({ address: '::', port: 9253 }), '[::]:9253');
});
test('addresses overlap when equal or when one means all of a family', () => {
  assert.ok(addressesOverlap('10.0.0.1', '10.0.0.1'));
  assert.ok(addressesOverlap('::', '10.0.0.1'));
  assert.ok(addressesOverlap('fd00::1', '::'));
  assert.ok(addressesOverlap('0.0.0.0', '10.0.0.1'));
  assert.ok(!addressesOverlap('0.0.0.0', 'fd00::1'));
  assert.ok(!addressesOverlap('10.0.0.1', '10.0.0.2'));
});

const isIn = (address: string, network: string) => isInNetwork(addressBytes(address), readNetwork(network)!);

describe('networks', () => {
  it('hold the addresses that begin as they do', () => {
    assert.ok(isIn('10.1.2.3', '10.0.0.0/8'));
    assert.ok(isIn('10.1.2.3', '10.1.2.3'));
    assert.ok(isIn('172.31.255.255', '172.16.0.0/12'));
    assert.ok(!isIn('172.32.0.0', '172.16.0.0/12'));
    assert.ok(isIn('fd00::1:2', 'fd00::/8'));
    assert.ok(!isIn('fe80::1', 'fd00::/8'));
    assert.ok(isIn('2001:db8::ffff', '2001:db8::ff00/120'));
    assert.ok(isIn('10.1.2.3', '10.1.255.255/16'), 'bits behind the prefix do not matter');
    assert.ok(isIn('1.2.3.4', '0.0.0.0/0'));
    assert.ok(!isIn('::1', '0.0.0.0/0'), 'another family');
  });

  it('are nothing else', () => {
    for (const text of [
      '',
      '*',
      'a',
      '10.0.0.0/33',
      'fd00::/129',
      '10.0.0/8',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      'fe80::1%1',
    ]) {
      assert.equal(readNetwork(text), undefined, text);
    }
  });

  it('agree with arithmetic', () => {
    const number = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const dotted = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
    fc.assert(
      fc.property(number, number, fc.integer({ min: 0, max: 32 }), fc.boolean(), (one, other, bits, near) => {
        const address = near ? (one ^ (bits === 0 ? other : other >>> (bits - 1))) >>> 0 : other;
        const size = 2 ** (32 - bits);
        const expected = Math.floor(one / size) === Math.floor(address / size);
        assert.equal(isIn(dotted(address), `${dotted(one)}/${bits}`), expected);
      }),
    );
  });
});
