/**
 * What the real Knot serves in place of the cluster DNS: the names that a Kubernetes cluster has, sets of records
 * that fit one packet or do not, and a zone that stands for the world outside.
 */

const header = `$TTL 30
@ SOA ns hostmaster 1 7200 1800 86400 5
@ NS ns
ns A 10.96.0.10
`;

/** 300 addresses of `many`, in the order in which they are made; the first 40 belong to `forty` too. */
export const addresses = Array.from(
  { length: 300 },
  (_, index) => `10.1.${Math.floor(index / 250)}.${(index % 250) + 1}`,
);

/** Where the pods of the cluster DNS are, where a test has them. */
export const endpointAddresses = ['10.244.1.2', '10.244.1.3'];
/** One that no name knows. */
export const thirdEndpointAddress = '10.244.1.4';

const clusterZone = `${header}
web.default.svc A 10.96.1.1
MixedCase.default.svc A 10.96.1.2
dual.default.svc A 10.96.1.3
dual.default.svc AAAA fd00::3
six.default.svc AAAA fd00::6
_http._tcp.web.default.svc SRV 0 100 80 web.default.svc
web.default.svc TXT "a text" "and \\"another\\""
one.default.svc CNAME two.default.svc
two.default.svc CNAME three.default.svc
three.default.svc CNAME web.default.svc
long.default.svc 86400 A 10.96.1.4
zero.default.svc 0 A 10.96.1.5
four.default.svc 4 A 10.96.1.6
*.wild.default.svc A 10.96.2.1
*.wild.svc A 10.96.2.1
*.brief.default.svc 1 A 10.96.2.2
${endpointAddresses.map((address) => `kube-dns-headless.kube-system.svc 1 A ${address}`).join('\n')}
${addresses
  .slice(0, 40)
  .map((address) => `forty.default.svc A ${address}`)
  .join('\n')}
${addresses.map((address) => `many.default.svc A ${address}`).join('\n')}
${Array.from({ length: 250 }, (_, index) => `n${index}.default.svc A 10.97.0.${index}`).join('\n')}
`;

const reverseZone = `${header}
1.1.96.10 PTR web.default.svc.cluster.local.
`;

const reverseZone6 = `${header}
${reverseName('fd000000000000000000000000000006')} PTR six.default.svc.cluster.local.
`;

const outsideZone = `${header}
www A 192.0.2.1
www AAAA 2001:db8::1
four A 192.0.2.4
${addresses
  .slice(0, 40)
  .map((address) => `forty A ${address}`)
  .join('\n')}
`;

/** Zone names and their files' text; the root, so that a name nobody has is NXDOMAIN and not REFUSED. */
export const zones: Readonly<Record<string, string>> = {
  '.': header,
  'cluster.local': clusterZone,
  'in-addr.arpa': reverseZone,
  'ip6.arpa': reverseZone6,
  'outside.test': outsideZone,
};

/** The labels in front of ip6.arpa for 32 hexadecimal digits. */
function reverseName(digits: string): string {
  return [...digits].reverse().join('.');
}
