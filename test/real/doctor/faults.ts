/**
 * What goes wrong with DNS on a node, each as a pair: made, and mended. `finds` are the codes that must warn or fail while
 * it is there, and no others may; `says` is what one of them must say, and `helps` the command beside it.
 */
import assert from 'node:assert/strict';
import { clusterAddress, localAddress } from '../cluster-node.js';
import { eventually, type Running, run } from '../commands.js';
import {
  type Cluster,
  far,
  near,
  type Place,
  type Pretence,
  resolverAddress,
  upstreamIp,
  type ZerohopWish,
} from './cluster.js';
import type { CoreDnsNumbers } from './core-dns-pages.js';

export interface Fault {
  readonly name: string;
  readonly finds: readonly string[];
  readonly says: RegExp;
  readonly helps?: RegExp;
  /** Codes that must only inform. */
  readonly informs?: readonly string[];
  readonly pretence?: Pretence;
  make(cluster: Cluster): Promise<void>;
  mend(cluster: Cluster): Promise<void>;
}

type Change = Pick<Fault, 'make' | 'mend'>;

/** Several at once: what is made first is mended last. */
export function together(name: string, faults: readonly Fault[]): Fault {
  return {
    name,
    finds: faults.flatMap(({ finds }) => finds),
    says: faults[0].says,
    pretence: Object.assign({}, ...faults.map(({ pretence }) => pretence)),
    async make(cluster) {
      for (const fault of faults) await fault.make(cluster);
    },
    async mend(cluster) {
      for (const fault of [...faults].reverse()) await fault.mend(cluster);
    },
  };
}

function restarting(
  name: string,
  finds: readonly string[],
  says: RegExp,
  wish: ZerohopWish,
  more: Partial<Fault> = {},
): Fault {
  const change: Change = {
    async make(cluster) {
      await cluster.stopZerohop();
      // What the former one's own questions have left.
      await run(cluster.node.command('conntrack', '-F'));
      await cluster.startZerohop(wish);
    },
    mend: (cluster) => cluster.startZerohop(),
  };
  return { name, finds, says, ...change, ...more };
}

type PlaceName = 'node' | 'nearPod' | 'beyond';

/** A firewall of somebody else, as a table of its own. */
function dropping(place: PlaceName, table: string, match: string, hook: 'input' | 'output' = 'input'): Change {
  const at = (cluster: Cluster): Place => cluster[place];
  const chain = `chain ${hook} { type filter hook ${hook} priority 10; policy accept; ${match} counter drop; }`;
  return {
    make: async (cluster) => void (await cluster.on(at(cluster), `nft 'table inet ${table} { ${chain}; }'`)),
    mend: async (cluster) => void (await cluster.on(at(cluster), `nft delete table inet ${table}`)),
  };
}

/** A rule at the head of a chain of iptables, in the backend of kube-proxy. */
function iptablesRule(table: 'filter' | 'raw' | 'nat', chain: string, rule: string): Change {
  const change = (verb: '-I' | '-D') => async (cluster: Cluster) =>
    void (await cluster.on(cluster.node, `${cluster.proxy} -w -t ${table} ${verb} ${chain} ${rule}`));
  return { make: change('-I'), mend: change('-D') };
}

function services(change: (cluster: Cluster) => ReturnType<Cluster['healthyServices']>): Change {
  return {
    make: (cluster) => cluster.proxyTo(change(cluster)),
    mend: (cluster) => cluster.proxyTo(cluster.healthyServices()),
  };
}

function resolvConf(text: string): Change {
  return {
    make: (cluster) => cluster.resolvConf(text),
    mend: (cluster) => cluster.resolvConf(`nameserver ${resolverAddress}\n`),
  };
}

/** The same with a zerohop that has never seen another one. */
function startedWith(text: string): Change {
  const start = (written: string) => async (cluster: Cluster) => {
    cluster.node.writeResolvConf(written);
    await cluster.startZerohop();
  };
  return { make: start(text), mend: start(`nameserver ${resolverAddress}\n`) };
}

function tells(address: string, numbers: CoreDnsNumbers): Change {
  return {
    make: async (cluster) => cluster.coreDnsTells(address, numbers),
    mend: async (cluster) => cluster.coreDnsTells(address),
  };
}

