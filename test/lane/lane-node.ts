/**
 * A node with a real cluster DNS, a bpf file system, pods behind links of all kinds, and zerohop with the kernel lane in
 * it. Everything goes with the node, whatever a test leaves, and at the latest when this process exits.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { layoutVersion, markLayout, variantsCount } from '../../src/lane/layout.js';
import { laneSlots, metricsAgeMs } from '../../src/limits.js';
import { Bpf } from '../../src/os/bpf.js';
import { builtEntry, commandOf, repositoryPath } from '../corpus/repository.js';
import { calls } from '../os/loopback-sockets.js';
import { makeNode, type Node } from '../real/cluster-node.js';
import { eventually, output, type Running, run, start } from '../real/commands.js';
import { type Knot, startKnot } from '../real/knot.js';
import { entry, logLines } from '../real/zerohop.js';
import { PodClient } from './pod-client.js';
import { laneZones } from './zones.js';

/** Where pods ask; the same over IPv6. */
export const server = '169.254.20.10';
export const server6 = 'fd00::a';
const clusterDns = '10.96.0.10';
const foreignProgram = fileURLToPath(new URL('foreign-program.js', import.meta.url));

const upstreamProgram = fileURLToPath(new URL('upstream-program.js', import.meta.url));

/** Programs of this host that the node needs, besides root. */
export const nodeNeeds = ['root', 'ip', 'knotd', 'knotc', 'curl', 'mount'] as const;

/** A generous deadline for what takes a second or two. */
const fromKernelMs = 15_000;
/** Questions that a failure is about. */
const shownMax = 12;

/** A network namespace: the node's, or a pod's. */
export interface Place {
  /** The command line that runs `command` there. */
  command(...command: string[]): string[];
}

export interface LanePod extends Place {
  /** The node's interface that it is behind: its veth, or the bridge. */
  readonly link: string;
  readonly address: string;
  readonly address6: string;
  readonly client: PodClient;
}

export interface ZerohopWish {
  /** Of the one server block, besides where it listens and whom it asks. */
  readonly lines?: string;
  readonly flags?: readonly string[];
  readonly place?: Place;
  readonly addresses?: readonly string[];
  /** The one server block's, if it is not for all names. */
  readonly zones?: string;
  /** The cluster DNS, if it is another one. */
  readonly upstream?: string;
  /** What its command line begins with. */
  readonly prefix?: readonly string[];
  /** The program, if it is another one than this build. */
  readonly program?: readonly string[];
  /** Follows another instance, or is followed by one. */
  readonly handsOver?: boolean;
  /** Wait for nothing. */
  readonly isLeftAlone?: boolean;
}

export interface LaneZerohop {
  readonly program: Running;
  said(text: string): boolean;
  /** Waits until the log says this, so many times. */
  hears(text: string, times?: number): Promise<void>;
  /** The lines with which the log began and this text, to show or to count. */
  lines(text: string): readonly string[];
  /** What /metrics says now of the samples that begin so, all together. */
  metric(series: string): Promise<number>;
  /** The same of several. */
  metrics(...series: string[]): Promise<readonly number[]>;
  /** Puts these lines in force instead. */
  reload(lines: string): Promise<void>;
  kill(): Promise<void>;
  /** Ends it with SIGTERM, which must be clean. */
  stop(): Promise<void>;
}

export class LaneNode implements Place {
  readonly knot: Knot;
  readonly bpfFolder: string;
  readonly #node: Node;
  readonly #bpf = new Bpf(calls);
  readonly #pods: string[] = [];
  readonly #clients: PodClient[] = [];
  readonly #running = new Set<LaneZerohop>();
  readonly #foreign: Running[] = [];
  readonly #upstreams: Running[] = [];
  #removed = false;

  private constructor(node: Node, bpfFolder: string, knot: Knot) {
    this.#node = node;
    this.bpfFolder = bpfFolder;
    this.knot = knot;
  }

