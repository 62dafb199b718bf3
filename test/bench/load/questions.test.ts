import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { clusterZone, firstQuestion, zones } from '../../../bench/load/names.js';
import { distinctNames, type QuestionFiles, writeQuestions, zipf } from '../../../bench/load/questions.js';

/** Names with an address; pods have a wildcard. */
const owners = new Set(
  zones().flatMap(({ name, text }) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[0])
      .filter((owner) => owner !== '@')
      .map((owner) => `${owner}.${name}`),
  ),
);

async function withFiles(use: (files: QuestionFiles) => void): Promise<void> {
  await inTemporaryFolder('zerohop-test-', async (folder) => use(writeQuestions(folder)));
}

/** Name and type of each line. */
function questionsIn(path: string): [string, string][] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => line.split(' ') as [string, string]);
}

test('what is to be answered is in the zone, what is not is not', async () => {
  await withFiles(({ repeated: { positive, negative, aaaa } }) => {
    const asked = questionsIn(positive);
    assert.ok(asked.length >= 1000 && asked.every(([name, type]) => owners.has(name) && type === 'A'));
    assert.equal(new Set(asked.map(([name]) => name)).size, asked.length);
    assert.ok(questionsIn(aaaa).every(([name, type]) => owners.has(name) && type === 'AAAA'));
    const denied = questionsIn(negative).map(([name]) => name);
    assert.ok(denied.every((name) => name.endsWith(`.${clusterZone}`) && !owners.has(name)));
    assert.equal(new Set(denied).size, denied.length);
  });
  assert.ok(owners.has(firstQuestion));
});

test('no name of those asked once is asked twice, not even for two purposes', async () => {
  await withFiles(({ once }) => {
    const names = [...questionsIn(once('warm', 600)), ...questionsIn(once('measured', 1200))].map(([name]) => name);
    assert.equal(names.length, 1800);
    assert.equal(once('warm', 600), once('warm', 600));
    assert.equal(new Set(names).size, names.length);
    assert.ok(owners.has(`*.pod.${clusterZone}`));
    assert.ok(names.every((name) => name.endsWith(`.pod.${clusterZone}`) && name.split('.').length === 4));
  });
  assert.equal(new Set([...distinctNames('a', 100), ...distinctNames('b', 100)]).size, 200);
});

test('the mix is warm before it is asked, and fits into every cache', async () => {
  await withFiles(({ mixOnce, repeated: { mix } }) => {
    const filled = readFileSync(mixOnce, 'utf8').trimEnd().split('\n');
    const asked = readFileSync(mix, 'utf8').trimEnd().split('\n');
    assert.ok(filled.length <= 10_000 && new Set(filled).size === filled.length);
    const kept = new Set(filled);
    assert.ok(asked.every((line) => kept.has(line)));
    assert.ok(new Set(asked).size > filled.length / 2);
  });
});

test('a walk asks A and AAAA of every candidate, the outside name after its search path', async () => {
  await withFiles(({ repeated: { walk } }) => {
    const asked = questionsIn(walk);
    assert.deepEqual(
      asked.slice(0, 10).map(([name, type]) => `${name} ${type}`),
      [
        'api-0.example.com.ns-0.svc.cluster.local A',
        'api-0.example.com.ns-0.svc.cluster.local AAAA',
        'api-0.example.com.svc.cluster.local A',
        'api-0.example.com.svc.cluster.local AAAA',
        'api-0.example.com.cluster.local A',
        'api-0.example.com.cluster.local AAAA',
        'api-0.example.com A',
        'api-0.example.com AAAA',
        'svc-0.ns-0.svc.cluster.local A',
        'svc-0.ns-0.svc.cluster.local AAAA',
      ],
    );
    assert.ok(owners.has('api-0.example.com'));
  });
});

test('by Zipf the first comes twice as often as the second, and the same seed gives the same', () => {
  const lines = Array.from({ length: 100 }, (_, index) => `name-${index}`);
  const sequence = zipf(lines, 20_000);
  const times = (line: string): number => sequence.filter((each) => each === line).length;
  assert.ok(Math.abs(times('name-0') / times('name-1') - 2) < 0.2);
  assert.ok(Math.abs(times('name-0') / times('name-9') - 10) < 2.5);
  assert.deepEqual(zipf(lines, 50), sequence.slice(0, 50));
  assert.notDeepEqual(zipf(lines, 50, 2), sequence.slice(0, 50));
});
