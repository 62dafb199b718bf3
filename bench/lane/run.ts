/**
 * The kernel lane beside what answers without it: a pod behind a veth asks for cached names, and all CPU time is counted,
 * the asker's own too, because the lane's work is done in it. Everything runs in namespaces that are gone afterwards.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtEntry, repositoryPath } from '../../test/corpus/repository.js';
import { localAddress, makeNode, type Node } from '../../test/real/cluster-node.js';
import { output, type Running, run, start } from '../../test/real/commands.js';
import type { Place } from '../../test/real/packets.js';
import { inTemporaryFolder } from '../cleanup.js';
import { cpuBetween, cpuOf } from '../load/cpu.js';
import { commandLine, parseDnsperf } from '../load/dnsperf.js';
import { knotConfiguration } from '../load/knot.js';
import { type Percentiles, percentilesOf } from '../load/latency.js';
import { dnsdist, unbound } from '../load/peers.js';
import { writeQuestions } from '../load/questions.js';
import { runRounds } from '../load/rounds.js';
import { type Server, zerohop } from '../load/servers.js';
import { median } from '../load/statistics.js';
import { loadOf, type Rate, rateText } from '../load/workloads.js';

export interface LaneBenchWish {
  readonly rounds: number;
  readonly seconds: number;
  readonly cores: { readonly server: number; readonly load: number };
  readonly programs: Readonly<Record<'dnsperf' | 'knotd' | 'dnsdist' | 'unbound', string>>;
  say(line: string): void;
}

interface LaneSample {
  /** Of server, asker and the kernel's own threads. */
  readonly microsecondsPerAnswer: number;
  readonly serverMicrosecondsPerAnswer: number;
  readonly answersPerSecond: number;
  readonly lost: number;
  readonly percentilesMs: Pick<Percentiles, 'p50' | 'p99'> | null;
}

interface Subject {
  readonly name: string;
  readonly command: (folder: string) => readonly string[];
  /** How long until what is asked is answered as it will be. */
  readonly settleMs: number;
}

interface Site {
  readonly node: Node;
  readonly pod: string;
  readonly link: string;
}

const at: Place = { address: localAddress, port: 53 };
const upstream: Place = { address: '127.0.0.1', port: 5300 };
const slowSecondsMin = 3;

/** dnsperf asks for many at once; `stub` is one question after the other, as a resolver library in a pod does. */
interface LaneLoad {
  readonly asker: 'dnsperf' | 'stub';
  readonly rate: Rate;
}

const rates: readonly Rate[] = ['saturated', 20_000, 1_000];
const loads: readonly LaneLoad[] = (['dnsperf', 'stub'] as const).flatMap((asker) =>
  rates.map((rate) => ({ asker, rate })),
);

function loadText({ asker, rate }: LaneLoad): string {
  return `${asker}, ${rateText(rate)}`;
}

/** The table of all subjects, as text. Needs root, and a kernel that takes the lane. */
export async function laneBench(wish: LaneBenchWish): Promise<string> {
  return inTemporaryFolder('zerohop-lane-', async (folder) => {
    await output(['gcc', '-O2', '-o', stubIn(folder), repositoryPath('bench/lane/asker.c')]);
    const pins = join(folder, 'bpf');
    await output(['mkdir', pins]);
    await output(['mount', '-t', 'bpf', 'bpf', pins]);
    const node = await makeNode();
    const pod = `${node.name}-pod`;
    const undo = async (): Promise<void> => {
      await run(['ip', 'netns', 'delete', pod]);
      node.remove();
      await run(['umount', pins]);
    };
    try {
      await connect(node, pod);
      const knot = start(
        node.command(
          'taskset',
          '-c',
          String(wish.cores.load),
          wish.programs.knotd,
          '-c',
          knotConfiguration(folder, upstream),
        ),
      );
      try {
        return await measureAll(wish, folder, { node, pod, link: 'pod0' });
      } finally {
        await knot.stop();
      }
    } finally {
      await undo();
    }
  });
}