  static async make(): Promise<LaneNode> {
    const bpfFolder = mountBpf();
    const node = await makeNode();
    await output(node.command('ip', 'address', 'add', `${server6}/128`, 'dev', 'lo', 'nodad'));
    await output(node.command('sysctl', '-q', '-w', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'));
    const place = { address: clusterDns, command: node.command };
    const made = new LaneNode(node, bpfFolder, await startKnot(node, place, laneZones));
    process.on('exit', made.#removePods);
    return made;
  }

  command(...command: string[]): string[] {
    return this.#node.command(...command);
  }

  get folder(): string {
    return this.#node.folder;
  }

  /** What zerohop pins under. */
  get pinsFolder(): string {
    return join(this.bpfFolder, 'zerohop');
  }

  /** A pod behind a veth of this name, or behind a bridge of which that is a port. */
  async addPod(link: string, bridge?: string): Promise<LanePod> {
    const place = await this.addNamespace(link, bridge);
    const client = await this.addClient(place);
    return { ...place, client };
  }

  async addNamespace(link: string, bridge?: string): Promise<Omit<LanePod, 'client'>> {
    const name = `${this.#node.name}-${link}`;
    const number = this.#pods.push(name);
    const command = (...inner: string[]): string[] => ['ip', 'netns', 'exec', name, ...inner];
    const [net, net6] = [`10.244.${number}`, `fd00:244:${number}:`];
    const gateway = bridge ?? link;
    await output(['ip', 'netns', 'add', name]);
    const onNode = [
      `link add ${link} type veth peer name eth0 netns ${name}`,
      ...(bridge === undefined ? [] : [`link add ${bridge} type bridge`, `link set ${link} master ${bridge} up`]),
      `link set ${gateway} up`,
      `address add ${net}.1/24 dev ${gateway}`,
      `address add ${net6}:1/64 dev ${gateway} nodad`,
    ];
    const inPod = [
      'link set lo up',
      'link set eth0 up',
      `address add ${net}.2/24 dev eth0`,
      `address add ${net6}:2/64 dev eth0 nodad`,
      `route add default via ${net}.1`,
      `-6 route add default via ${net6}:1`,
    ];
    for (const words of onNode) await output(this.command('ip', ...words.split(' ')));
    for (const words of inPod) await output(command('ip', ...words.split(' ')));
    return { command, link: gateway, address: `${net}.2`, address6: `${net6}:2` };
  }

  async addClient(place: Place): Promise<PodClient> {
    const client = await PodClient.start((...words) => place.command(...words));
    this.#clients.push(client);
    return client;
  }

  /** Starts zerohop with the lane; it serves, and its lane is on or refused, when this returns. */
  async start(wish: ZerohopWish = {}): Promise<LaneZerohop> {
    const { lines = 'cache 30', flags = [], place = this, addresses = [server, server6], prefix = [] } = wish;
    const { upstream = clusterDns, zones = '.:53' } = wish;
    const program = wish.program ?? entry;
    const path = join(this.folder, 'Corefile');
    const textOf = (own: string): string => corefile(zones, own, addresses, upstream);
    writeFileSync(path, textOf(lines));
    const own = ['-localip', addresses.join(','), '-setupinterface=false', '-setupiptables=false'];
    const lane = ['-kernellane=on', `-kernellanefolder=${this.pinsFolder}`, '-metrics-listen-address='];
    const handover = `-handover=${wish.handsOver ? join(this.folder, 'handover.sock') : ''}`;
    const ownFlags = [handover, '-control=', ...own, ...lane, ...flags];
    const command = place.command(...prefix, ...program, '-conf', path, ...ownFlags);
    const zerohop = this.#zerohopOf(start(command), { path, textOf, addresses, place });
    if (wish.isLeftAlone) return zerohop;
    await zerohop.hears(' serves on ');
    await zerohop.hears('kernel lane: ');
    return zerohop;
  }

  /** Answers that the lane has given since its maps were made. */
  given(): number {
    let sum = 0;
    for (const namespace of namesIn(this.pinsFolder)) {
      const fd = this.#bpf.openPin(join(this.pinsFolder, namespace, layoutVersion, 'marks'));
      if (fd < 0) continue;
      const marks = new Uint32Array((laneSlots * markLayout.bytes) / 4);
      const result = calls.copyMemory(fd, marks.buffer);
      calls.close(fd);
      if (result < 0) throw new Error(`marks cannot be read: ${result}`);
      for (let first = 0; first < marks.length; first += markLayout.bytes / 4)
        for (let variant = 0; variant < variantsCount; variant++) sum += marks[first + variant];
    }
    return sum;
  }

  /** Asks until the kernel has answered all of them in one go; those answers. */
  async fromKernel(client: PodClient, at: string, queries: readonly Uint8Array[]): Promise<readonly Buffer[]> {
    const asks = async (some: readonly Uint8Array[]): Promise<readonly Buffer[] | undefined> => {
      const before = this.given();
      const answers = await client.ask(at, some);
      const isAll = this.given() - before >= some.length && answers.every((answer) => answer !== null);
      return isAll ? (answers as readonly Buffer[]) : undefined;
    };
    return eventually('the kernel answers', () => asks(queries), fromKernelMs).catch(async (error: Error) => {
      for (const one of queries.slice(0, shownMax))
        if ((await asks([one])) === undefined)
          error.message += `; not ${Buffer.from(one).toString('latin1').slice(12)}`;
      throw error;
    });
  }

  /** Lets a program of somebody else see what the interface receives, before or behind ours, until it is stopped. */
  async addForeign(link: string, place: 'before' | 'behind', does: 'pass' | 'drop'): Promise<Running> {
    const program = start(this.command(process.execPath, foreignProgram, link, place, does));
    this.#foreign.push(program);
    await eventually('it is attached', async () => {
      const ended = await Promise.race([program.finished, Promise.resolve(undefined)]);
      if (ended !== undefined) throw new Error(`it ended with ${ended.status}: ${ended.stderr}`);
      return program.stdout().includes('attached') || undefined;
    });
    return program;
  }

  /** Answers all names at this address, as upstream-program.ts says, until everything is stopped. */
  async addUpstream(address: string, delayMs: number, seconds: number, ttls: 'whole' | 'counted'): Promise<void> {
    if (!(await output(this.command('ip', 'address', 'show', 'dev', 'lo'))).includes(address))
      await output(this.command('ip', 'address', 'add', `${address}/32`, 'dev', 'lo'));
    const words = [address, String(delayMs), String(seconds), ttls];
    const program = start(this.command(process.execPath, upstreamProgram, ...words));
    this.#upstreams.push(program);
    await eventually('it listens', () => program.stdout().includes('listening') || undefined);
  }

  /** Everything that is pinned, as paths below the folder of all pins. */
  pinned(): readonly string[] {
    const below = (folder: string): string[] =>
      namesIn(join(this.pinsFolder, folder)).flatMap((name) => {
        const inside = below(join(folder, name));
        return inside.length === 0 ? [join(folder, name)] : inside;
      });
    return below('');
  }

  /** How many programs see what the node's interface receives. */
  async programsAt(link: string): Promise<number> {
    return Number(await output(this.command(process.execPath, foreignProgram, link, 'count')));
  }

  /** Ends all instances that run, and takes out what they have left. */
  async stopAll(): Promise<void> {
    for (const zerohop of [...this.#running]) await zerohop.kill();
    for (const upstream of this.#upstreams.splice(0)) await upstream.stop();
    await run(this.command(...entry, '-kernellane=remove', `-kernellanefolder=${this.pinsFolder}`));
  }

  async remove(): Promise<void> {
    if (this.#removed) return;
    this.#removed = true;
    for (const client of this.#clients) await client.end();
    await this.stopAll();
    for (const program of this.#foreign) await program.stop();
    await this.knot.stop();
    this.#removePods();
    this.#node.remove();
    unmountBpf(this.bpfFolder);
  }

  readonly #removePods = (): void => {
    process.off('exit', this.#removePods);
    for (const name of this.#pods.splice(0)) execFileSync('ip', ['netns', 'delete', name]);
  };

  #zerohopOf(program: Running, { path, textOf, addresses, place }: Started): LaneZerohop {
    const lines = (text: string): string[] =>
      logLines(program.stdout())
        .map((line) => JSON.stringify(line))
        .filter((line) => line.includes(text));
    let reloads = 0;
    const zerohop: LaneZerohop = {
      program,
      lines,
      said: (text) => lines(text).length > 0,
      async hears(text, times = 1) {
        const ended = program.finished.then(({ status, stderr, stdout }) => {
          if (lines(text).length < times) throw new Error(`it ended with ${status}: ${stderr}${stdout}`);
        });
        const heard = eventually(`a log line like ${text}`, () => lines(text).length >= times || undefined, 20_000);
        await Promise.race([ended, heard]).catch((error: Error) => {
          throw new Error(`${error.message}\n${program.stderr()}${program.stdout()}`);
        });
      },
      async metric(series) {
        return (await zerohop.metrics(series))[0];
      },
      async metrics(...series) {
        await pause(metricsAgeMs);
        const url = `http://${addresses[0]}:9253/metrics`;
        const page = (await output(place.command('curl', '-s', '-S', '-f', '-m', '5', url))).split('\n');
        const sampleOf = (line: string): number => Number(line.slice(line.lastIndexOf(' ') + 1));
        return series.map((start) =>
          page.filter((line) => line.startsWith(start)).reduce((sum, line) => sum + sampleOf(line), 0),
        );
      },
      async reload(text) {
        writeFileSync(path, textOf(text));
        program.signal('SIGHUP');
        await zerohop.hears('SIGHUP: new configuration in force', ++reloads);
      },
      kill: async () => {
        program.signal('SIGKILL');
        await program.finished;
        this.#running.delete(zerohop);
      },
      stop: async () => {
        const { status, stderr, stdout } = await program.stop();
        this.#running.delete(zerohop);
        if (status !== 0) throw new Error(`zerohop ended with ${status}: ${stderr}${stdout}`);
      },
    };
    this.#running.add(zerohop);
    return zerohop;
  }
}

interface Started {
  /** Of its Corefile, with such lines of its own. */
  readonly path: string;
  readonly textOf: (lines: string) => string;
  readonly addresses: readonly string[];
  readonly place: Place;
}

function corefile(zones: string, lines: string, addresses: readonly string[], upstream: string): string {
  return `${zones} {
    bind ${addresses.join(' ')}
    errors
    prometheus ${addresses[0]}:9253
    ${lines}
    forward . ${upstream} {
        force_tcp
    }
}
`;
}

const mounted = new Set<string>();
process.on('exit', () => [...mounted].forEach(unmountBpf));

function mountBpf(): string {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-bpf-'));
  execFileSync('mount', ['-t', 'bpf', 'bpf', folder]);
  mounted.add(folder);
  return folder;
}

/** Also where it is done already. */
function unmountBpf(folder: string): void {
  if (!mounted.delete(folder)) return;
  execFileSync('umount', [folder]);
  rmdirSync(folder);
}

function namesIn(folder: string): readonly string[] {
  return existsSync(folder) && statSync(folder).isDirectory() ? readdirSync(folder) : [];
}

/** Makes a program of this build whose maps this build does not know; how to run it. */
export function withAnotherLayout(folder: string): readonly string[] {
  const program = join(folder, 'dist', 'zerohop');
  mkdirSync(dirname(program), { recursive: true });
  cpSync(dirname(builtEntry), program, { recursive: true });
  cpSync(repositoryPath('package.json'), join(folder, 'package.json'));
  symlinkSync(repositoryPath('node_modules'), join(folder, 'node_modules'));
  const parts = readdirSync(join(program, 'process')).map((name) => join(program, 'process', name));
  const naming = parts.filter((path) => path.endsWith('.js') && readFileSync(path, 'utf8').includes(layoutVersion));
  if (naming.length !== 1) throw new Error(`${layoutVersion} is in ${naming.length} files of ${program}`);
  writeFileSync(naming[0], readFileSync(naming[0], 'utf8').replace(layoutVersion, 'layout-another'));
  return commandOf(join(program, 'main.js'));
}
