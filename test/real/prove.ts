/**
 * `npm run prove`: that no query is lost, at full rate and for long, with figures; too long for every test run. Each
 * part prints a row of a table: what was done, what was sent, what was lost. Names of parts as arguments run only
 * those; a number is the rate of cached names a second, 20,000 if none is given, to which a fortieth of new ones is
 * added; `across` first puts server and clients into two network namespaces with a veth between them (root).
 */
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually, output, start } from './commands.js';
import { question } from './loopback.js';
import { openTcp } from './packets.js';
import { throwInControlLane, throwInThreads } from './planted.js';
import { anonymousBytes, hotNames, type Instance, type LoadReport, newSpot, type Spot } from './several.js';

/** Names of parts, a rate as a number, `across`. */
const words = process.argv.slice(2);
const wanted = words.filter((word) => word !== 'across' && !/^\d+$/.test(word));
const hitsPerSecond = Number(words.find((word) => /^\d+$/.test(word)) ?? 20_000);
const missesPerSecond = Math.round(hitsPerSecond / 40);

interface Outcome {
  readonly reports: readonly LoadReport[];
  readonly remarks: readonly string[];
}

type Part = (spot: Spot) => Promise<Outcome>;

const parts: Readonly<Record<string, Part>> = {
  upgrades: (spot) => upgrades(spot, 20),
  'upgrades, 3 and 2 threads': (spot) => upgrades(spot, 10, ['-workers', '3'], ['-workers', '2']),
  'the serving one of a pair killed': killed,
  'successors that crash': crashes,
  'workers that die': dyingThreads,
  'main threads that throw': throwing,
  reloads,
  'a lone one killed, with a snapshot': lone,
  'TCP connections held open': heldOpen,
};

/** Warm, with one instance that serves. */
async function first(
  spot: Spot,
  flags: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
): Promise<Instance> {
  const instance = await spot.start(flags, environment);
  await spot.load({ perSecond: 2 * hotNames, seconds: 1, names: 'hits' });
  return instance;
}

