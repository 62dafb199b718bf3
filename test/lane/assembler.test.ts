import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Assembler, labelBefore, type Register } from '../../src/lane/assembler.js';

const register = (number: Register) => ({ register: number });

function encoded(write: (text: Assembler<'names' | 'ages'>) => void): string[] {
  const text = new Assembler<'names' | 'ages'>();
  write(text);
  const { instructions } = text.assembled((map) => (map === 'names' ? 7 : 8));
  return (Buffer.from(instructions).toString('hex').match(/.{16}/g) ?? []).slice();
}

test('instructions have the codes of RFC 9669', () => {
  assert.deepEqual(
    encoded((text) => {
      text.do('set', 0, -1);
      text.do('set', 6, register(1));
      text.do('add', 3, 20);
      text.do('subtract', 2, register(3));
      text.do('multiply', 0, register(5));
      text.do('divide', 7, 1_000_000_000);
      text.do('and', 2, 0xffff);
      text.do('or', 2, register(4));
      text.do('xor', 2, register(4));
      text.do('shiftLeft', 3, 32);
      text.do('shiftRight', 3, 29);
      text.do32('subtract', 3, 1);
      text.swap(2, 16);
      text.swap(4, 32);
      text.call(160);
      text.exit();
    }),
    [
      'b7000000ffffffff',
      'bf16000000000000',
      '0703000014000000',
      '1f32000000000000',
      '2f50000000000000',
      '3707000000ca9a3b',
      '57020000ffff0000',
      '4f42000000000000',
      'af42000000000000',
      '6703000020000000',
      '770300001d000000',
      '1703000001000000'.replace('17', '14'),
      'dc02000010000000',
      'dc04000020000000',
      '85000000a0000000',
      '9500000000000000',
    ],
  );
});

test('loads and stores of each width, at offsets on both sides', () => {
  assert.deepEqual(
    encoded((text) => {
      text.load(2, 1, 10, -62);
      text.load(2, 2, 10, -48);
      text.load(2, 4, 6, 16);
      text.load(2, 8, 9, 24);
      text.store(1, 10, -1, 5);
      text.store(2, 10, -2, register(3));
      text.store(4, 10, -4, -0x1_0000);
      text.store(8, 0, 8, register(2));
    }),
    [
      '71a2c2ff00000000',
      '69a2d0ff00000000',
      '6162100000000000',
      '7992180000000000',
      '720affff05000000',
      '6b3afeff00000000',
      '620afcff0000ffff',
      '7b20080000000000',
    ],
  );
});

test('jumps go to their labels, forwards and backwards, over constants of two instructions', () => {
  assert.deepEqual(
    encoded((text) => {
      text.label('again');
      text.constant(5, 0x9e37_79b9_7f4a_7c15n);
      text.if(1, 'notEqual', 0, 'again');
      text.if(2, 'above', register(4), 'end');
      text.map(1, 'ages');
      text.goTo('again');
      text.label('end');
      text.exit();
    }),
    [
      '18050000157c4a7f',
      '00000000b979379e',
      '5501fdff00000000',
      '2d42030000000000',
      '1811000008000000',
      '0000000000000000',
      '0500f9ff00000000',
      '9500000000000000',
    ],
  );
});

test('each condition has its code', () => {
  const codes = encoded((text) => {
    for (const condition of ['equal', 'above', 'notBelow', 'anyBit', 'notEqual', 'below', 'notAbove'] as const)
      text.if(1, condition, 2, 'end');
    text.label('end');
  });
  assert.deepEqual(
    codes.map((code) => code.slice(0, 2)),
    ['15', '25', '35', '45', '55', 'a5', 'b5'],
  );
});

test('a label twice, one that is nowhere, and numbers without room are mistakes of ours', () => {
  assert.throws(
    () =>
      encoded((text) => {
        text.label('here');
        text.label('here');
      }),
    /one place/,
  );
  assert.throws(() => encoded((text) => text.goTo('nowhere')), /label to go to/);
  assert.throws(() => encoded((text) => text.load(1, 8, 10, 40_000)), /16 bits/);
  assert.throws(() => encoded((text) => text.do('set', 1, 2 ** 40)), /32 bits/);
});

test('a number of the verifier is a place behind a label', () => {
  const text = new Assembler<never>();
  text.do('set', 0, 0);
  text.label('first');
  text.do('set', 0, 0);
  text.exit();
  const program = text.assembled(() => 0);
  assert.equal(labelBefore(program, 0), 'instruction 0');
  assert.equal(labelBefore(program, 2), 'first + 1');
});
