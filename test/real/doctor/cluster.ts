/**
 * A cluster as the doctor sees it from one of its nodes, in network namespaces:
 *
 *     pod 10.244.0.7 ──┐                        ┌── 10.244.1.2, the cluster DNS on another node
 *                      ├── node ── 192.168.50 ──┤
 *     10.244.0.2 ──────┘                        └── 192.168.50.53, the node's resolver
 *     the cluster DNS on this node
 *
 * zerohop runs on the node as the manifests run it, kube-proxy's rules lead to the Services, each pod of the cluster DNS
 * is a Knot with the pages of a CoreDNS beside it. Everything is gone with `remove`, or with this process.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { repositoryPath } from '../../corpus/repository.js';
import { clusterAddress, localAddress, makeNode, type Node } from '../cluster-node.js';
import { eventually, output, type Running, run, start } from '../commands.js';
import { type Knot, startKnot } from '../knot.js';
import { entry, startZerohop, type Zerohop } from '../zerohop.js';
import { zones } from '../zones.js';
import { type CoreDnsNumbers, coreDnsPages, kubeProxyPages } from './core-dns-pages.js';
import { iptablesChains, iptablesJumps, iptablesRules, nftablesRules, type ProxiedService } from './kube-proxy.js';
import type { Pages } from './pages-program.js';
import { retell } from './retelling.js';

export const proxies = ['iptables-nft', 'iptables-legacy', 'nftables 1.31', 'nftables 1.36'] as const;
/** In which way kube-proxy's rules are written. */
export type ProxyKind = (typeof proxies)[number];

/** Programs of this host that a cluster needs, besides root. */
export const clusterNeeds = [
  ...['root', 'ip', 'sysctl', 'knotd', 'knotc', 'dig', 'curl', 'conntrack', 'nft'],
  ...['iptables-nft', 'iptables-legacy'],
] as const;

/** The pod of the cluster DNS on this node, and the one on another node. */
export const near = '10.244.0.2';
export const far = '10.244.1.2';
/** The Services kube-dns-upstream and kubernetes. */
export const upstreamIp = '10.96.0.53';
export const kubernetesIp = '10.96.0.1';
export const podAddress = '10.244.0.7';
export const nodeAddress = '192.168.50.1';
export const resolverAddress = '192.168.50.53';
export const gateway = '192.168.50.2';

/** A network namespace. */
export interface Place {
  /** The command line that runs `command` there. */
  command(...command: string[]): string[];
}

/** As `zerohop doctor -o json` prints it. */
export interface SeenFinding {
  readonly code: string;
  readonly verdict: string;
  readonly seen: string;
  readonly meaning: string;
  readonly command: string | null;
  /** The code of the failure that this one follows from. */
  readonly explainedBy: string | null;
}

export interface Diagnosis {
  /** The exit status. */
  readonly status: number;
  readonly tookMs: number;
  readonly questions: number;
  readonly findings: readonly SeenFinding[];
  /** The codes that warn or fail, in order of the alphabet. */
  readonly wrong: readonly string[];
}

/** What a test cannot make on this machine, and tells the doctor instead. */
export interface Pretence {
  /** Texts of files, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** Changes what the serving process tells about itself: hours pass so. */
  readonly facts?: (facts: Record<string, unknown>) => void;
}

export interface ZerohopWish {
  /** Of `-localip`. */
  readonly addresses?: readonly string[];
  /** Changes the Corefile's template. */
  readonly corefile?: (text: string) => string;
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Texts of files that it sees instead of the kernel's, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** What a pod asks then; by default each address of zerohop. */
  readonly asked?: readonly { readonly server: string; readonly name?: string; readonly type?: string }[];
}