function outsideNames(address: string, says: 'REFUSED' | 'SERVFAIL'): Change {
  return {
    make: (cluster) => cluster.outsideNames(address, says),
    mend: (cluster) => cluster.outsideNames(address, 'an answer'),
  };
}

function tellsOfAll(numbers: CoreDnsNumbers): Change {
  const tell = (told: CoreDnsNumbers) => async (cluster: Cluster) => {
    for (const address of [near, far]) cluster.coreDnsTells(address, told);
  };
  return { make: tell(numbers), mend: tell({}) };
}

/** A program that runs meanwhile, before and behind another change. */
function running(start: (cluster: Cluster) => Promise<Running>, change: Change): Change {
  let program: Running | null = null;
  return {
    async make(cluster) {
      program = await start(cluster);
      await change.make(cluster);
    },
    async mend(cluster) {
      await change.mend(cluster);
      await program?.stop();
    },
  };
}

/** A forwarder at this address that asks zerohop. */
function forwarder(place: PlaceName, address: string, asks: string): (cluster: Cluster) => Promise<Running> {
  const own = [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--pid-file',
    '--no-hosts',
    '--no-resolv',
    '--user=root',
  ];
  const at = [`--listen-address=${address}`, '--bind-interfaces', `--server=${asks}`, '--cache-size=0'];
  return async (cluster) => {
    if (place === 'beyond') await cluster.on(cluster.beyond, `ip address replace ${address}/24 dev eth0`);
    const program = cluster.run(cluster[place], 'dnsmasq', ...own, ...at);
    await eventually('the forwarder answers', async () => {
      const { status } = await run(cluster.node.command('dig', '+tries=1', '+time=1', `@${address}`, 'localhost'));
      return status === 0 ? true : undefined;
    });
    return program;
  };
}

const silentAt = (how: 'udp' | 'tcp' | 'both'): Change =>
  dropping('nearPod', 'silence', how === 'both' ? 'meta l4proto { tcp, udp } th dport 53' : `${how} dport 53`);

export const endpointFaults: readonly Fault[] = [
  {
    name: 'an endpoint of two is silent over UDP',
    finds: ['endpoint-dead'],
    says: /^10\.244\.0\.2 does not answer over UDP, .*1 of 2 endpoints answer/,
    helps: /10\.244\.0\.2/,
    ...silentAt('udp'),
  },
  {
    name: 'an endpoint of two is silent over TCP',
    finds: ['endpoint-dead'],
    says: /^10\.244\.0\.2 does not answer over TCP, /,
    ...silentAt('tcp'),
  },
  {
    name: 'an endpoint of two is silent',
    finds: ['endpoint-dead'],
    says: /^10\.244\.0\.2 does not answer over UDP and TCP, /,
    ...silentAt('both'),
  },
];

const sticky: Fault = {
  name: 'session affinity',
  finds: ['session-affinity'],
  says: /kube-system\/kube-dns-upstream keeps a client on one endpoint for 10,800 s/,
  helps: /patch svc kube-dns-upstream .*"sessionAffinity":"None"/,
  ...services((cluster) => cluster.healthyServices('ClientIP')),
};

const rejected: Fault = {
  name: 'no endpoints',
  finds: ['no-endpoints'],
  says: /kube-proxy rejects 10\.96\.0\.53 port 53\/UDP and 53\/TCP: .* has no endpoints/,
  ...services((cluster) => cluster.healthyServices().map((one) => ({ ...one, endpoints: [] }))),
};

export const serviceFaults: readonly Fault[] = [
  sticky,
  together('session affinity, and an endpoint of two is silent', [endpointFaults[2], sticky]),
  rejected,
  {
    name: 'one endpoint only',
    finds: ['single-endpoint'],
    says: /has one endpoint only, 10\.244\.1\.2/,
    ...services((cluster) => cluster.healthyServices().map((one) => ({ ...one, endpoints: [far] }))),
  },
  {
    name: 'kube-proxy has no rules for the Service',
    finds: ['kube-proxy-rules'],
    says: /no rule for 10\.96\.0\.53 port 53\/UDP and 53\/TCP/,
    ...services((cluster) => cluster.healthyServices().filter(({ clusterIp }) => clusterIp !== upstreamIp)),
  },
  {
    name: 'kube-proxy leads to an address that has gone',
    finds: ['endpoint-dead'],
    says: /^10\.244\.0\.99 does not answer/,
    ...services((cluster) => cluster.healthyServices().map((one) => ({ ...one, endpoints: ['10.244.0.99', far] }))),
  },
];

