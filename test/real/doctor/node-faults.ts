/**
 * Faults of the node: firewalls, links, connection tracking, how zerohop was started, what pods ask, and IPVS. At the end
 * pairs, also with faults of the cluster DNS.
 */
import assert from 'node:assert/strict';
import { clusterAddress, localAddress } from '../cluster-node.js';
import {
  type Cluster,
  far,
  near,
  nodeAddress,
  type Pretence,
  podAddress,
  upstreamIp,
  type ZerohopWish,
} from './cluster.js';
import { endpointFaults, forbidden, rejected, resolverFaults, restarted, serviceFaults } from './cluster-faults.js';
import { type Change, dropping, type Fault, iptablesRule, restarting, running, together } from './fault.js';

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
const manyQuestions = Array.from({ length: 70 }, (_, index) => [
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
      `-p udp --dport 53 -m statistic --mode nth --every 12 --packet 11 -j SNAT --to-source ${nodeAddress}:5353`,
    ),
  },
  {
    name: 'flows of pods find no place in the conntrack table',
    finds: ['insert-failed'],
    says: /insert_failed of conntrack rose by \d+ in 5 s/,
    ...running(
      async (cluster) => {
        const asks = `while :; do dig +tries=1 +time=1 @${far} . NS & sleep 0.2; done`;
        return cluster.run(cluster.pod, 'sh', '-c', asks);
      },
      iptablesRule('nat', 'POSTROUTING', `-s ${podAddress} -p udp --dport 53 -j SNAT --to-source ${nodeAddress}:5454`),
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
    ...asksMuch(manyQuestions, {
      files: {
        '/sys/fs/cgroup/memory.max': '536870912\n',
        '/sys/fs/cgroup/memory.current': '524288000\n',
        '/sys/fs/cgroup/memory.stat': 'anon 513802240\ninactive_file 10485760\n',
        '/sys/fs/cgroup/memory.events': 'low 0\nhigh 0\nmax 12\noom 0\noom_kill 0\n',
      },
    }),
  },
  {
    name: 'half of the queries are AAAA, for nothing, and the container has been killed for want of memory',
    finds: ['oom-kills'],
    says: /the kernel has killed 1 process/,
    informs: ['aaaa-useless'],
    ...asksMuch(
      manyQuestions.slice(0, 105).flatMap((question) => [question, question.replace(/A$/, 'AAAA')]),
      {
        corefile: (text) => text.replaceAll('    aaaa nodata\n', ''),
        files: {
          '/sys/fs/cgroup/memory.max': '536870912\n',
          '/sys/fs/cgroup/memory.current': '104857600\n',
          '/sys/fs/cgroup/memory.stat': 'inactive_file 0\n',
          '/sys/fs/cgroup/memory.events': 'oom_kill 1\n',
        },
      },
    ),
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
  restarting('AAAA gets NXDOMAIN, and pods give up', ['aaaa-nxdomain'], /pods go on after kubernetes\.default\.svc/, {
    corefile: (text) => text.replaceAll('aaaa nodata', 'template ANY AAAA {\n        rcode NXDOMAIN\n    }'),
    // As musl goes on along the search path, since the first name has no AAAA.
    asked: ['kubernetes.default.svc.cluster.local.', 'kubernetes.svc.cluster.local.'].flatMap((name) =>
      ['A', 'AAAA'].map((type) => ({ server: localAddress, name, type })),
    ),
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
  together('a resolver loops, and no endpoints', [resolverFaults[2], rejected]),
  together('a firewall between nodes, and CoreDNS has restarted', [firewallFaults[2], restarted]),
  together('one endpoint only, and the API server refuses it', [serviceFaults[3], forbidden]),
  together('packets pass by the NOTRACK rules, and a full conntrack table', [trackingFaults[0], trackingFaults[4]]),
];