const clusterName = 'kubernetes.default.svc.cluster.local.';
const pagesProgram = fileURLToPath(new URL('pages-program.js', import.meta.url));
const kubernetesRecord = `kubernetes.default.svc 5 A ${kubernetesIp}\n`;
const clusterZones = Object.assign({}, zones, {
  'cluster.local': `${zones['cluster.local']}${kubernetesRecord}`,
  'in-addr.arpa': `${zones['in-addr.arpa']}1.0.96.10 PTR kubernetes.default.svc.cluster.local.\n`,
});

/** Folders of the kernel in which a file cannot be made, so that something else is mounted over them. */
const roomless = ['/proc/net', '/proc/sys/net/ipv4', '/sys/fs/cgroup'];
/** Everything that is in the folder of this process, at another place and then over it. */
const copiedNet = `mount -t tmpfs none /mnt
mkdir /mnt/stat
for file in /proc/net/* /proc/net/stat/*; do
  [ ! -f $file ] || cat $file > /mnt/\${file#/proc/net/} || true
done
mount --bind /mnt /proc/$$/net`;

export class Cluster {
  readonly node: Node;
  readonly proxy: ProxyKind;
  readonly pod: Place;
  readonly nearPod: Place;
  /** The other node, its pods, and the resolver. */
  readonly beyond: Place;
  readonly #names: string[];
  readonly #programs: Running[] = [];
  readonly #knots = new Map<string, Knot>();
  #services: readonly ProxiedService[] = [];
  #environment: Readonly<Record<string, string>> = {};
  readonly #withoutRoot = new Set<string>();
  #zerohop: Zerohop | null = null;
  #isRemoved = false;

