import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isInNetwork, readNetwork } from '../../src/config/networks.js';
import { addressBytes } from '../../src/os/addresses.js';

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
