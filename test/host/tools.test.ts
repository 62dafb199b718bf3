import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureText, HostError, mustRun, runTool } from '../../src/host/tools.js';
import { commandOutputBytesMax, commandTimeoutMs } from '../../src/limits.js';
import type { Command } from '../../src/os/commands.js';
import { failed, worked } from './fake-node.js';

const call = { program: 'nft', parameters: ['list', 'tables'] };

test('every program gets our bounds', async () => {
  const seen: Command[] = [];
  const run = async (command: Command) => {
    seen.push(command);
    return worked('x');
  };
  const end = await runTool(run, { ...call, input: 'in' });
  assert.deepEqual(end, worked('x'));
  assert.deepEqual(seen, [
    { ...call, input: 'in', timeoutMs: commandTimeoutMs, outputBytesMax: commandOutputBytesMax },
  ]);
});

test('one that must succeed gives its output, or an error of the type that it counts as', async () => {
  assert.equal(await mustRun(async () => worked('out'), 'iptables', call), 'out');
  for (const end of [failed(1, 'no\n'), { ran: false, why: 'late', text: 'nft did not end' } as const]) {
    await assert.rejects(
      mustRun(async () => end, 'interface_add', call),
      (error: HostError) => error instanceof HostError && error.errortype === 'interface_add',
    );
  }
});

test('a failure is one line that says what was run and what it said', () => {
  assert.equal(failureText(call, failed(1, '')), 'nft list tables exited with 1');
  const said = '# Warning: iptables-legacy tables present\n\nError: one\n  two\nthree\n';
  assert.equal(failureText(call, failed(2, said)), 'nft list tables exited with 2: Error: one   two');
  assert.equal(failureText(call, { ran: false, why: 'missing', text: 'nft is not installed' }), 'nft is not installed');
});