export const resolverFaults: readonly Fault[] = [
  {
    name: "the node's resolv.conf is systemd's stub, which asks this cache",
    finds: ['stub-resolver'],
    says: /lists 127\.0\.0\.53 and no other resolver; systemd-resolved listens there/,
    helps: /--resolv-conf=/,
    ...running(forwarder('node', '127.0.0.53', localAddress), startedWith('nameserver 127.0.0.53\n')),
  },
  {
    name: "the node's resolv.conf is a dnsmasq that asks this cache",
    finds: ['loop'],
    says: /127\.0\.1\.1 comes back/,
    ...running(forwarder('node', '127.0.1.1', localAddress), resolvConf('nameserver 127.0.1.1\n')),
  },
  {
    name: 'a resolver elsewhere asks the cluster DNS by this node',
    finds: ['loop'],
    says: /192\.168\.50\.55 comes back/,
    ...running(forwarder('beyond', '192.168.50.55', clusterAddress), resolvConf('nameserver 192.168.50.55\n')),
  },
  {
    name: 'the resolver refuses',
    finds: ['resolver-refuses'],
    says: /192\.168\.50\.53.* REFUSED/,
    ...outsideNames(resolverAddress, 'REFUSED'),
  },
  {
    name: 'the only resolver is silent',
    finds: ['outside-name', 'resolver-refuses'],
    says: /192\.168\.50\.53: no answer/,
    ...dropping('beyond', 'silence', `ip daddr ${resolverAddress} th dport 53`),
  },
  {
    name: 'the resolver is silent over UDP',
    finds: ['resolver-refuses'],
    says: /192\.168\.50\.53:53 is silent over UDP and answers over TCP/,
    ...dropping('beyond', 'silence', `ip daddr ${resolverAddress} udp dport 53`),
  },
  {
    name: 'the resolver is silent over TCP',
    finds: ['resolver-refuses'],
    says: /answers over UDP, and over TCP there is no answer/,
    ...dropping('beyond', 'silence', `ip daddr ${resolverAddress} tcp dport 53`),
  },
  {
    name: 'one resolver of two is nobody',
    finds: ['resolver-refuses'],
    says: /192\.168\.50\.66:53 resolves no names outside \(no answer\)/,
    ...resolvConf(`nameserver 192.168.50.66\nnameserver ${resolverAddress}\n`),
  },
];

const forbidden: Fault = {
  name: 'the API server refuses CoreDNS',
  finds: ['coredns-rbac'],
  says: /refuses the requests of 10\.244\.1\.2 \(403\)/,
  ...tellsOfAll({ forbiddenPerSecond: 2 }),
};

const restarted: Fault = {
  name: 'CoreDNS has restarted',
  finds: ['coredns-restarted'],
  says: /10\.244\.1\.2 started 4 min ago/,
  ...tells(far, { startedSecondsAgo: 240 }),
};

const busy: Fault = {
  name: 'CoreDNS is busy',
  finds: ['coredns-busy'],
  says: /10\.244\.0\.2 uses 0\.9\d cores at 3\d,\d+ q\/s/,
  ...tells(near, { cores: 0.97, requestsPerSecond: 31_000 }),
};

