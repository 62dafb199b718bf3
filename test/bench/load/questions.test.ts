import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { firstQuestion, type QuestionFiles, writeQuestions, zone, zoneFile } from '../../../bench/load/questions.js';

const owners = new Set(
  zoneFile()
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ')[0])
    .filter((owner) => owner !== '@')
    .map((owner) => `${owner}.${zone}`),
);

async function withFiles(use: (files: QuestionFiles) => void): Promise<void> {
  await inTemporaryFolder('zerohop-test-', async (folder) =>
    use(writeQuestions(folder, { warmUp: 0.01, measured: 0.02 })),
  );
}

/** Name and type of each line. */
function questionsIn(path: string): [string, string][] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => line.split(' ') as [string, string]);
}

test('what is to be answered is in the zone, what is not is not', async () => {
  await withFiles(({ positive, negative, aaaa }) => {
    const asked = questionsIn(positive.measured);
    assert.ok(asked.length >= 1000 && asked.every(([name, type]) => owners.has(name) && type === 'A'));
    assert.equal(new Set(asked.map(([name]) => name)).size, asked.length);
    assert.ok(questionsIn(aaaa.measured).every(([name, type]) => owners.has(name) && type === 'AAAA'));
    const denied = questionsIn(negative.measured).map(([name]) => name);
    assert.ok(denied.every((name) => name.endsWith(`.${zone}`) && !owners.has(name)));
    assert.equal(positive.warmUp, positive.measured);
  });
  assert.ok(owners.has(firstQuestion));
});

test('no distinct name is asked twice, not even to warm up', async () => {
  await withFiles(({ distinct }) => {
    const names = [...questionsIn(distinct.warmUp), ...questionsIn(distinct.measured)].map(([name]) => name);
    assert.equal(new Set(names).size, names.length);
    assert.ok(owners.has(`*.pod.${zone}`));
    assert.ok(names.every((name) => name.endsWith(`.pod.${zone}`) && name.split('.').length === 4));
  });
});
