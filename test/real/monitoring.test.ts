/**
 * deploy/monitoring/ with what it is for: a real Prometheus scrapes zerohop while dnsperf asks it, every query of the
 * dashboard gives data, and alerts fire when their fault is made and stop when it is gone. None of it needs former names.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { dashboard, panels } from '../deploy/dashboard/written.js';
import { deployed } from '../deploy/kubernetes.js';
import { eventually, needs, type Running, start } from './commands.js';
import { type LoopbackZerohop, question, startOnLoopback } from './loopback.js';
import { freePort } from './packets.js';
import { hurried, type Job, type Prometheus, type Series, startPrometheus } from './prometheus.js';
import { goodAnswer, type StandIn, startStandIn } from './stand-in.js';
import { ioPath } from './zerohop.js';

const skip = (ioPath !== 'threads' && 'once is enough') || needs('dnsperf', 'prometheus');
/** A hand-made scrape configuration, and that of the Prometheus operator in a central set-up. */
const jobs: readonly Job[] = [
  { name: 'node-local-dns', labels: {} },
  { name: 'kube-system/node-local-dns', labels: { cluster: 'east', node: 'node-a' } },
];
/** "All" of each variable, as Grafana sends it. */
const all = { cluster: '.*', node: '.*', instance: '.*' };
const everyJob = { ...all, job: `(${jobs.map(({ name }) => name).join('|')})` };
const rules = deployed('monitoring', 'rules', 'rules.yaml');
/** The longest range that an alert waits out, half an hour, is half a minute here. */
const alertsMs = 60_000;
/** What comes of an upstream that is gone and of a Corefile that is wrong. */
const expected = [
  'ZerohopErrorBudgetBurnFast',
  'ZerohopErrorBudgetBurnSlow',
  'ZerohopReloadFailed',
  'ZerohopServfail',
  'ZerohopStaleAnswers',
  'ZerohopUpstreamDown',
  'ZerohopUpstreamsAllDown',
];