export const coreDnsFaults: readonly Fault[] = [
  {
    name: 'CoreDNS forwards to a stub',
    finds: ['coredns-forwards-to-stub'],
    says: /10\.244\.0\.2 forwards to 127\.0\.0\.53/,
    ...tells(near, { forwardsTo: '127.0.0.53:53' }),
  },
  forbidden,
  {
    name: 'CoreDNS waits for the API server, which refuses it',
    finds: ['coredns-rbac'],
    says: /10\.244\.0\.2/,
    ...tells(near, { forbiddenPerSecond: 2, ready: { status: 503, text: 'kubernetes' } }),
  },
  {
    name: 'CoreDNS is not ready',
    finds: ['coredns-not-ready'],
    says: /10\.244\.1\.2 is not ready; it waits for: kubernetes/,
    ...tells(far, { ready: { status: 503, text: 'kubernetes' } }),
  },
  restarted,
  busy,
  together('CoreDNS has restarted, and the other one is busy', [restarted, busy]),
  {
    name: 'CoreDNS answers SERVFAIL',
    finds: ['coredns-servfail'],
    says: /10\.244\.0\.2 answers (?:1\d|9|20) % SERVFAIL/,
    ...tells(near, { requestsPerSecond: 100, servfailPerSecond: 12 }),
  },
  {
    name: 'a pod of the cluster DNS has no way out',
    finds: ['coredns-outside'],
    says: /10\.244\.0\.2 \(SERVFAIL\) answers cluster names, but none outside the cluster; 10\.244\.1\.2 answers both/,
    ...outsideNames(near, 'SERVFAIL'),
  },
];

const betweenNodes = (how: 'udp' | 'tcp' | 'both'): Change =>
  dropping('beyond', 'between', `ip daddr 10.244.1.0/24 ${how === 'both' ? 'th' : how} dport 53`);

export const firewallFaults: readonly Fault[] = [
  {
    name: 'a firewall between nodes drops UDP',
    finds: ['cross-node'],
    says: /over UDP, every endpoint on another node is silent \(10\.244\.1\.2\)/,
    ...betweenNodes('udp'),
  },
  {
    name: 'a firewall between nodes drops TCP',
    finds: ['cross-node'],
    says: /over TCP, every endpoint on another node is silent \(10\.244\.1\.2\)/,
    ...betweenNodes('tcp'),
  },
  {
    name: 'a firewall between nodes drops both',
    finds: ['cross-node'],
    says: /over UDP and TCP, .*on this node 10\.244\.0\.2 answers/,
    ...betweenNodes('both'),
  },
  {
    name: 'a firewall of the node drops UDP to the cache',
    finds: ['firewall'],
    says: /169\.254\.20\.10:53 over UDP.*"-A INPUT .*-j DROP"/,
    ...iptablesRule('filter', 'INPUT', `-d ${localAddress} -p udp --dport 53 -j DROP`),
  },
  {
    name: 'a firewall of the node drops TCP to the cache',
    finds: ['firewall'],
    says: /169\.254\.20\.10:53 over TCP.*"-A INPUT .*-j DROP"/,
    ...iptablesRule('filter', 'INPUT', `-d ${localAddress} -p tcp --dport 53 -j DROP`),
  },
  {
    name: 'a firewall of the node drops UDP to the cluster DNS',
    finds: ['firewall'],
    says: /10\.96\.0\.53:53 over UDP.*"-A OUTPUT .*-j DROP"/,
    ...iptablesRule('filter', 'OUTPUT', '-d 10.244.0.0/16 -p udp --dport 53 -j DROP'),
  },
];

/** Takes a stand-in for hardware: a link to the outside, over which packets of the pod on this node leave. */
function secondLink(fault: string): Change {
  return {
    async make(cluster) {
      const peer = `${cluster.node.name}-beyond`;
      await cluster.on(
        cluster.node,
        `ip link add eth1 type veth peer name eth1 netns ${peer} && ip link set eth1 up &&
        ip -n ${peer} link set eth1 up && ip address add 10.0.3.10/24 dev eth1 &&
        ip route add default via 10.0.3.1 dev eth1 table 1001 && ip rule add from ${near} lookup 1001`,
      );
      await cluster.on(cluster.node, fault.replace('PEER', peer));
    },
    mend: async (cluster) =>
      void (await cluster.on(cluster.node, `ip rule delete from ${near} lookup 1001; ip link delete eth1`)),
  };
}

