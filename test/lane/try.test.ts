/** `-kernellane=try`, and every reason why not. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tryLane } from '../../src/lane/try.js';
import type { SystemCalls } from '../../src/os/system-calls.js';
import { calls, descriptors, skip } from '../os/loopback-sockets.js';
import { laneIsMissing } from './possible.js';

const clock = (): number => 0;

/** What is said where bpf(2) fails from its call number `from` on. */
function refusedFrom(from: number, errno: number): string {
  let made = 0;
  const broken: SystemCalls['bpf'] = (command, attributes) => (made++ >= from ? errno : calls.bpf(command, attributes));
  const { isPossible, sentence } = tryLane({ calls: { ...calls, bpf: broken } }, '6.1.0', clock);
  assert.equal(isPossible, false);
  return sentence;
}

test('without system calls of our own the reason is theirs', () => {
  const trial = tryLane({ calls: null, why: 'darwin has no recvmmsg' }, '24', clock);
  assert.deepEqual(trial, {
    isPossible: false,
    sentence: 'The kernel lane is not possible here: darwin has no recvmmsg.',
  });
});

test('each refusal is one sentence that says what it takes', { skip }, () => {
  assert.equal(
    refusedFrom(0, -1),
    'The kernel lane is not possible here: bpf(2) is refused (EPERM); it takes the capability BPF, and a seccomp profile that allows it.',
  );
  assert.equal(refusedFrom(0, -38), 'The kernel lane is not possible here: this kernel has no bpf(2).');
  assert.equal(refusedFrom(0, -12), 'The kernel lane is not possible here: the kernel refuses the map (ENOMEM).');
});

describe('with the powers for it', { skip: laneIsMissing }, () => {
  test('the program answers, and nothing is left', () => {
    const idle = descriptors();
    const { isPossible, sentence } = tryLane({ calls }, '6.18.0', clock);
    assert.match(
      sentence,
      /^The kernel lane is possible here: Linux 6\.18\.0, \d+ instructions in three programs, loaded in 0 ms, \d+ ns an answer\.$/,
    );
    assert.equal(isPossible, true);
    assert.equal(descriptors(), idle);
  });

  test('a program that is refused, a kernel without tcx, and a wrong answer', () => {
    const idle = descriptors();
    assert.match(
      refusedFrom(7, -1),
      /the program is refused \(EPERM\); it takes the capabilities BPF and NET_ADMIN\.$/,
    );
    assert.match(refusedFrom(10, -22), /Linux 6\.1\.0 has no tcx links \(EINVAL\); it takes Linux 6\.6 or later\.$/);
    assert.match(refusedFrom(11, -1), /does not answer as it should; please report this\.$/);
    assert.equal(descriptors(), idle);
  });

  test('the command prints the sentence, and its status says it too', () => {
    const entry = fileURLToPath(new URL('../../src/main.js', import.meta.url));
    const { stdout, stderr, status } = spawnSync(process.execPath, [entry, '-kernellane=try'], { encoding: 'utf8' });
    assert.match(stdout, /^The kernel lane is possible here: .*\.\n$/);
    assert.deepEqual([stderr, status], ['', 0]);
    const wrong = spawnSync(process.execPath, [entry, '-kernellane=on'], { encoding: 'utf8' });
    assert.equal(wrong.stderr, 'zerohop: -kernellane "on" is unknown; write off or try.\n');
    assert.equal(wrong.status, 2);
  });
});
