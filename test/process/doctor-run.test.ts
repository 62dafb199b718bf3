/** The doctor of the serving process: facts for those who ask, and the run once a minute over them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindDenial } from '../../src/cache/blocks.js';
import type { Answering } from '../../src/control/server.js';
import { doctorFirstMs, doctorPeriodMs } from '../../src/limits.js';
import { type DoctorSettings, openDoctor } from '../../src/process/doctor-run.js';
import { Generation } from '../../src/process/generation.js';
import { answerFor } from '../cache/answers.js';
import { configOf } from '../config/options.js';
import { healthyFacts, linksText, listLinks, lookingAt } from '../doctor/outsides.js';
import { newGenerationFixture } from './generation-fixture.js';

const settings: DoctorSettings = {
  flags: healthyFacts.flags,
  hasHandover: true,
  isWatching: true,
  environment: { KUBE_DNS_SERVICE_HOST: '10.96.0.10' },
  networkNamespace: 'net:[1]',
  pid: 17,
};

/** A process that serves on a node whose links are `links`. */
function processOn(links: string, changed: Partial<DoctorSettings> = {}) {
  const { world, clock, lines } = newGenerationFixture();
  const generation = new Generation(
    configOf('cluster.local {\nbind 169.254.20.10\ncache\nforward . 10.96.0.11\n}'),
    world,
  );
  const programs: Record<string, string> = { [listLinks]: links };
  const state = {
    role: 'serving' as 'serving' | 'standing by',
    panics: 0,
    names: [] as { name: string; type: string; count: number }[],
  };
  const doctor = openDoctor(
    { ...settings, ...changed },
    {
      ...lookingAt({ programs }),
      clock,
      log: world.log,
      sockets: { socketsAt: () => [1], ownSockets: () => new Set([1]) },
      version: '0.2.0',
      cache: world.cache,
      pages: () => [world.counters],
      active: () => ({ generation, config: generation.config, isLastRefused: false }),
      watching: () => ({ readiness: { missing: ['upstream'] } as never }),
      instance: () => ({ role: state.role, standBys: 1 }),
      talkers: () => ({ names: state.names, clients: [{ client: '10.244.0.7' }] }) as never,
      panicked: () => void state.panics++,
    },
  );
  /** As if the cluster DNS had answered. */
  const keeps = (name: string, parts: Parameters<typeof answerFor>[1]) => {
    const [{ store }] = generation.blocks;
    const [{ zoneId }] = generation.listeners[0].zones;
    world.cache.keep(store!, answerFor(name, { zoneId, ...parts }), clock.nowMs());
  };
  return { doctor, clock, lines, programs, state, keeps };
}

const well = linksText({ name: 'nodelocaldns', kind: 'dummy', addresses: ['169.254.20.10', '10.96.0.10'] });
const without = linksText({ name: 'nodelocaldns', kind: 'dummy', addresses: ['10.96.0.10'] });
const lineOf = (lines: readonly string[]) => lines.filter((line) => line.includes('doctor'));

test('the facts are those of the parts at the moment of asking', async () => {
  const { doctor, clock } = processOn(well);
  await clock.pass(5_000);
  const { upSeconds, role, clusterDomain, upstreams, notReady, foreignSockets, recent } = doctor.facts();
  assert.deepEqual(
    { upSeconds, role, clusterDomain, notReady, foreignSockets },
    { upSeconds: 5, role: 'serving', clusterDomain: 'cluster.local', notReady: ['upstream'], foreignSockets: 0 },
  );
  assert.deepEqual(
    upstreams.map(({ address }) => address),
    ['10.96.0.11:53'],
  );
  assert.deepEqual([recent.seconds, recent.queries], [5, 0]);
});

test('a frequent name exists if the cache has data for it that has not expired', async () => {
  const { doctor, clock, state, keeps } = processOn(well);
  state.names = ['db.default.svc.cluster.local.', 'none.cluster.local.', 'new.cluster.local.', 'www.example.'].map(
    (name) => ({ name, type: 'A', count: 9 }),
  );
  keeps('db.default.svc.cluster.local', { lifetimeMs: 5_000 });
  keeps('none.cluster.local', { kind: kindDenial, lifetimeMs: 5_000 });
  const exist = () => doctor.facts().topNames.map(({ exists }) => exists);
  assert.deepEqual(exist(), [true, false, false, false]);
  await clock.pass(5_000);
  assert.deepEqual(exist(), [false, false, false, false]);
});

test('the command facts gets them as one item', async () => {
  const { doctor } = processOn(well);
  const said: unknown[] = [];
  const answering = { item: (value: unknown) => said.push(value) > 0, end: () => void said.push('end') };
  await doctor.handlers.facts({}, answering as unknown as Answering);
  assert.deepEqual(said, [doctor.facts(), 'end']);
});

test('a fault of the node is in the log and in the metric until it ends', async () => {
  const { doctor, clock, lines, programs, state } = processOn(without);
  await clock.pass(doctorFirstMs - 1);
  assert.equal(doctor.failed?.get('local-address'), false);
  await clock.pass(20_000);
  assert.equal(doctor.failed?.get('local-address'), true);
  assert.equal(doctor.findings()?.find(({ code }) => code === 'local-address')?.verdict, 'fail');
  assert.deepEqual(lineOf(lines), ['warn: doctor: local-address: 169.254.20.10 is on no link of this node']);
  programs[listLinks] = well;
  await clock.pass(doctorPeriodMs);
  assert.equal(doctor.failed?.get('local-address'), false);
  assert.match(lineOf(lines)[1], /^info: doctor: local-address: over: /);
  assert.equal(state.panics, 0);
});

test('a standby looks at nothing: the serving instance speaks for the node', async () => {
  const { doctor, clock, lines, state } = processOn(without);
  state.role = 'standing by';
  await clock.pass(doctorFirstMs + 2 * doctorPeriodMs);
  assert.equal(doctor.failed?.get('local-address'), false);
  assert.deepEqual(lineOf(lines), []);
});

test('without -doctor nothing runs, and the facts are told all the same', async () => {
  const { doctor, clock, lines } = processOn(without, { isWatching: false });
  await clock.pass(5 * doctorPeriodMs);
  assert.deepEqual([doctor.failed, doctor.findings()], [null, null]);
  assert.deepEqual(lineOf(lines), []);
  assert.equal(doctor.facts().pid, 17);
});

test('after its stop no timer is left', async () => {
  const { doctor, clock } = processOn(well);
  const others = clock.timersSet;
  doctor.stop();
  assert.equal(clock.timersSet, others - 2);
});