describe('Prometheus and the dashboard', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-monitoring-'));
  const answer = (query: Buffer): readonly Uint8Array[] => [goodAnswer(query)];
  let upstream: StandIn;
  let zerohop: LoopbackZerohop;
  let prometheus: Prometheus;
  let load: Running;

  before(async () => {
    upstream = await startStandIn(answer);
    const [health, metrics] = [await freePort(), await freePort()];
    const lines = `errors
    acl {
        block type TXT
        filter type MX
        drop type SRV
    }
    hosts {
        192.0.2.1 made.corpus.test
        fallthrough
    }
    template IN A templated.corpus.test {
        answer "{{ .Name }} 60 IN A 192.0.2.7"
    }
    cache {
        success 5000 1
    }
    forward . ${upstream.address}:${upstream.port} {
        force_tcp
    }
    health 127.0.0.1:${health}
    prometheus 127.0.0.1:${metrics}
    reload 2s 1s`;
    const flags = ['-metrics-former-names=false'];
    zerohop = await startOnLoopback(lines, question(1, 'good', 1), {}, [], flags);
    prometheus = await startPrometheus(jobs, zerohop.metrics, hurried(rules));
    const names = join(folder, 'names');
    writeFileSync(names, Array.from({ length: 18_000 }, (_, index) => `${asked(index)}\n`).join(''));
    const { address, port } = zerohop.place;
    load = start(['dnsperf', '-s', address, '-p', String(port), '-d', names, '-Q', '150', '-l', '240', '-c', '4']);
  });
  after(async () => {
    await load?.stop();
    await prometheus?.stop();
    await zerohop?.stop();
    upstream?.close();
    rmSync(folder, { recursive: true });
  });

  test('all that is recorded has a value', async () => {
    const recorded = [...rules.matchAll(/record: (\S+)/g)].map(([, name]) => name);
    assert(recorded.length > 5);
    for (const name of recorded) await hasValue(name);
  });

  test('the variables of the dashboard find cluster, job, node and instance', async () => {
    const found = dashboard.templating.list.filter(({ type }) => type === 'query');
    const values = [];
    for (const { name, definition = '' } of found) {
      const [, metric, label] = /^label_values\((.+), (\w+)\)$/.exec(filled(definition, everyJob)) ?? [];
      values.push([name, await prometheus.labelValues(metric, label)]);
    }
    assert.deepEqual(values, [
      ['cluster', ['east']],
      ['job', jobs.map(({ name }) => name).sort()],
      ['node', ['node-a']],
      ['instance', [`${zerohop.metrics.address}:${zerohop.metrics.port}`]],
    ]);
  });

  for (const { name, labels } of jobs) {
    const choice = { ...all, ...labels, job: name };
    test(`every query of every panel gives data: ${JSON.stringify(choice)}`, async () => {
      for (const { title, targets = [] } of panels) {
        for (const { expr } of targets) await hasValue(filled(expr, choice), `${title}: ${expr}`);
      }
    });
  }

  test('the worst nodes are told apart by the labels that they have', async () => {
    const [{ expr }] = panels.find(({ title }) => title === 'Ten worst nodes')?.targets ?? [];
    const labels = (await prometheus.query(filled(expr, everyJob))).map(({ metric }) => metric['node'] ?? 'none');
    assert.deepEqual(labels.sort(), ['node-a', 'none']);
  });

  test('alerts fire when the upstream is gone and the Corefile is wrong, and stop when both are fixed', async () => {
    await untilNoneFires();
    const right = readFileSync(zerohop.corefile, 'utf8');
    upstream.close();
    writeFileSync(zerohop.corefile, right.replace('errors', 'erors'));
    await untilFiring(expected);
    upstream = await startStandIn(answer, upstream.port);
    writeFileSync(zerohop.corefile, right);
    await untilNoneFires();
  });

  test('alerts fire when the instance is gone', async () => {
    zerohop.program.signal('SIGTERM');
    await untilFiring(['ZerohopAbsent', 'ZerohopDown']);
  });

  async function untilFiring(names: readonly string[]): Promise<void> {
    let firing: readonly string[] = [];
    const fire = async (): Promise<true | undefined> => {
      firing = await prometheus.firing();
      return names.every((name) => firing.includes(name)) ? true : undefined;
    };
    await eventually('alerts', fire, alertsMs).catch(() => assert.fail(`${names} should fire, ${firing} do`));
  }

  async function untilNoneFires(): Promise<void> {
    let firing: readonly string[] = [];
    const quiet = async (): Promise<true | undefined> => {
      firing = await prometheus.firing();
      return firing.length === 0 ? true : undefined;
    };
    await eventually('silence', quiet, alertsMs).catch(() => assert.fail(`${firing} still fire`));
  }

  /** As soon as there are enough scrapes and answers, it is more than nothing and a number. */
  async function hasValue(expression: string, what = expression): Promise<void> {
    let last: readonly Series[] = [];
    const isNumber = ({ value: [, text] }: Series): boolean => !Number.isNaN(Number(text));
    await eventually(what, async () => {
      last = await prometheus.query(expression);
      return last.some(isNumber) ? true : undefined;
    }).catch((error: Error) => assert.fail(`${error.message}: ${JSON.stringify(last)}`));
  }
});

/** Of a hundred questions five are for what is made or refused here, a quarter for new names, the others for three. */
function asked(index: number): string {
  const made = [
    'templated.corpus.test A',
    'made.corpus.test A',
    'x.corpus.test TXT',
    'x.corpus.test MX',
    'x.corpus.test SRV',
  ];
  const [turn, round] = [index % 20, Math.floor(index / 20)];
  if (turn === 0) return made[round % made.length];
  return turn % 4 === 1 ? `once${index}.corpus.test A` : `popular${turn % 4}.corpus.test A`;
}

/** An expression of the dashboard as Grafana sends it with these choices. */
function filled(expression: string, choice: Readonly<Record<string, string>>): string {
  return expression.replace(/\$(\w+)/g, (whole, name) => (name === '__rate_interval' ? '5s' : (choice[name] ?? whole)));
}
