import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { Generation } from '../../src/process/generation.js';
import { startTending } from '../../src/process/tending.js';
import { loadOptions } from '../resolve/lane-fixture.js';
import { newGenerationFixture } from './generation-fixture.js';

function tending(corefile: string) {
  const { clock, world, lines } = newGenerationFixture();
  const files = new Map([['/etc/resolv.conf', 'nameserver 192.0.2.1']]);
  const resolvConfs = { read: () => [{ address: (files.get('/etc/resolv.conf') ?? '').split(' ')[1], port: 53 }] };
  const serving = new Generation(parseConfig(corefile, 'Corefile', loadOptions), { ...world, resolvConfs });
  let answers = 0;
  const look = { stat: (path: string) => files.get(path), digest: (path: string) => files.get(path) };
  const start = (upstreamAnswered = (): void => void answers++) => startTending(serving, { look, upstreamAnswered });
  return { clock, serving, files, lines, start, answers: () => answers };
}

const upstreamsOf = ({ blocks }: Generation): string[] =>
  blocks.flatMap(({ forwards }) => forwards.each().map(({ to }) => to));

test('a resolv.conf that changes is the upstreams from then on, until it is stopped', async () => {
  const { clock, serving, files, start } = tending('. {\n forward . /etc/resolv.conf\n}\n');
  const timer = start();
  assert.deepEqual(upstreamsOf(serving), ['192.0.2.1:53']);
  files.set('/etc/resolv.conf', 'nameserver 192.0.2.2');
  await clock.pass(5_000);
  assert.deepEqual(upstreamsOf(serving), ['192.0.2.2:53']);
  timer.stop();
  serving.stop();
  await clock.pass(100);
  assert.equal(clock.timersSet, 0);
});

test('an exception of one block keeps no other from its new upstreams', async () => {
  const { clock, serving, files, start } = tending(
    'a.test b.test {\n forward . /etc/resolv.conf\n}\n. {\n forward . /etc/resolv.conf\n}\n',
  );
  start();
  const { forwards } = serving.blocks[0];
  Object.assign(forwards, {
    resolvConfChanged() {
      throw new Error('planted');
    },
  });
  files.set('/etc/resolv.conf', 'nameserver 192.0.2.2');
  await assert.rejects(clock.pass(5_000), /planted/u);
  assert.deepEqual(upstreamsOf(serving), ['192.0.2.1:53', '192.0.2.2:53']);
});

test('where nobody is asked an upstream is not waited for, and an exception there leaves nothing running', () => {
  const { clock, start, answers } = tending('. {\n template ANY ANY {\n rcode NXDOMAIN\n }\n}\n');
  start();
  assert.equal(answers(), 1);
  const planted = (): never => {
    throw new Error('planted');
  };
  assert.throws(() => start(planted), /planted/u);
  assert.equal(clock.timersSet, 0);
});