export const linkFaults: readonly Fault[] = [
  {
    name: 'a link that was bound again is DOWN, and rules lead to its table',
    finds: ['link-down'],
    says: /eth1 is DOWN, and 1 pod address is routed by it .*10\.244\.0\.2/,
    helps: /ip link set eth1 up/,
    ...secondLink('ip link set eth1 down'),
  },
  {
    name: 'a link without carrier has routes of pods',
    finds: ['link-down'],
    says: /eth1 has no carrier, and 1 pod address is routed by it .*10\.244\.0\.2/,
    ...secondLink('ip -n PEER link set eth1 down'),
  },
];

/** Rules of somebody else in front of ours, by which packets leave the table raw. */
const beforeNotrack: Change = iptablesRule('raw', 'PREROUTING', '-p udp --dport 53 -j ACCEPT');

const anHour: Pretence['facts'] = (facts) => {
  facts['upSeconds'] = 3_600;
  Object.assign(facts['recent'] as object, { seconds: 900 });
};

/** Names that a search path makes, and others; more than a doctor takes for chance. */
const manyQuestions = Array.from({ length: 100 }, (_, index) => [
  `name${index}.example.test.default.svc.cluster.local A`,
  `name${index}.example.test.svc.cluster.local A`,
  `name${index}.example.test A`,
]).flat();

export const trackingFaults: readonly Fault[] = [
  {
    name: 'packets pass by the NOTRACK rules',
    finds: ['notrack-unused'],
    says: /NOTRACK rules, 0 packets, though \d+ queries came/,
    async make(cluster) {
      await cluster.startZerohop();
      for (const chain of ['PREROUTING', 'OUTPUT']) {
        await cluster.on(cluster.node, `${cluster.proxy} -w -t raw -I ${chain} -j ACCEPT`);
      }
      await cluster.on(cluster.node, `${cluster.proxy} -w -t raw -Z`);
      await cluster.askManyFromPod(localAddress, manyQuestions);
    },
    async mend(cluster) {
      for (const chain of ['PREROUTING', 'OUTPUT']) {
        await cluster.on(cluster.node, `${cluster.proxy} -w -t raw -D ${chain} -j ACCEPT`);
      }
      await cluster.startZerohop();
    },
  },
  {
    name: 'a rule in front of ours lets kube-proxy take the queries of pods',
    finds: ['bypassed'],
    says: /tracked flows? from 1 pod to 10\.96\.0\.10:53: 10\.244\.0\.7/,
    pretence: { facts: anHour },
    async make(cluster) {
      await beforeNotrack.make(cluster);
      await cluster.askFromPod(clusterAddress);
    },
    mend: beforeNotrack.mend,
  },
  {
    name: 'A and AAAA of one socket race for a place in the conntrack table',
    finds: ['conntrack-race'],
    says: /\d+ of 100 pairs of A and AAAA lost one answer through 10\.96\.0\.53/,
    // The first of these flows has the port, and each other is dropped where the race drops it: at its insertion.
    ...iptablesRule(
      'nat',
      'POSTROUTING',
      '-p udp --dport 53 -m statistic --mode nth --every 12 --packet 11 -j SNAT --to-source 192.168.50.1:5353',
    ),
  },
  {
    name: 'the conntrack table is full',
    finds: ['conntrack-full'],
    says: /of 8 conntrack entries are taken/,
    helps: /nf_conntrack_max=16/,
    pretence: { files: { '/proc/sys/net/netfilter/nf_conntrack_max': '8\n' } },
    make: async (cluster) => void (await cluster.on(cluster.node, 'true')),
    mend: async () => {},
  },
];

const wrongAddress = '10.96.0.11';

const asksMuch = (questions: readonly string[], wish: ZerohopWish = {}): Change => ({
  async make(cluster) {
    await cluster.startZerohop(wish);
    await cluster.askManyFromPod(localAddress, questions);
  },
  mend: (cluster) => cluster.startZerohop(),
});

