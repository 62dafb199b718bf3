/**
 * The rules of kube-proxy as text: of 1.28 in iptables mode, of 1.31 and of 1.36 in nftables mode, with the chains, comments and
 * matches that those versions write, for the Services of the cluster DNS. What a test gets is what a node has, so the
 * doctor reads it, and packets go the way that it describes.
 */
import { createHash } from 'node:crypto';

export interface ProxiedService {
  /** `kube-system/kube-dns`. */
  readonly name: string;
  readonly clusterIp: string;
  /** Addresses of pods; none: its packets are rejected. */
  readonly endpoints: readonly string[];
  /** With `ClientIP` a client stays with one endpoint for three hours. */
  readonly affinity: 'None' | 'ClientIP';
}

interface ServicePort {
  readonly port: string;
  readonly protocol: 'udp' | 'tcp';
  readonly number: number;
}

const ports: readonly ServicePort[] = [
  { port: 'dns', protocol: 'udp', number: 53 },
  { port: 'dns-tcp', protocol: 'tcp', number: 53 },
  { port: 'metrics', protocol: 'tcp', number: 9153 },
];

export const podNetwork = '10.244.0.0/16';
const serviceNetwork = '10.96.0.0/12';
const affinitySeconds = 10_800;

/** Input of iptables-restore --noflush; `former` are chains of the last time, which it takes out. */
export function iptablesRules(services: readonly ProxiedService[], former: readonly string[]): string {
  const nat = services.flatMap((service) => ports.map((port) => natOf(service, port)));
  const chains = nat.flatMap((one) => one.chains);
  const gone = former.filter((chain) => !chains.includes(chain));
  const rejected = services.filter(({ endpoints }) => endpoints.length === 0);
  return `*mangle
:KUBE-IPTABLES-HINT - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-PROXY-CANARY - [0:0]
COMMIT
*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
${rejected.flatMap((service) => ports.map((port) => rejectionOf(service, port))).join('\n')}
COMMIT
*nat
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-SERVICES - [0:0]
${[...chains, ...gone].map((chain) => `:${chain} - [0:0]`).join('\n')}
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
${nat.flatMap((one) => one.rules).join('\n')}
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
${gone.map((chain) => `-X ${chain}`).join('\n')}
COMMIT
`;
}

/** The chains that `iptablesRules` makes for these, to be taken out the next time. */
export function iptablesChains(services: readonly ProxiedService[]): string[] {
  return services.flatMap((service) => ports.flatMap((port) => natOf(service, port).chains));
}

/** Once, before the first rules: from the built-in chains to those of kube-proxy. */
export const iptablesJumps = `*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -j KUBE-FIREWALL
COMMIT
*nat
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
COMMIT
`;

function rejectionOf({ name, clusterIp }: ProxiedService, { port, protocol, number }: ServicePort): string {
  const comment = `-m comment --comment "${name}:${port} has no endpoints"`;
  const match = `-d ${clusterIp}/32 -p ${protocol} ${comment} -m ${protocol} --dport ${number}`;
  return `-A KUBE-SERVICES ${match} -j REJECT --reject-with icmp-port-unreachable`;
}

