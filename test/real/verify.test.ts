/**
 * deploy/verify: the Job is as the schemas say, and its script tells a pod behind zerohop from one that is not; and the
 * script of the chart's test that runs the doctor.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { repositoryPath } from '../corpus/repository.js';
import { cannotRender, kustomize, ofKind, unknownFields, validate } from '../deploy/kubernetes.js';
import { start } from './commands.js';
import { type LoopbackZerohop, question, startOnLoopback } from './loopback.js';
import { freePort } from './packets.js';

const skip = cannotRender;
const script = repositoryPath('deploy', 'verify', 'verify.mjs');
let zerohop: LoopbackZerohop;
let metricsPort: number;

before(async () => {
  metricsPort = await freePort();
  const one =
    'template IN A kubernetes.default.svc.cluster.local {\n        answer "{{ .Name }} 5 IN A 10.96.0.1"\n    }';
  zerohop = await startOnLoopback(`${one}\n    prometheus 127.0.0.1:${metricsPort}`, question(1, 'first', 1));
});
after(() => zerohop.stop());

function verify(servers: string, port: number) {
  const environment = { HOST_IP: '127.0.0.1', METRICS_PORT: String(port), SERVERS: servers, PATIENCE_MS: '0' };
  return start([process.execPath, script], environment).finished;
}

test('the Job runs an ordinary pod with the script, in kube-system', { skip }, () => {
  const objects = kustomize(repositoryPath('deploy', 'verify'));
  validate(objects);
  assert.equal(unknownFields(objects), '');
  assert.deepEqual(Object.keys(ofKind(objects, 'ConfigMap').data ?? {}), ['verify.mjs']);
  const { template } = ofKind(objects, 'Job').spec as { template: { spec: Record<string, unknown> } };
  assert.deepEqual([template.spec['hostNetwork'], template.spec['dnsPolicy']], [undefined, 'ClusterFirst']);
});

test('a pod whose queries zerohop answers is told so', async () => {
  const { status, stdout } = await verify(`127.0.0.1:${zerohop.place.port}`, metricsPort);
  assert.match(stdout, /^ok: .* 20 of 20 queries of this pod; kubernetes\.default\.svc\.\S+ is 10\.96\.0\.1$/m);
  assert.equal(status, 0);
});

test('a pod that asks another server is told which', async () => {
  const other = await startOnLoopback('whoami', question(1, 'first', 1));
  try {
    const answers = await verify(`127.0.0.1:${zerohop.place.port}`, other.metrics.port);
    assert.match(
      answers.stdout,
      /FAILED: zerohop on node 127\.0\.0\.1 answered 0 of 20 queries of this pod, which asks/,
    );
    assert.equal(answers.status, 1);
  } finally {
    await other.stop();
  }
});

test('a server or metrics that do not answer are named', async () => {
  const closed = await freePort();
  const silent = await verify(`127.0.0.1:${closed}`, metricsPort);
  assert.match(
    silent.stdout,
    /^FAILED: 127\.0\.0\.1:\d+ gave no address for .* \(ECONNREFUSED\)\. Is a zerohop pod ready/,
  );
  const unmeasured = await verify(`127.0.0.1:${zerohop.place.port}`, closed);
  assert.match(unmeasured.stdout, /FAILED: http:\/\/127\.0\.0\.1:\d+\/metrics does not answer \(ECONNREFUSED\)/);
  assert.deepEqual([silent.status, unmeasured.status], [1, 1]);
});

/** A program that ends with each of these statuses in turn, the last one again and again. */
function doctorEnding(...statuses: number[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-'));
  const program = join(folder, 'program.mjs');
  const text = `import { existsSync, writeFileSync } from 'node:fs';
const statuses = ${JSON.stringify(statuses)};
const path = ${JSON.stringify(join(folder, 'ran-'))};
let ran = 0;
while (existsSync(path + ran)) ran++;
writeFileSync(path + ran, '');
const status = statuses[Math.min(ran, statuses.length - 1)];
console.log(process.argv[2] + ' ends with ' + status);
process.exit(status);
`;
  writeFileSync(program, text);
  return program;
}

function doctor(program: string, patienceMs: number) {
  const environment = { ZEROHOP: program, PATIENCE_MS: String(patienceMs) };
  return start([process.execPath, repositoryPath('deploy', 'verify', 'doctor.mjs')], environment).finished;
}

test('the doctor of the chart: warnings pass, and the report is printed once', async () => {
  for (const [statuses, patienceMs, expected, printed] of [
    [[0], 0, 0, 'doctor ends with 0\n'],
    [[1], 0, 0, 'doctor ends with 1\n'],
    [[2], 0, 1, 'doctor ends with 2\n'],
    [[2, 0], 60_000, 0, 'doctor ends with 0\n'],
  ] as const) {
    const { status, stdout } = await doctor(doctorEnding(...statuses), patienceMs);
    assert.deepEqual([status, stdout], [expected, printed]);
  }
});
