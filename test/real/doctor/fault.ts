/**
 * What goes wrong with DNS on a node, as a pair: made, and mended; and the changes of a cluster of which faults are made.
 * `finds` are the codes that must warn or fail while it is there, and no others may; `says` is what one of them must say,
 * and `helps` the command beside it.
 */
import { eventually, type Running, run } from '../commands.js';
import { type Cluster, far, near, type Place, type Pretence, resolverAddress, type ZerohopWish } from './cluster.js';
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

export type Change = Pick<Fault, 'make' | 'mend'>;

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

export function restarting(
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
export function dropping(place: PlaceName, table: string, match: string, hook: 'input' | 'output' = 'input'): Change {
  const at = (cluster: Cluster): Place => cluster[place];
  const chain = `chain ${hook} { type filter hook ${hook} priority 10; policy accept; ${match} counter drop; }`;
  return {
    make: async (cluster) => void (await cluster.on(at(cluster), `nft 'table inet ${table} { ${chain}; }'`)),
    mend: async (cluster) => void (await cluster.on(at(cluster), `nft delete table inet ${table}`)),
  };
}

/** A rule at the head of a chain of iptables, in the backend of kube-proxy. */
export function iptablesRule(table: 'filter' | 'raw' | 'nat', chain: string, rule: string): Change {
  const change = (verb: '-I' | '-D') => async (cluster: Cluster) =>
    void (await cluster.on(cluster.node, `${cluster.proxy} -w -t ${table} ${verb} ${chain} ${rule}`));
  return { make: change('-I'), mend: change('-D') };
}

export function services(change: (cluster: Cluster) => ReturnType<Cluster['healthyServices']>): Change {
  return {
    make: (cluster) => cluster.proxyTo(change(cluster)),
    mend: (cluster) => cluster.proxyTo(cluster.healthyServices()),
  };
}

/** The node's resolv.conf, and a zerohop that has never seen another one. */
export function resolvConf(text: string): Change {
  const start = (written: string) => async (cluster: Cluster) => {
    cluster.node.writeResolvConf(written);
    await cluster.startZerohop();
  };
  return { make: start(text), mend: start(`nameserver ${resolverAddress}\n`) };
}

export function tells(address: string, numbers: CoreDnsNumbers): Change {
  return {
    make: async (cluster) => cluster.coreDnsTells(address, numbers),
    mend: async (cluster) => cluster.coreDnsTells(address),
  };
}

export function outsideNames(address: string, says: 'REFUSED' | 'SERVFAIL'): Change {
  return {
    make: (cluster) => cluster.outsideNames(address, says),
    mend: (cluster) => cluster.outsideNames(address, 'an answer'),
  };
}

export function tellsOfAll(numbers: CoreDnsNumbers): Change {
  const tell = (told: CoreDnsNumbers) => async (cluster: Cluster) => {
    for (const address of [near, far]) cluster.coreDnsTells(address, told);
  };
  return { make: tell(numbers), mend: tell({}) };
}

/** A program that runs meanwhile, before and behind another change. */
export function running(start: (cluster: Cluster) => Promise<Running>, change: Change): Change {
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
export function forwarder(place: PlaceName, address: string, asks: string): (cluster: Cluster) => Promise<Running> {
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
