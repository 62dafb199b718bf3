/** `-kernellane=try`, and every reason why not. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { tryLane } from '../../src/lane/try.js';
import type { SystemCalls } from '../../src/os/system-calls.js';
import { builtEntry } from '../corpus/repository.js';
import { calls, descriptors, skip } from '../os/loopback-sockets.js';
import { laneIsMissing } from './possible.js';

const clock = (): number => 0;

/** What is said where bpf(2) fails from its call number `from` on. */
async function refusedFrom(from: number, errno: number): Promise<string> {
  let made = 0;
  const broken: SystemCalls['bpf'] = (command, attributes) => (made++ >= from ? errno : calls.bpf(command, attributes));
  const { isPossible, sentence } = await tryLane(
    { calls: { ...calls, bpf: broken, bpfLater: async (command, attributes) => broken(command, attributes) } },
    '6.1.0',
    clock,
  );
  assert.equal(isPossible, false);
  return sentence;
}

test('without system calls of our own the reason is theirs', async () => {
  const trial = await tryLane({ calls: null, why: 'darwin has no recvmmsg' }, '24', clock);
  assert.deepEqual(trial, {
    isPossible: false,
    sentence: 'The kernel lane is not possible here: darwin has no recvmmsg.',
  });
});

test('each refusal is one sentence that says what it takes', { skip }, async () => {
  assert.equal(
    await refusedFrom(0, -1),
    'The kernel lane is not possible here: bpf(2) is refused (EPERM); it takes the capability BPF, and a seccomp profile that allows it.',
  );
  assert.equal(await refusedFrom(0, -38), 'The kernel lane is not possible here: this kernel has no bpf(2).');
  assert.equal(await refusedFrom(0, -12), 'The kernel lane is not possible here: the kernel refuses the map (ENOMEM).');
});

describe('with the powers for it', { skip: laneIsMissing }, () => {
  test('the program answers, and nothing is left', async () => {
    const idle = descriptors();
    const { isPossible, sentence } = await tryLane({ calls }, '6.18.0', clock);
    assert.match(
      sentence,
      /^The kernel lane is possible here: Linux 6\.18\.0, \d+ instructions in three programs, loaded in 0 ms, \d+ ns an answer\.$/,
    );
    assert.equal(isPossible, true);
    assert.equal(descriptors(), idle);
  });

  test('a program that is refused, a kernel without tcx, and a wrong answer', async () => {
    const idle = descriptors();
    assert.match(
      await refusedFrom(8, -1),
      /the program is refused \(EPERM\); it takes the capabilities BPF and NET_ADMIN\.$/,
    );
    assert.match(
      await refusedFrom(11, -22),
      /Linux 6\.1\.0 has no tcx links \(EINVAL\); it takes Linux 6\.6 or later\.$/,
    );
    assert.match(await refusedFrom(12, -1), /does not answer as it should; please report this\.$/);
    assert.equal(descriptors(), idle);
  });

  test('the command prints the sentence, and its status says it too', async () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [builtEntry, '-kernellane=try'], {
      encoding: 'utf8',
    });
    assert.match(stdout, /^The kernel lane is possible here: .*\.\n$/);
    assert.deepEqual([stderr, status], ['', 0]);
    const wrong = spawnSync(process.execPath, [builtEntry, '-kernellane=maybe'], { encoding: 'utf8' });
    assert.equal(wrong.stderr, 'zerohop: -kernellane "maybe" is unknown; write off, on, beside, try or remove.\n');
    assert.equal(wrong.status, 2);
  });
});