/** The chains and rules of one port in the table nat: none without endpoints. */
function natOf(
  service: ProxiedService,
  { port, protocol, number }: ServicePort,
): { chains: string[]; rules: string[] } {
  const { name, clusterIp, endpoints, affinity } = service;
  if (endpoints.length === 0) return { chains: [], rules: [] };
  const named = `${name}:${port}`;
  const chain = `KUBE-SVC-${hashOf(named + protocol, 16)}`;
  const own = endpoints.map((address) => {
    const to = `${address}:${number}`;
    return { address, to, chain: `KUBE-SEP-${hashOf(named + protocol + to, 16)}` };
  });
  const comment = (text: string): string => `-m comment --comment "${text}"`;
  const clusterIpMatch = `-d ${clusterIp}/32 -p ${protocol} ${comment(`${named} cluster IP`)} -m ${protocol} --dport ${number}`;
  const recent = (verb: string, list: string): string =>
    `-m recent ${verb} --name ${list} --mask 255.255.255.255 --rsource`;
  const remembered = own.map(
    (one) =>
      `-A ${chain} ${comment(`${named} -> ${one.to}`)} ${recent(`--rcheck --seconds ${affinitySeconds} --reap`, one.chain)} -j ${one.chain}`,
  );
  const chosen = own.map((one, index) => {
    const left = own.length - index;
    const random = left === 1 ? '' : ` -m statistic --mode random --probability ${(1 / left).toFixed(11)}`;
    return `-A ${chain} ${comment(`${named} -> ${one.to}`)}${random} -j ${one.chain}`;
  });
  return {
    chains: [chain, ...own.map((one) => one.chain)],
    rules: [
      `-A KUBE-SERVICES ${clusterIpMatch} -j ${chain}`,
      `-A ${chain} ! -s ${podNetwork} ${clusterIpMatch} -j KUBE-MARK-MASQ`,
      ...(affinity === 'ClientIP' ? remembered : []),
      ...chosen,
      ...own.flatMap((one) => {
        const remembers = affinity === 'ClientIP' ? ` ${recent('--set', one.chain)}` : '';
        return [
          `-A ${one.chain} -s ${one.address}/32 ${comment(named)} -j KUBE-MARK-MASQ`,
          `-A ${one.chain} -p ${protocol} ${comment(named)}${remembers} -m ${protocol} -j DNAT --to-destination ${one.to}`,
        ];
      }),
    ],
  };
}

export type NftablesVersion = '1.31' | '1.36';

/** Input of `nft -f`: the whole table in place of the one that is there. */
export function nftablesRules(services: readonly ProxiedService[], version: NftablesVersion): string {
  const served = services.filter(({ endpoints }) => endpoints.length > 0);
  const rejected = services.filter(({ endpoints }) => endpoints.length === 0);
  const elements = (all: readonly string[]): string =>
    all.length === 0 ? '' : `    elements = { ${all.join(',\n                 ')} }\n`;
  const key = ({ clusterIp }: ProxiedService, { protocol, number }: ServicePort): string =>
    `${clusterIp} . ${protocol} . ${number}`;
  const leads = served.flatMap((one) => ports.map((port) => `${key(one, port)} : goto ${serviceChain(one, port)}`));
  const rejects = rejected.flatMap((one) =>
    ports.map((port) => `${key(one, port)} comment "${one.name}:${port.port}" : goto reject-chain`),
  );
  return `table ip kube-proxy
delete table ip kube-proxy
table ip kube-proxy {
  comment "rules for kube-proxy"
  set cluster-ips {
    type ipv4_addr
    comment "Active ClusterIPs"
${elements(services.map(({ clusterIp }) => clusterIp))}  }
  set nodeport-ips {
    type ipv4_addr
    comment "IPs that accept NodePort traffic"
  }
  map service-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    comment "ClusterIP, ExternalIP and LoadBalancer IP traffic"
${elements(leads)}  }
  map no-endpoint-services {
    type ipv4_addr . inet_proto . inet_service : verdict
    comment "vmap to drop or reject packets to services with no endpoints"
${elements(rejects)}  }
${nftablesFrame}
${served.flatMap((one) => ports.map((port) => nftablesChains(one, port, version))).join('\n')}
}
`;
}

