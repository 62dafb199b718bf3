import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags } from '../../src/config/flags.js';

const read = (...argv: string[]) => parseFlags(argv, {});
const wrong = (...argv: string[]): string => {
  const command = read(...argv);
  assert.equal(command.kind, 'usage', argv.join(' '));
  return command.kind === 'usage' ? command.message : '';
};

test('tail takes a filter and a time', () => {
  const options = { controlPath: '/run/zerohop/control.sock', output: 'text' };
  assert.deepEqual(read('tail'), {
    kind: 'tail',
    wishes: { filter: { name: null, client: null, rcode: null, slowMs: 0 }, forMs: null },
    options,
  });
  assert.deepEqual(
    read(
      'tail',
      '-name',
      '*.example.com',
      '-client',
      '10.244.0.0/24',
      '-rcode',
      'nxdomain',
      '-slow',
      '12.5',
      '-for',
      '1m30s',
      '-o',
      'json',
    ),
    {
      kind: 'tail',
      wishes: {
        filter: { name: '*.example.com', client: '10.244.0.0/24', rcode: 'NXDOMAIN', slowMs: 12.5 },
        forMs: 90_000,
      },
      options: { ...options, output: 'json' },
    },
  );
});

test('top is for the screen, or once', () => {
  const options = { controlPath: '/tmp/c.sock', output: 'text' };
  assert.deepEqual(read('top', '-control', '/tmp/c.sock'), { kind: 'top', shows: 'screen', options });
  assert.deepEqual(read('top', '-once', '-control=/tmp/c.sock'), { kind: 'top', shows: 'once', options });
});

test('what cannot be meant is said in one sentence', () => {
  assert.match(
    wrong('tail', '-client', '10.244.0.0/33'),
    /^-client "10\.244\.0\.0\/33" is no address or network; write one such as /,
  );
  assert.match(wrong('tail', '-client', 'pod'), /is no address or network/);
  assert.match(wrong('tail', '-rcode', 'BROKEN'), /^-rcode "BROKEN" is no rcode of an answer's header; /);
  assert.match(wrong('tail', '-rcode', 'BADVERS'), /is no rcode of an answer's header/);
  for (const slow of ['-1', 'fast', '', '1e3', '10000000']) assert.match(wrong('tail', `-slow=${slow}`), /^-slow /);
  for (const time of ['0s', 'soon', '-5s', '25h']) assert.match(wrong('tail', `-for=${time}`), /^-for /);
  assert.match(wrong('tail', '-name', 'x'.repeat(2_000)), /^-name is longer than any domain name/);
  assert.match(wrong('top', '-slow', '5'), /^-slow is only for "zerohop tail"; remove it\.$/);
  assert.match(wrong('tail', 'web.example'), /takes no arguments; remove web\.example\.$/);
});