async function connect(node: Node, pod: string): Promise<void> {
  const inPod = (...words: string[]): string[] => ['ip', 'netns', 'exec', pod, ...words];
  await output(['ip', 'netns', 'add', pod]);
  await output(node.command('ip', 'link', 'add', 'pod0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod));
  await output(node.command('ip', 'link', 'set', 'pod0', 'up'));
  await output(node.command('ip', 'address', 'add', '10.244.0.1/24', 'dev', 'pod0'));
  await output(inPod('ip', 'link', 'set', 'eth0', 'up'));
  await output(inPod('ip', 'address', 'add', '10.244.0.7/24', 'dev', 'eth0'));
  await output(inPod('ip', 'route', 'add', 'default', 'via', '10.244.0.1'));
}

async function measureAll(wish: LaneBenchWish, folder: string, place: Site): Promise<string> {
  const questions = writeQuestions(folder).repeated.positive;
  const samples = await runRounds(
    subjectsOf(wish, folder).map((subject) => ({
      name: subject.name,
      measure: () => measureSubject(wish, subject, questions, folder, place),
    })),
    wish.rounds,
    (round, name, all) => {
      for (const [index, sample] of all.entries())
        wish.say(
          `  ${round + 1}/${wish.rounds} ${name.padEnd(32)} ${loadText(loads[index]).padEnd(20)} ${sampleText(sample)}`,
        );
    },
  );
  return tableOf(samples);
}

function subjectsOf({ programs }: LaneBenchWish, folder: string): readonly Subject[] {
  const served = (server: Server, settleMs = 300): Subject => ({
    name: server.name,
    settleMs,
    command: (own) => server.command({ folder: own, at, upstream, sidePorts: [9253, 9353], aaaa: 'upstream' }),
  });
  const flags = ['-kernellane=on', `-kernellanefolder=${folder}/bpf/zerohop`, '-kernellanelinger=0'];
  // With it nothing of a block is for the kernel, and a question for A costs what it did.
  const imports = join(folder, 'any');
  writeFileSync(imports, 'any\n');
  return [
    // Published within a second, and a client is known from its first question on.
    served(zerohop('zerohop, kernel lane', builtEntry, { flags }), 2_500),
    served(zerohop('zerohop', builtEntry)),
    served(zerohop('zerohop, block not for the lane', builtEntry, { flags, imports }), 2_500),
    served(zerohop('zerohop, the same without lane', builtEntry, { imports })),
    served(dnsdist(programs.dnsdist)),
    served(unbound(programs.unbound)),
    {
      name: 'echo in the kernel',
      settleMs: 300,
      command: () => [process.execPath, fileURLToPath(new URL('./echo.js', import.meta.url)), 'pod0'],
    },
  ];
}

async function measureSubject(
  wish: LaneBenchWish,
  subject: Subject,
  questions: string,
  folder: string,
  { node, pod }: Site,
): Promise<readonly LaneSample[]> {
  return inTemporaryFolder('zerohop-lane-server-', async (own) => {
    const server = start(node.command('taskset', '-c', String(wish.cores.server), ...subject.command(own)));
    const asking = { ...wish, inPod: ['ip', 'netns', 'exec', pod], questions, folder };
    try {
      await pause(1_500);
      for (let times = 0; times < 2; times++) {
        await ask({ ...asking, ...loads[0], seconds: 1 });
        await pause(subject.settleMs);
      }
      const samples: LaneSample[] = [];
      for (const load of loads) {
        const seconds = load.rate === 'saturated' ? wish.seconds : Math.max(slowSecondsMin, wish.seconds);
        samples.push(await measureLoad(server, { ...asking, ...load, seconds }));
      }
      return samples;
    } finally {
      await server.stop();
    }
  });
}

async function measureLoad(server: Running, asking: PodAsking): Promise<LaneSample> {
  const before = cpuOf(server.pid);
  const kernelBefore = kernelThreadsMicroseconds();
  const asked = await ask(asking);
  const serverMicroseconds = cpuBetween(before, cpuOf(server.pid)).totalMicroseconds;
  const kernelMicroseconds = kernelThreadsMicroseconds() - kernelBefore;
  if (asked.answered === 0) throw new Error(`not one answer to ${asked.sent} queries`);
  return {
    microsecondsPerAnswer: (serverMicroseconds + kernelMicroseconds + asked.askerMicroseconds) / asked.answered,
    serverMicrosecondsPerAnswer: serverMicroseconds / asked.answered,
    answersPerSecond: asked.answered / asked.seconds,
    lost: asked.sent - asked.answered,
    percentilesMs: asked.percentilesMs,
  };
}

interface PodAsking extends LaneLoad, Pick<LaneBenchWish, 'cores' | 'programs' | 'seconds'> {
  readonly inPod: readonly string[];
  /** A file. */
  readonly questions: string;
  readonly folder: string;
}

interface AskedFor {
  readonly sent: number;
  readonly answered: number;
  readonly seconds: number;
  readonly askerMicroseconds: number;
  readonly percentilesMs: Pick<Percentiles, 'p50' | 'p99'> | null;
}

async function ask(asking: PodAsking): Promise<AskedFor> {
  return asking.asker === 'stub' ? askOneByOne(asking) : askWithDnsperf(asking);
}

async function askOneByOne({ cores, inPod, rate, questions, folder, seconds }: PodAsking): Promise<AskedFor> {
  const [perSecond, time] = [rate === 'saturated' ? 0 : rate, seconds].map(String);
  const onCore = ['taskset', '-c', String(cores.load), stubIn(folder), at.address, questions, perSecond, time];
  const said = JSON.parse(await output([...inPod, ...onCore], (seconds + 60) * 1_000));
  const { processorMicroseconds: askerMicroseconds, p50, p99 } = said;
  return { ...said, askerMicroseconds, percentilesMs: { p50: p50 / 1e6, p99: p99 / 1e6 } };
}

function stubIn(folder: string): string {
  return join(folder, 'stub');
}

async function askWithDnsperf({
  programs,
  cores,
  inPod,
  rate,
  questions,
  folder,
  seconds,
}: PodAsking): Promise<AskedFor> {
  const latencies = rate === 'saturated' ? null : join(folder, 'latencies');
  const asker = commandLine({
    dnsperf: programs.dnsperf,
    core: cores.load,
    to: at,
    load: loadOf({ transport: 'udp', clients: 8 }, rate),
    questions,
    seconds,
    atEnd: 'again',
    latencies,
  });
  const timed = ['bash', '-c', 'TIMEFORMAT="asker %3U %3S"; time "$@"', 'bash', ...inPod, ...asker];
  const { stdout, stderr } = await run(timed, (seconds + 60) * 1_000);
  const text = latencies === null ? stdout : readFileSync(latencies, 'latin1').slice(-16_384);
  const [, user, system] = /asker ([\d.]+) ([\d.]+)/.exec(stderr) ?? [];
  const { completed, lost, seconds: took } = parseDnsperf(text.slice(Math.max(0, text.lastIndexOf('\nStatistics:'))));
  return {
    sent: completed + lost,
    answered: completed,
    seconds: took,
    askerMicroseconds: (Number(user) + Number(system)) * 1e6,
    percentilesMs: latencies === null ? null : percentilesOf(latencies),
  };
}

/** What the kernel does for the network beside any process. */
function kernelThreadsMicroseconds(): number {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .reduce((sum, pid) => {
      try {
        if (!/^ksoftirqd/.test(readFileSync(`/proc/${pid}/comm`, 'latin1'))) return sum;
        return sum + Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1_000;
      } catch {
        return sum;
      }
    }, 0);
}

function sampleText({ microsecondsPerAnswer, serverMicrosecondsPerAnswer, percentilesMs, lost }: LaneSample): string {
  const latency = percentilesMs === null ? '' : `, p50 ${us(percentilesMs.p50)}, p99 ${us(percentilesMs.p99)} µs`;
  return `${microsecondsPerAnswer.toFixed(2)} µs in all, ${serverMicrosecondsPerAnswer.toFixed(2)} the server's${latency}${lost > 0 ? `, lost ${lost}` : ''}`;
}

function us(ms: number): string {
  return (ms * 1_000).toFixed(0);
}

/** Medians, a row for each load and subject. */
export function tableOf(samples: ReadonlyMap<string, readonly (readonly LaneSample[])[]>): string {
  const rows = loads.flatMap((load, index) =>
    [...samples].map(([name, rounds]) => {
      const its = rounds.map((all) => all[index]);
      const of = (pick: (sample: LaneSample) => number): number => median(its.map(pick));
      const latency = (name: 'p50' | 'p99'): string =>
        its.some(({ percentilesMs }) => percentilesMs === null) ? '' : us(of((sample) => sample.percentilesMs![name]));
      const lost = its.reduce((sum, sample) => sum + sample.lost, 0);
      const cells = [
        loadText(load),
        name,
        of((sample) => sample.microsecondsPerAnswer).toFixed(2),
        of((sample) => sample.serverMicrosecondsPerAnswer).toFixed(2),
        of((sample) => sample.answersPerSecond).toFixed(0),
        latency('p50'),
        latency('p99'),
        String(lost),
      ];
      return `| ${cells.join(' | ')} |`;
    }),
  );
  const head =
    '| asked | who answers | CPU of all, µs an answer | of it the server’s | answers/s | p50, µs | p99, µs | lost |';
  return [head, '|---|---|--:|--:|--:|--:|--:|--:|', ...rows].join('\n');
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