/** What does not depend on Services. */
const nftablesFrame = `  map service-nodeports {
    type inet_proto . inet_service : verdict
    comment "NodePort traffic"
  }
  map no-endpoint-nodeports {
    type inet_proto . inet_service : verdict
    comment "vmap to drop or reject packets to service nodeports with no endpoints"
  }
  map firewall-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    comment "destinations that are subject to LoadBalancerSourceRanges"
  }
  chain firewall-check {
    ip daddr . meta l4proto . th dport vmap @firewall-ips
  }
  chain nodeport-endpoints-check {
    ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
  }
  chain reject-chain {
    comment "helper for @no-endpoint-services / @no-endpoint-nodeports"
    reject
  }
  chain service-endpoints-check {
    ip daddr . meta l4proto . th dport vmap @no-endpoint-services
  }
  chain cluster-ips-check {
    ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
    ip daddr ${serviceNetwork} drop comment "Drop traffic to unallocated ClusterIPs"
  }
  chain mark-for-masquerade {
    meta mark set meta mark | 0x00004000
  }
  chain masquerading {
    meta mark & 0x00004000 == 0x00000000 return
    meta mark set meta mark ^ 0x00004000
    masquerade fully-random
  }
  chain filter-prerouting {
    type filter hook prerouting priority dstnat - 10; policy accept;
    ct state new jump firewall-check
  }
  chain filter-input {
    type filter hook input priority -110; policy accept;
    ct state new jump nodeport-endpoints-check
    ct state new jump service-endpoints-check
  }
  chain filter-forward {
    type filter hook forward priority -110; policy accept;
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }
  chain filter-output {
    type filter hook output priority -110; policy accept;
    ct state new jump service-endpoints-check
    ct state new jump firewall-check
  }
  chain filter-output-post-dnat {
    type filter hook output priority -90; policy accept;
    ct state new jump cluster-ips-check
  }
  chain nat-prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump services
  }
  chain nat-output {
    type nat hook output priority -100; policy accept;
    jump services
  }
  chain nat-postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    jump masquerading
  }
  chain services {
    ip daddr . meta l4proto . th dport vmap @service-ips
    ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
  }`;

function serviceChain({ name }: ProxiedService, { port, protocol }: ServicePort): string {
  return `service-${hashOf(`${name}:${port}${protocol}`, 8)}-${name}/${protocol}/${port}`;
}

function nftablesChains(
  service: ProxiedService,
  { port, protocol, number }: ServicePort,
  version: NftablesVersion,
): string {
  const { name, clusterIp, endpoints, affinity } = service;
  const remembers = affinity === 'ClientIP';
  const own = endpoints.map((address) => {
    const hash = hashOf(`${name}:${port}${protocol}${address}:${number}`, 8);
    return { address, suffix: `${hash}-${name}/${protocol}/${port}__${address}/${number}` };
  });
  const sets = own.map(
    ({ suffix }) => `  set affinity-${suffix} {
    type ipv4_addr
    flags dynamic,timeout
    timeout ${affinitySeconds}s
  }
`,
  );
  const chains = own.map(
    ({ address, suffix }) => `  chain endpoint-${suffix} {
    ip saddr ${address} jump mark-for-masquerade
${remembers ? `    update @affinity-${suffix} { ip saddr }\n` : ''}    meta l4proto ${protocol} dnat to ${address}:${number}
  }
`,
  );
  const found = own.map(({ suffix }) => `    ip saddr @affinity-${suffix} goto endpoint-${suffix}\n`);
  const all = own.map(({ suffix }, index) => `${index} : goto endpoint-${suffix}`);
  // From 1.36 on endpoints have chains of their own only where clients stay with them.
  const isFlat = version === '1.36' && !remembers;
  const destinations = endpoints.map((address, index) => `${index} : ${address} . ${number}`);
  const choice = isFlat
    ? `meta l4proto ${protocol} dnat ip to numgen random mod ${own.length} map { ${destinations.join(', ')} }`
    : `numgen random mod ${own.length} vmap { ${all.join(', ')} }`;
  return `${(remembers ? sets : []).join('')}${isFlat ? '' : chains.join('')}  chain ${serviceChain(service, { port, protocol, number })} {
    ip daddr ${clusterIp} ${protocol} dport ${number} ip saddr != ${podNetwork} jump mark-for-masquerade
${(remembers ? found : []).join('')}    ${choice}
  }`;
}

/** As kube-proxy shortens a name to a part of a chain's. */
function hashOf(text: string, length: number): string {
  const bits = [...createHash('sha256').update(text).digest()]
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('');
  const digits = bits.match(/.{5}/g) ?? [];
  return digits
    .slice(0, length)
    .map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five, 2)])
    .join('');
}
