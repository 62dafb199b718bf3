/**
 * The addresses of -localip: their texts, and whether an address that zerohop would put on this node is one that pods can
 * ask. A copied ClusterIP of another cluster is the usual mistake: zerohop would serve it, and nobody would ask there.
 */
import { isIP } from 'node:net';
import { listenersMax } from '../limits.js';
import { addressBytes } from '../os/addresses.js';
import { canonicalAddress, isInNetwork, readNetwork } from './addresses.js';
import { type Environment, UsageError } from './flag-reader.js';

/** Reads comma-separated addresses, into their shortest form, without duplicates. Throws a UsageError. */
export function readLocalAddresses(text: string): string[] {
  const addresses = new Set<string>();
  for (const element of text.split(',').map((part) => part.trim())) {
    if (element === '') {
      throw new UsageError(`-localip "${text}" has an empty element; write addresses with one comma between them.`);
    }
    const address = canonicalAddress(element);
    if (address === undefined) {
      throw new UsageError(`-localip: "${element}" is not an IP address; write one like 169.254.20.10.`);
    }
    addresses.add(address);
  }
  if (addresses.size > listenersMax) {
    throw new UsageError(`-localip has ${addresses.size} addresses; at most ${listenersMax} are allowed.`);
  }
  return [...addresses];
}

/**
 * Throws a UsageError for `$(NAME)` in the value of a flag: Kubernetes leaves it as it is if the container has no variable
 * NAME, and variables like KUBE_DNS_SERVICE_HOST exist only in the namespace of the Service.
 */
export function refuseUnexpanded(flag: string, value: string): void {
  const [written, name] = /\$\((\w+)\)/u.exec(value) ?? [];
  if (written === undefined) return;
  const [, ofService] = /^(\w+)_SERVICE_HOST$/u.exec(name) ?? [];
  const what = `-${flag} has ${written}, which Kubernetes has not replaced: this container has no variable ${name}`;
  if (ofService === undefined) throw new UsageError(`${what}; add it to "env" of the container, or write its value.`);
  const service = ofService.toLowerCase().replaceAll('_', '-');
  const why = `because this namespace had no Service ${service} when the pod started, or because of enableServiceLinks: false`;
  const command = service === 'kube-dns' ? `kubectl -n kube-system get service ${service}` : 'kubectl get service -A';
  throw new UsageError(`${what}, ${why}; write the address that "${command}" prints.`);
}

/** What every cluster may have on a node: unspecified, loopback, link-local and unique local addresses. */
const ownByNature = ['0.0.0.0', '127.0.0.0/8', '169.254.0.0/16', '::', '::1', 'fe80::/10', 'fc00::/7'].map(
  (network) => readNetwork(network)!,
);

interface NodeFacts {
  /** Kubernetes puts the addresses of the namespace's Services into it. */
  readonly environment: Environment;
  /** Addresses of this machine's interfaces, without those that zerohop uses: an earlier mistake proves nothing. */
  readonly addresses: readonly string[];
}

/**
 * Throws a UsageError if an address that zerohop would put on its interface is neither one of this node nor that of a
 * Service. Where the address of the Service kube-dns is unknown, or of the other family, any address passes.
 */
export function refuseForeignAddresses(
  options: { readonly localAddresses: readonly string[]; readonly setupInterface: boolean },
  { environment, addresses }: NodeFacts,
): void {
  const clusterDns = comparedAddress(environment['KUBE_DNS_SERVICE_HOST'] ?? '');
  if (clusterDns === undefined || !options.setupInterface) return;
  const services = Object.entries(environment).filter(([name]) => name.endsWith('_SERVICE_HOST'));
  const known = new Set([...services.map(([, address]) => address ?? ''), ...addresses].map(comparedAddress));
  const isForeign = (written: string): boolean => {
    const address = comparedAddress(written)!;
    if (isIP(address) !== isIP(clusterDns) || known.has(address)) return false;
    const bytes = addressBytes(address);
    return !ownByNature.some((network) => isInNetwork(bytes, network));
  };
  const foreign = options.localAddresses.filter(isForeign);
  if (foreign.length === 0) return;
  const kept = options.localAddresses.filter((address) => !foreign.includes(address));
  // A template serves /health on the first address: that of the node stays there.
  const first = kept.length === 0 && isIP(clusterDns) === 4 ? ['169.254.20.10'] : kept;
  const instead = [...new Set([...first, clusterDns])].join();
  const wrong = foreign.join(' and ');
  const verb = foreign.length === 1 ? 'is' : 'are';
  throw new UsageError(
    `-localip ${wrong} ${verb} neither a link-local address, nor on another interface of this node, nor the address of ` +
      `the Service kube-dns, which is ${clusterDns}; write -localip=${instead}, or, if ${wrong} is meant, ` +
      'add it to another interface of the node first or write -setupinterface=false.',
  );
}

/** In shortest form, without its scope, and as IPv4 if it is mapped (`::ffff:10.96.0.10`). */
function comparedAddress(text: string): string | undefined {
  return canonicalAddress(text)?.replace(/%.*$|^::ffff:(?=\d+\.)/u, '');
}