export const questionFaults: readonly Fault[] = [
  {
    name: 'search paths multiply queries, and memory is near its limit',
    finds: ['memory'],
    says: /the container uses 490 of 512 MiB/,
    informs: ['search-path', 'autopath'],
    pretence: {
      files: {
        '/sys/fs/cgroup/memory.max': '536870912\n',
        '/sys/fs/cgroup/memory.current': '524288000\n',
        '/sys/fs/cgroup/memory.stat': 'anon 513802240\ninactive_file 10485760\n',
        '/sys/fs/cgroup/memory.events': 'low 0\nhigh 0\nmax 12\noom 0\noom_kill 0\n',
      },
    },
    ...asksMuch(manyQuestions),
  },
  {
    name: 'half of the queries are AAAA, for nothing, and the container has been killed for want of memory',
    finds: ['oom-kills'],
    says: /the kernel has killed 1 process/,
    informs: ['aaaa-useless'],
    pretence: {
      files: {
        '/sys/fs/cgroup/memory.max': '536870912\n',
        '/sys/fs/cgroup/memory.current': '104857600\n',
        '/sys/fs/cgroup/memory.stat': 'inactive_file 0\n',
        '/sys/fs/cgroup/memory.events': 'oom_kill 1\n',
      },
    },
    ...asksMuch([...manyQuestions, ...manyQuestions.map((question) => question.replace(/A$/, 'AAAA'))], {
      corefile: (text) => text.replaceAll('    aaaa nodata\n', ''),
    }),
  },
];