  private constructor(node: Node, proxy: ProxyKind) {
    this.node = node;
    this.proxy = proxy;
    this.#names = ['pod', 'near', 'beyond'].map((role) => `${node.name}-${role}`);
    const [pod, nearPod, beyond] = this.#names.map((name) => ({
      command: (...command: string[]) => ['ip', 'netns', 'exec', name, ...command],
    }));
    this.pod = pod;
    this.nearPod = nearPod;
    this.beyond = beyond;
  }

  /** With everything but zerohop. */
  static async make(proxy: ProxyKind): Promise<Cluster> {
    const made = new Cluster(await makeNode(), proxy);
    process.on('exit', made.#removeNamespaces);
    await made.#wire();
    await made.#startServers();
    await made.on(made.node, `sysctl -q -w net.ipv4.ip_forward=1`);
    if (!proxy.startsWith('nftables')) await made.#restore(iptablesJumps);
    await made.proxyTo(made.healthyServices());
    return made;
  }

  /** A shell line in a namespace; what it prints. Throws when it fails. */
  on(place: Place, line: string): Promise<string> {
    return output(place.command('sh', '-c', line));
  }

  healthyServices(affinity: ProxiedService['affinity'] = 'None'): ProxiedService[] {
    const endpoints = [near, far];
    return [
      { name: 'kube-system/kube-dns', clusterIp: clusterAddress, endpoints, affinity },
      { name: 'kube-system/kube-dns-upstream', clusterIp: upstreamIp, endpoints, affinity },
    ];
  }

  /** Puts the rules of these Services in place of the ones before. */
  async proxyTo(services: readonly ProxiedService[]): Promise<void> {
    const former = iptablesChains(this.#services);
    this.#services = services;
    if (this.proxy.startsWith('nftables')) {
      const path = join(this.node.folder, 'kube-proxy.nft');
      writeFileSync(path, nftablesRules(services, this.proxy === 'nftables 1.36' ? '1.36' : '1.31'));
      await output(this.node.command('nft', '-f', path));
    } else await this.#restore(iptablesRules(services, former));
    // As kube-proxy does for UDP when endpoints change.
    await run(this.node.command('conntrack', '-D', '-p', 'udp', '--dport', '53'));
  }

  /** What a pod of the cluster DNS tells about itself. */
  coreDnsTells(address: string, numbers: CoreDnsNumbers = {}): void {
    this.#writePages(address, coreDnsPages(numbers));
  }

  kubeProxyTells(mode: Parameters<typeof kubeProxyPages>[0]): void {
    this.#writePages('kube-proxy', kubeProxyPages(mode));
  }

  knot(address: string): Knot {
    const knot = this.#knots.get(address);
    if (knot === undefined) throw new Error(`no server at ${address}`);
    return knot;
  }

  /** Adds a server at this address of `beyond` that is no pod. */
  async addServer(address: string, served: Readonly<Record<string, string>>): Promise<void> {
    await this.on(this.beyond, `ip address replace ${address}/24 dev eth0`);
    this.#knots.set(address, await startKnot(this.node, { address, command: this.beyond.command }, served));
  }

  /** What the server there says to all questions that are not about the cluster. */
  async outsideNames(address: string, says: 'an answer' | 'REFUSED' | 'SERVFAIL'): Promise<void> {
    const knot = this.knot(address);
    const commit = async (...orders: string[][]): Promise<void> => {
      await knot.control('conf-begin');
      for (const words of orders) await knot.control(...words);
      await knot.control('conf-commit');
    };
    // Of a zone that it serves it would keep the content.
    if (!this.#withoutRoot.has(address)) await commit(['conf-unset', 'zone[.]']);
    this.#withoutRoot[says === 'REFUSED' ? 'add' : 'delete'](address);
    const files = { 'an answer': 'root.zone', SERVFAIL: 'none.zone' };
    if (says !== 'REFUSED') await commit(['conf-set', 'zone[.]'], ['conf-set', 'zone[.].file', files[says]]);
  }

  /** Starts a program of this host that lives as long as the cluster, or until it is stopped. */
  run(place: Place, ...command: string[]): Running {
    const program = start(place.command(...command));
    this.#programs.push(program);
    return program;
  }

  /** A program of somebody else that listens there. */
  async pagesAt(place: string): Promise<Running> {
    const program = this.run(this.node, process.execPath, pagesProgram, place, this.#pagesPath('kube-proxy'));
    await eventually(`${place} is taken`, () => (program.stdout() === '' ? undefined : true));
    return program;
  }

  get zerohop(): Zerohop {
    if (this.#zerohop === null) throw new Error('zerohop does not run');
    return this.#zerohop;
  }

  /** Starts zerohop as the manifests do, in place of the one that runs; a pod has asked it when this returns. */
  async startZerohop(wish: ZerohopWish = {}): Promise<void> {
    const { addresses = [localAddress, clusterAddress], corefile = (text) => text, flags = [] } = wish;
    const asked: NonNullable<ZerohopWish['asked']> = wish.asked ?? addresses.map((server) => ({ server }));
    await this.stopZerohop();
    const { folder } = this.node;
    const template = join(folder, 'Corefile.base');
    const text = readFileSync(repositoryPath('deploy', 'components', 'aaaa-nodata', 'Corefile'), 'utf8');
    writeFileSync(template, corefile(text));
    this.#environment = {
      KUBERNETES_SERVICE_HOST: kubernetesIp,
      KUBE_DNS_SERVICE_HOST: clusterAddress,
      KUBE_DNS_UPSTREAM_SERVICE_HOST: upstreamIp,
      ...wish.environment,
    };
    const files = ['-basecorefile', template, '-kubednscm', join(folder, 'kube-dns')];
    const own = ['-localip', addresses.join(), '-setupinterface', '-setupiptables', '-upstreamsvc=kube-dns-upstream'];
    const sockets = ['-control', this.#controlPath, '-handover', join(folder, 'handover.sock')];
    const seeing = (command: string[]) => this.#withFiles(wish.files ?? {}, command);
    const inPod = { ...this.node, command: (...command: string[]) => this.#asInPod(seeing(command)) };
    this.#zerohop = await startZerohop(inPod, '', [...files, ...own, ...sockets, '-metrics-listen-address=', ...flags]);
    for (const { server, name, type } of asked) await this.askFromPod(server, name, type);
  }

  async stopZerohop(): Promise<void> {
    await this.#zerohop?.stop();
    this.#zerohop = null;
  }

  /** One question of the pod, with one try of a second; what dig prints with +short. */
  async askFromPod(server: string, name = clusterName, type = 'A'): Promise<string> {
    const dig = ['dig', '-r', '+short', '+tries=1', '+time=1', '+nocookie', `@${server}`, name, type];
    return (await run(this.pod.command(...dig))).stdout.trim();
  }

  /** Many questions of the pod for these names and types, one after the other. */
  async askManyFromPod(server: string, questions: readonly string[]): Promise<void> {
    const path = join(this.node.folder, 'questions');
    writeFileSync(path, questions.map((question) => `${question}\n`).join(''));
    await run(this.pod.command('dig', '-r', '+tries=1', '+time=1', '+noall', `@${server}`, '-f', path));
  }

  /** Runs the doctor as `kubectl exec` does: beside zerohop, with the environment of its container. */
  async doctor({ files = {}, facts }: Pretence = {}): Promise<Diagnosis> {
    const told = facts === undefined ? null : await retell(this.#controlPath, facts);
    const command = [...entry, 'doctor', '-control', told?.path ?? this.#controlPath, '-o', 'json'];
    const { status, stdout, stderr } = await run(this.#asInPod(this.#withFiles(files, command)), 60_000);
    told?.end();
    let report: Pick<Diagnosis, 'tookMs' | 'questions' | 'findings'>;
    try {
      report = JSON.parse(stdout);
    } catch {
      throw new Error(`zerohop doctor ended with ${status}: ${stdout}${stderr}`);
    }
    const { tookMs, questions, findings } = report;
    const wrong = findings.filter(({ verdict }) => verdict === 'warn' || verdict === 'fail').map(({ code }) => code);
    return { status, tookMs, questions, findings, wrong: [...new Set(wrong)].sort() };
  }

  /** What it prints for people. */
  async doctorText(environment: Readonly<Record<string, string>> = {}): Promise<string> {
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const command = ['env', ...variables, ...entry, 'doctor', '-control', this.#controlPath];
    return (await run(this.#asInPod(command), 60_000)).stdout;
  }

  async remove(): Promise<void> {
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    this.#zerohop?.signal('SIGKILL');
    await Promise.all(this.#programs.map((program) => program.stop()));
    await Promise.all([...this.#knots.values()].map((knot) => knot.stop()));
    this.#removeNamespaces();
    this.node.remove();
  }

  get #controlPath(): string {
    return join(this.node.folder, 'control.sock');
  }

  #asInPod(command: readonly string[]): string[] {
    const variables = Object.entries(this.#environment).map(([name, value]) => `${name}=${value}`);
    return this.node.command('env', ...variables, ...command);
  }

  /** The command with these files in the place of the kernel's, seen by it alone. */
  #withFiles(files: Readonly<Record<string, string>>, command: readonly string[]): readonly string[] {
    if (Object.keys(files).length === 0) return command;
    const folder = mkdtempSync(join(this.node.folder, 'files-'));
    const isNew = (path: string): boolean => roomless.some((each) => path.startsWith(`${each}/`));
    const writes = Object.entries(files).map(([path, text], index) => {
      const own = join(folder, String(index));
      writeFileSync(own, text);
      // The folder of another process, such as cp, is another one.
      const at = path.replace(/^\/proc\/net\//, () => '/proc/$$/net/');
      return isNew(path) ? `mkdir -p ${dirname(at)}; cp ${own} ${at}` : `mount --bind ${own} ${at}`;
    });
    const mounts = roomless
      .filter((each) => Object.keys(files).some((path) => path.startsWith(`${each}/`)))
      .map((each) => (each === '/proc/net' ? copiedNet : `mount -t tmpfs none ${each}`));
    const script = ['set -e', ...mounts, ...writes, 'exec "$@"'].join('\n');
    return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...command];
  }

  async #wire(): Promise<void> {
    const { node } = this;
    node.writeResolvConf(`nameserver ${resolverAddress}\n`);
    for (const address of [localAddress, clusterAddress]) {
      await this.on(node, `ip address delete ${address}/32 dev lo`);
    }
    for (const name of this.#names) await output(['ip', 'netns', 'add', name]);
    const [pod, nearPod, beyond] = this.#names;
    for (const [link, peer, address] of [
      ['veth-pod', pod, podAddress],
      ['veth-near', nearPod, near],
    ] as const) {
      await this.on(
        node,
        `ip link add ${link} type veth peer name eth0 netns ${peer} && ip link set ${link} up &&
        ip address add 10.244.0.1/32 dev ${link} && ip route add ${address}/32 dev ${link}`,
      );
    }
    for (const [place, address] of [
      [this.pod, podAddress],
      [this.nearPod, near],
    ] as const) {
      await this.on(
        place,
        `ip link set lo up && ip link set eth0 up && ip address add ${address}/32 dev eth0 &&
        ip route add 10.244.0.1 dev eth0 && ip route add default via 10.244.0.1`,
      );
    }
    await this.on(
      node,
      `ip link add eth0 type veth peer name eth0 netns ${beyond} && ip link set eth0 up &&
      ip address add ${nodeAddress}/24 dev eth0`,
    );
    await this.on(
      this.beyond,
      `ip link set lo up && ip link set eth0 up && ip address add ${gateway}/24 dev eth0 &&
      ip address add ${resolverAddress}/24 dev eth0 && ip address add ${far}/32 dev lo &&
      ip route add default via ${nodeAddress} && sysctl -q -w net.ipv4.ip_forward=1`,
    );
    await this.on(node, `ip route add 10.244.1.0/24 via ${gateway} && ip route add default via ${gateway}`);
  }

  async #startServers(): Promise<void> {
    mkdirSync(join(this.node.folder, 'pages'));
    const places = [
      { address: near, command: this.nearPod.command },
      { address: far, command: this.beyond.command },
      { address: resolverAddress, command: this.beyond.command },
    ];
    await Promise.all(
      places.map(async (place) => this.#knots.set(place.address, await startKnot(this.node, place, clusterZones))),
    );
    for (const address of [near, far]) this.coreDnsTells(address);
    this.kubeProxyTells(this.proxy.startsWith('nftables') ? 'nftables' : 'iptables');
    const coreDns = (address: string): string[] =>
      [9153, 8080, 8181].flatMap((port) => [`${address}:${port}`, this.#pagesPath(address)]);
    const serving = [
      this.run(this.nearPod, process.execPath, pagesProgram, ...coreDns(near)),
      this.run(this.beyond, process.execPath, pagesProgram, ...coreDns(far)),
      this.run(this.node, process.execPath, pagesProgram, '127.0.0.1:10249', this.#pagesPath('kube-proxy')),
    ];
    await eventually('the pages are served', () =>
      serving.map((program) => program.stdout().split('\n').length - 1).join() === '3,3,1' ? true : undefined,
    );
  }

  #pagesPath(of: string): string {
    return join(this.node.folder, 'pages', of);
  }

  #writePages(of: string, pages: Pages): void {
    const path = this.#pagesPath(of);
    writeFileSync(`${path}.new`, JSON.stringify(pages));
    renameSync(`${path}.new`, path);
  }

  async #restore(rules: string): Promise<void> {
    const path = join(this.node.folder, 'kube-proxy.rules');
    writeFileSync(path, rules);
    await this.on(this.node, `${this.proxy}-restore -w --noflush < ${path}`);
  }

  readonly #removeNamespaces = (): void => {
    process.off('exit', this.#removeNamespaces);
    for (const name of this.#names.splice(0)) execFileSync('ip', ['netns', 'delete', name]);
  };
}