/** Datagrams that found a socket's buffer full, in this network namespace: too slow a reader, ours or dnsperf. */
function overflowed(): number {
  const [names, values] = readFileSync('/proc/net/snmp', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Udp:'));
  return Number(values.split(' ')[names.split(' ').indexOf('RcvbufErrors')]);
}

/** Asks all the time while `change` runs, which is told for how long. */
async function meanwhile(spot: Spot, seconds: number, change: () => Promise<void>): Promise<LoadReport[]> {
  const loads = Promise.all([
    spot.load({ perSecond: hitsPerSecond, seconds, names: 'hits' }),
    spot.load({ perSecond: missesPerSecond, seconds, names: 'misses' }),
  ]);
  await pause(1_000);
  await change();
  return loads;
}

async function upgrades(spot: Spot, times: number, ...flags: readonly (readonly string[])[]): Promise<Outcome> {
  let serving = await first(spot, flags[0]);
  const remarks: string[] = [];
  const stops: number[] = [];
  const memory: number[] = [];
  let clean = 0;
  const asked = spot.upstream.asked;
  const reports = await meanwhile(spot, 3 + 2.5 * times, async () => {
    for (let time = 1; time <= times; time++) {
      const next = await spot.start(flags[time % Math.max(1, flags.length)]);
      await pause(300);
      const { status, tookMs } = await serving.stop();
      if (status === 0 && tookMs < 5_000) clean++;
      stops.push(tookMs);
      serving = next;
      await pause(500);
      memory.push(anonymousBytes(serving.program.pid));
    }
  });
  const mebibytes = memory.map((bytes) => Math.round(bytes / 1024 / 1024));
  // Names that live for 30 s are asked for again by and by, cached or not.
  const again = spot.upstream.asked - asked - reports[1].sent;
  remarks.push(`${clean} of ${times} exited with 0 after ${range(stops)} ms`);
  remarks.push(`anonymous memory of the first ${mebibytes[0]}, of the last ${mebibytes.at(-1)} MiB`);
  remarks.push(`${((1 - again / reports[0].sent) * 100).toFixed(2)} % of cached names answered from the cache`);
  return { reports, remarks };
}

async function killed(spot: Spot): Promise<Outcome> {
  let older = await first(spot);
  let serving = await spot.start();
  let kills = 0;
  const reports = await meanwhile(spot, 63, async () => {
    const endsAt = performance.now() + 60_000;
    while (performance.now() < endsAt) {
      await pause(1_400);
      await serving.kill();
      kills++;
      const next = await spot.start();
      serving = next;
    }
  });
  await serving.stop();
  await older.stop();
  older = serving;
  return { reports, remarks: [`${kills} times SIGKILL`] };
}

/** Killed so long after the start of the process, or as soon as it has steered packets to itself. */
const phases: readonly (number | 'steered')[] = [60, 120, 180, 220, 260, 300, 340, 400, 'steered'];

async function crashes(spot: Spot): Promise<Outcome> {
  const serving = await first(spot);
  let tookOver = 0;
  const reports = await meanwhile(spot, 3 + 1.4 * phases.length * 2, async () => {
    for (const phase of [...phases, ...phases]) {
      const next = spot.begin();
      if (phase !== 'steered') await pause(phase);
      else
        await eventually('it has the packets', () => (next.said('this instance receives packets') ? true : undefined));
      if (next.said('this instance receives packets')) tookOver++;
      await next.kill();
      await pause(600);
    }
  });
  await serving.stop();
  const remark = `${2 * phases.length} killed, from 60 ms after their start on, ${tookOver} of them while they served`;
  return { reports, remarks: [remark] };
}

async function dyingThreads(spot: Spot): Promise<Outcome> {
  const serving = await first(spot, [], { NODE_OPTIONS: `--import=${throwInThreads(1_000)}` });
  const reports = await meanwhile(spot, 31, () => pause(30_000).then(() => {}));
  const died = serving.count('a worker exited');
  await serving.stop();
  return { reports, remarks: [`${died} times a thread died`] };
}

async function throwing(spot: Spot): Promise<Outcome> {
  const serving = await first(spot, [], { NODE_OPTIONS: `--import=${throwInControlLane(2_000)}` });
  serving.program.signal('SIGUSR2');
  const reports = await meanwhile(spot, 31, () => pause(30_000).then(() => {}));
  const thrown = serving.count('planted');
  await serving.stop();
  return { reports, remarks: [`${thrown} exceptions`] };
}

async function reloads(spot: Spot): Promise<Outcome> {
  const serving = await first(spot);
  const times = 100;
  const reports = await meanwhile(spot, 32, async () => {
    for (let time = 0; time < times; time++) {
      spot.writeCorefile(`cache ${31 - (time % 2)}`);
      serving.program.signal('SIGHUP');
      await pause(280);
    }
  });
  const done = serving.count('new configuration in force');
  await serving.stop();
  return { reports, remarks: [`${done} of ${times} reloads`] };
}

async function lone(spot: Spot): Promise<Outcome> {
  const file = `${spot.folder}/cache`;
  const flags = ['-cachefile', file];
  const old = await spot.start(flags);
  // Names live for 30 s, and the file is written 30 s after the start.
  await pause(15_000);
  await spot.load({ perSecond: 2 * hotNames, seconds: 1, names: 'hits' });
  await eventually('there is a snapshot', () => (existsSync(file) ? true : undefined), 30_000);
  await old.kill();
  const asked = spot.upstream.asked;
  const startedMs = performance.now();
  const next = await spot.start(flags);
  const startMs = performance.now() - startedMs;
  const report = await spot.load({ perSecond: hotNames, seconds: 1, names: 'hits' });
  const again = spot.upstream.asked - asked;
  await next.stop();
  const remarks = [
    `serving ${Math.round(startMs)} ms after the start of the process`,
    `${((1 - again / report.sent) * 100).toFixed(1)} % of the first second from the cache`,
  ];
  return { reports: [report], remarks };
}

async function heldOpen(spot: Spot): Promise<Outcome> {
  let serving = await first(spot);
  let sent = 0;
  let lost = 0;
  for (let time = 0; time < 10; time++) {
    const clients = await Promise.all(Array.from({ length: 20 }, () => openTcp(spot.place)));
    for (const [id, client] of clients.entries()) client.send(question(id, `held${time}x${id}`, 1));
    const next = await spot.start();
    const stopped = serving.stop();
    for (const [id, client] of clients.entries()) client.send(question(1_000 + id, `late${time}x${id}`, 1));
    for (const [id, client] of clients.entries()) {
      for (const wanted of [id, 1_000 + id]) {
        sent++;
        await client.receive(wanted).catch(() => lost++);
      }
      client.close();
    }
    await stopped;
    serving = next;
  }
  await serving.stop();
  const report = { sent, lost, rcodes: new Map([['NOERROR', sent - lost]]), averageMs: 0, maxMs: 0 };
  return { reports: [report], remarks: ['10 upgrades, 20 connections each, queries before and during'] };
}

function range(numbers: readonly number[]): string {
  return `${Math.round(Math.min(...numbers))} to ${Math.round(Math.max(...numbers))}`;
}

function row(name: string, { reports, remarks }: Outcome): string {
  const sum = (of: (report: LoadReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
  const sent = sum((report) => report.sent);
  const lost = sum((report) => report.lost);
  const failed = sum(({ rcodes }) =>
    [...rcodes].reduce((all, [rcode, count]) => all + (rcode === 'NOERROR' ? 0 : count), 0),
  );
  const longest = Math.round(Math.max(...reports.map(({ maxMs }) => maxMs)));
  const share = ((lost / sent) * 100).toFixed(4);
  return `| ${name} | ${sent.toLocaleString('en')} | ${lost} (${share} %) | ${failed} | ${longest} ms | ${remarks.join('; ')} |`;
}

/** Runs the parts within one namespace, with clients in another. */
async function across(): Promise<number> {
  const [node, pod] = ['node', 'pod'].map((role) => `zerohop-prove-${role}-${process.pid}`);
  try {
    for (const name of [node, pod]) await output(['ip', 'netns', 'add', name]);
    await output(['ip', '-n', node, 'link', 'add', 'toPod', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod]);
    for (const [name, link, address] of [
      [node, 'toPod', '10.244.0.1/24'],
      [pod, 'eth0', '10.244.0.2/24'],
    ]) {
      await output(['ip', '-n', name, 'address', 'add', address, 'dev', link]);
      for (const each of [link, 'lo']) await output(['ip', '-n', name, 'link', 'set', each, 'up']);
    }
    const again = [process.execPath, process.argv[1], ...words.filter((word) => word !== 'across')];
    const inside = start(['ip', 'netns', 'exec', node, ...again], { ZEROHOP_PROVE_POD: pod });
    const { status, stdout, stderr } = await inside.finished;
    process.stdout.write(stdout + stderr);
    return status;
  } finally {
    for (const name of [node, pod]) await output(['ip', 'netns', 'delete', name]).catch(() => {});
  }
}

async function main(): Promise<number> {
  if (words.includes('across')) return across();
  const pod = process.env['ZEROHOP_PROVE_POD'];
  const wish = pod === undefined ? undefined : { address: '10.244.0.1', from: ['nsenter', `--net=/run/netns/${pod}`] };
  process.stdout.write('| what | queries | lost | not NOERROR | longest wait | |\n|---|---|---|---|---|---|\n');
  for (const [name, part] of Object.entries(parts)) {
    if (wanted.length > 0 && !wanted.some((word) => name.startsWith(word))) continue;
    const spot = await newSpot(wish);
    try {
      const before = overflowed();
      const outcome = await part(spot);
      const remarks = [...outcome.remarks, `${overflowed() - before} datagrams found a socket's buffer full`];
      process.stdout.write(`${row(name, { ...outcome, remarks })}\n`);
    } finally {
      await spot.remove();
    }
  }
  return 0;
}

process.exitCode = await main();