export const startFaults: readonly Fault[] = [
  {
    name: 'a wrong ClusterIP',
    finds: ['wrong-cluster-ip'],
    says: /-localip has 10\.96\.0\.11, and the Service kube-dns is 10\.96\.0\.10/,
    // Where zerohop itself puts the addresses on a link it does not start with this one.
    async make(cluster) {
      await cluster.stopZerohop();
      for (const address of [localAddress, wrongAddress]) {
        await cluster.on(cluster.node, `ip address add ${address}/32 dev lo`);
      }
      await cluster.startZerohop({ addresses: [localAddress, wrongAddress], flags: ['-setupinterface=false'] });
    },
    async mend(cluster) {
      await cluster.stopZerohop();
      for (const address of [localAddress, wrongAddress]) {
        await cluster.on(cluster.node, `ip address delete ${address}/32 dev lo`);
      }
      await cluster.startZerohop();
    },
  },
  restarting(
    'a wrong cluster domain',
    ['wrong-cluster-domain'],
    /cluster DNS calls 10\.96\.0\.1 kubernetes\.default\.svc\.cluster\.local/,
    {
      corefile: (text) => text.replace('cluster.local:53', 'cluster.example:53'),
    },
  ),
  restarting('AAAA gets NXDOMAIN, and pods ask', ['aaaa-nxdomain'], /AAAA queries get NXDOMAIN \([1-9]/, {
    corefile: (text) => text.replaceAll('aaaa nodata', 'template ANY AAAA {\n        rcode NXDOMAIN\n    }'),
    asked: [{ server: localAddress, type: 'AAAA' }],
  }),
  {
    name: 'another program has port 8080',
    finds: ['not-running', 'port-8080'],
    says: /a process of user 0 listens on 0\.0\.0\.0:8080, and zerohop does not run/,
    ...running(
      async (cluster) => {
        await cluster.stopZerohop();
        return cluster.pagesAt('0.0.0.0:8080');
      },
      { make: (cluster) => assert.rejects(cluster.startZerohop()), mend: async () => {} },
    ),
  },
  restarting('no stand-by, and no successor can take over', ['alone'], /no stand-by is here, and -handover is empty/, {
    flags: ['-handover='],
  }),
  restarting(
    'nobody asks',
    ['nobody-asks'],
    /no query came to 169\.254\.20\.10, 10\.96\.0\.10 in 15 minutes/,
    { asked: [] },
    { pretence: { facts: anHour } },
  ),
  restarting(
    'pods ask the ClusterIP, which is not in -localip',
    ['bypassed', 'iptables-unused', 'nobody-asks'],
    /tracked flows? from 1 pod to 10\.96\.0\.10:53: 10\.244\.0\.7/,
    { addresses: [localAddress], asked: [{ server: clusterAddress }] },
    { pretence: { facts: anHour } },
  ),
];

/** What IPVS would list; this kernel has none, and the packets go by the rules of iptables meanwhile. */
function ipvsFiles(
  wish: {
    readonly persistent?: number;
    readonly weight?: number;
    readonly settings?: Readonly<Record<string, number>>;
  } = {},
): Pretence {
  const { persistent, weight = 1, settings = {} } = wish;
  const hex = (address: string): string =>
    address
      .split('.')
      .map((byte) => Number(byte).toString(16).padStart(2, '0').toUpperCase())
      .join('');
  const flags = persistent === undefined ? '' : `persistent ${persistent} FFFFFFFF`;
  const servers = [near, far].map((address) => `  -> ${hex(address)}:0035      Masq    ${weight}      0          0\n`);
  const services = ['TCP', 'UDP'].flatMap((protocol) =>
    [clusterAddress, upstreamIp].map((address) => `${protocol}  ${hex(address)}:0035 rr ${flags}\n${servers.join('')}`),
  );
  const heading = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
`;
  const values = Object.assign({ conn_reuse_mode: 1, conntrack: 1, expire_nodest_conn: 1 }, settings);
  return {
    files: Object.assign(
      { '/proc/net/ip_vs': `${heading}${services.join('')}` },
      ...Object.entries(values).map(([name, value]) => ({ [`/proc/sys/net/ipv4/vs/${name}`]: `${value}\n` })),
    ),
  };
}

/** A node of IPVS: pods ask the link-local address, and kube-ipvs0 has the ClusterIPs. */
export async function intoIpvs(cluster: Cluster): Promise<void> {
  cluster.kubeProxyTells('ipvs');
  await cluster.on(
    cluster.node,
    `ip link add kube-ipvs0 type veth peer name ipvs-peer && ip address add ${upstreamIp}/32 dev kube-ipvs0`,
  );
  await cluster.startZerohop({ addresses: [localAddress] });
}

export const healthyIpvs: Pretence = ipvsFiles();

const asItIs: Change = { make: async () => {}, mend: async () => {} };

export const ipvsFaults: readonly Fault[] = [
  {
    name: 'settings of IPVS',
    finds: ['ipvs-conntrack', 'ipvs-expire', 'ipvs-reuse'],
    says: /conn_reuse_mode is 0 on Linux \d/,
    pretence: ipvsFiles({ settings: { conn_reuse_mode: 0, conntrack: 0, expire_nodest_conn: 0 } }),
    ...asItIs,
  },
  {
    name: 'session affinity of IPVS',
    finds: ['session-affinity'],
    says: /keeps a client on one endpoint for 10,800 s/,
    pretence: ipvsFiles({ persistent: 10_800 }),
    ...asItIs,
  },
  {
    name: 'no real server has a weight',
    finds: ['ipvs-no-backend'],
    says: /10\.96\.0\.53 port 53\/UDP and 53\/TCP has no real server/,
    pretence: ipvsFiles({ weight: 0 }),
    ...asItIs,
  },
  {
    name: 'two owners of the ClusterIP',
    finds: ['mode'],
    says: /kube-ipvs0 has 10\.96\.0\.10 too/,
    pretence: ipvsFiles(),
    async make(cluster) {
      await cluster.on(cluster.node, `ip address add ${clusterAddress}/32 dev kube-ipvs0`);
      await cluster.startZerohop();
    },
    async mend(cluster) {
      await cluster.on(cluster.node, `ip address delete ${clusterAddress}/32 dev kube-ipvs0`);
      await cluster.startZerohop({ addresses: [localAddress] });
    },
  },
];

/** Of places that have nothing to do with each other, so that one must not hide the other. */
export const pairsOfFaults: readonly Fault[] = [
  together('an endpoint of two is silent, and the resolver refuses', [endpointFaults[2], resolverFaults[3]]),
  together('an endpoint of two is silent over UDP, and a link is DOWN', [endpointFaults[0], linkFaults[0]]),
  together('no endpoints, and a resolver loops', [rejected, resolverFaults[2]]),
  together('a firewall between nodes, and CoreDNS has restarted', [firewallFaults[2], restarted]),
  together('one endpoint only, and the API server refuses it', [serviceFaults[3], forbidden]),
  together('packets pass by the NOTRACK rules, and a full conntrack table', [trackingFaults[0], trackingFaults[3]]),
];
