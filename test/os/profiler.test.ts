import assert from 'node:assert/strict';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { systemProfiler } from '../../src/os/profiler.js';

interface Profile {
  readonly nodes: readonly { readonly callFrame: { readonly functionName: string } }[];
  readonly samples: readonly number[];
  readonly startTime: number;
  readonly endTime: number;
}

const functionsIn = ({ nodes }: Profile): string[] => nodes.map(({ callFrame }) => callFrame.functionName);

const program = '/busy-thread.js';
const started: Worker[] = [];

async function startBusy(): Promise<Worker> {
  const worker = new Worker(new URL(`.${program}`, import.meta.url));
  started.push(worker);
  await once(worker, 'online');
  return worker;
}

describe('systemProfiler', { timeout: 20_000 }, () => {
  afterEach(async () => {
    for (const worker of started.splice(0)) await worker.terminate();
  });

  it('records what this thread does', async () => {
    const recording = await systemProfiler('/none.js').record(0);
    const spinHere = (): number => {
      let sum = 0;
      for (let index = 0; index < 5e6; index++) sum += Math.sqrt(index);
      return sum;
    };
    const startedMs = performance.now();
    while (performance.now() - startedMs < 50) spinHere();
    const profile: Profile = JSON.parse(await recording!.finish());
    assert.ok(functionsIn(profile).includes('spinHere'));
    assert.ok(profile.endTime - profile.startTime >= 50_000, 'microseconds');
  });

  it('records a thread that never comes to its event loop', async () => {
    await startBusy();
    const recording = await systemProfiler(program).record(1);
    await pause(60);
    const profile: Profile = JSON.parse(await recording!.finish());
    assert.ok(functionsIn(profile).includes('spinOnAndOn'));
  });

  it('says that a thread has ended', async () => {
    const worker = await startBusy();
    const recording = await systemProfiler(program).record(1);
    await worker.terminate();
    await assert.rejects(recording!.finish(), /the thread has ended/);
  });

  it('knows only threads that there are', async () => {
    await startBusy();
    assert.equal(await systemProfiler(program).record(2), null);
    assert.equal(await systemProfiler('/process/worker.js').record(1), null);
  });

  it('takes the heap', async () => {
    const { snapshot, nodes } = JSON.parse((await buffer(await systemProfiler('').heapSnapshot())).toString());
    assert.equal(nodes.length, snapshot.node_count * snapshot.meta.node_fields.length);
  });
});
