/** The doctor's report as text and as JSON, and what -watch prints of a change. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding, Verdict } from '../../src/doctor/check.js';
import type { DoctorReport } from '../../src/doctor/doctor.js';
import { changesText, doctorJson, doctorText, statesAfter } from '../../src/doctor/report.js';

const plain = { isColored: false };
const dead: Finding = {
  code: 'endpoint-dead',
  verdict: 'fail',
  seen: '10.0.3.201 does not answer over UDP and TCP, and is still in the Service; 1 of 2 endpoints answer',
  meaning: 'The pod hangs, or packets to it are lost. Every client that the Service sends there waits in vain.',
  command: 'kubectl get pods -A -o wide | grep 10.0.3.201',
};
const short = (code: string, verdict: Verdict, seen = 'all is well'): Finding => {
  return { code, verdict, seen, meaning: '', command: null };
};
const reportWith = (...findings: readonly Finding[]): DoctorReport => {
  return { findings, startedAtMs: new Date(2026, 10, 30, 13, 22).getTime(), tookMs: 6_240, questions: 214 };
};

test('for people: the worst first, with what helps; what is well on a line; skipped ones by reason', () => {
  const report = reportWith(
    dead,
    { ...short('lost', 'info', 'lost 3 of 200'), explainedBy: 'endpoint-dead', meaning: 'Why.', command: 'tcpdump' },
    short('internal-name', 'ok', 'kubernetes.default.svc.cluster.local = 10.96.0.1'),
    short('coredns-busy', 'skipped', 'no endpoint publishes it'),
    short('coredns-rbac', 'skipped', 'no endpoint publishes it'),
  );
  assert.equal(
    doctorText(report, plain),
    `FAIL  endpoint-dead: 10.0.3.201 does not answer over UDP and TCP, and is still
      in the Service; 1 of 2 endpoints answer
      The pod hangs, or packets to it are lost. Every client that the Service
      sends there waits in vain.
      kubectl get pods -A -o wide | grep 10.0.3.201

info  lost: lost 3 of 200 (explained by endpoint-dead)

ok    internal-name: kubernetes.default.svc.cluster.local = 10.96.0.1
skip  no endpoint publishes it: coredns-busy, coredns-rbac

1 failure, 0 warnings, 1 ok, 2 skipped; 6.2 s, 214 questions.`,
  );
});

test('no line but that of a command is longer than 80 columns', () => {
  const long = { ...dead, seen: 'a word and another '.repeat(30).trim(), command: null };
  const lines = doctorText(
    reportWith(long, short('x', 'ok', long.seen), short('y', 'skipped', long.seen)),
    plain,
  ).split('\n');
  assert.ok(
    lines.every((line) => line.length <= 80),
    lines.find((line) => line.length > 80),
  );
});

test('a terminal gets colors, and no escape from a name', () => {
  const evil = { ...dead, seen: 'a\x1b[2Jb', command: 'dig \x07' };
  const text = doctorText(reportWith(evil), { isColored: true });
  assert.ok(text.startsWith('\x1b[31mFAIL\x1b[0m  endpoint-dead'));
  assert.ok(!text.includes('\x1b[2J') && !text.includes('\x07'));
  assert.match(text, /a\\u\{1b\}\[2Jb/);
});

test('for programs', () => {
  const json = JSON.parse(doctorJson(reportWith(dead, short('x', 'ok')), { version: '0.2.0', node: 'node-1' }));
  assert.deepEqual(
    { ...json, startedAt: null },
    {
      schema: 1,
      version: '0.2.0',
      node: 'node-1',
      verdict: 'fail',
      startedAt: null,
      tookMs: 6_240,
      questions: 214,
      findings: [
        { ...dead, explainedBy: null },
        { ...short('x', 'ok'), explainedBy: null },
      ],
    },
  );
  assert.match(json.startedAt, /^2026-1\d-\d\dT\d\d:\d\d:00\.000Z$/);
});

test('with -watch: what began, what ended, and since when; what was skipped keeps its state', () => {
  const first = reportWith(dead, short('loop', 'ok'));
  const states = statesAfter(new Map(), first);
  const repaired = reportWith(short('endpoint-dead', 'ok', 'both answer'), short('loop', 'skipped'));
  assert.deepEqual(changesText(states, repaired, plain), ['13:22 ok    endpoint-dead: ok since 13:22: both answer']);
  assert.deepEqual(statesAfter(states, repaired).get('loop')?.verdict, 'ok');
  assert.deepEqual(changesText(states, first, plain), []);
  const [began] = changesText(statesAfter(states, repaired), first, plain);
  assert.match(began, /^13:22 FAIL {2}endpoint-dead: 10\.0\.3\.201/);
});

test('of several findings of one code the worst is its state', () => {
  const states = statesAfter(new Map(), reportWith(dead, short('endpoint-dead', 'ok')));
  assert.equal(states.get('endpoint-dead')?.verdict, 'fail');
});
