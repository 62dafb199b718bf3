/**
 * What kube-proxy on this node does with packets to a Service's address, without the Kubernetes API: its mode, from
 * itself or from its traces, and the endpoints that its rules lead to. Nothing here sends a packet beyond the node.
 */
import { canonicalAddress } from '../config/addresses.js';
import { doctorChainsMax, doctorCommandMs, doctorFileBytesMax, doctorRulesMax } from '../limits.js';
import { isIpv6 } from '../os/addresses.js';
import type { Command, CommandEnd } from '../os/commands.js';
import type { Endpoint } from '../os/network.js';
import type { DoctorOutsides } from './check.js';
import { readTextOf } from './found.js';
import { type KubeProxyMode, kubeProxyOf } from './kube-proxy.js';
import {
  type Affinity,
  destinationsIn,
  endpointChainsIn,
  isDispatchLine,
  type ServiceRule,
  serviceRulesIn,
} from './kube-proxy-iptables.js';
import { virtualServersIn } from './kube-proxy-ipvs.js';
import { affinityOf, dnatDestinationsIn, elementsFor, serviceChainIn } from './kube-proxy-nftables.js';
import type { ProbeTransport } from './probe.js';

/** What kube-proxy does with packets to the address over one protocol. */
export interface ServedPort {
  /**
   * `rejected`: a rule, or a virtual server without real ones, says that the Service has no endpoints. `empty`: a rule
   * leads to a chain that leads nowhere. `absent`: there is no rule.
   */
  readonly state: 'served' | 'rejected' | 'empty' | 'absent';
  readonly endpoints: readonly Endpoint[];
  readonly affinity: Affinity | null;
  /** `kube-system/kube-dns`; null where the rules do not name it. */
  readonly service: string | null;
}

export type ServiceRules =
  | ({ readonly known: true; readonly mode: KubeProxyMode; readonly at: Endpoint } & Readonly<
      Record<ProbeTransport, ServedPort>
    >)
  /** One sentence without the final stop. */
  | { readonly known: false; readonly why: string; readonly at: Endpoint };

const ipvsFile = '/proc/net/ip_vs';
const listBytesMax = doctorRulesMax * 512;
const absentPort: ServedPort = { state: 'absent', endpoints: [], affinity: null, service: null };
const overBoth: readonly ProbeTransport[] = ['udp', 'tcp'];

/** Looks up the rules for the Service at this address and port. Never rejects. */
export async function rulesOfService(outsides: DoctorOutsides, at: Endpoint): Promise<ServiceRules> {
  const { mode, how } = await kubeProxyOf(outsides);
  if (mode === null) return { known: false, at, why: how };
  const looks = { ipvs: ipvsRules, nftables: nftablesRules, iptables: iptablesRules };
  try {
    return await looks[mode](outsides, at);
  } catch (error) {
    if (error instanceof ListingFailed) return { known: false, at, why: error.message };
    throw error;
  }
}

/** A program began well and failed in the middle, so its rules are not known. */
class ListingFailed extends Error {}

async function ipvsRules(outsides: DoctorOutsides, at: Endpoint): Promise<ServiceRules> {
  const text = await readTextOf(outsides, ipvsFile, doctorFileBytesMax);
  if (text === undefined) return { known: false, at, why: `${ipvsFile} cannot be read` };
  const servers = virtualServersIn(text);
  const portOver = (over: ProbeTransport): ServedPort => {
    const server = servers.find((each) => each.over === over && isSameEndpoint(each.at, at));
    if (server === undefined) return absentPort;
    const { endpoints, affinity } = server;
    return { state: endpoints.length === 0 ? 'rejected' : 'served', endpoints, affinity, service: null };
  };
  return { known: true, mode: 'ipvs', at, udp: portOver('udp'), tcp: portOver('tcp') };
}

async function nftablesRules({ run }: DoctorOutsides, at: Endpoint): Promise<ServiceRules> {
  const table = `${isIpv6(at.address) ? 'ip6' : 'ip'} kube-proxy`;
  const keep = (line: string): boolean => line.includes(at.address);
  const lists = await Promise.all(
    ['service-ips', 'no-endpoint-services'].map((map) =>
      listRules(run, 'nft', `list map ${table} ${map}`.split(' '), keep),
    ),
  );
  const [served, rejected] = lists;
  if (!served.ran || served.status !== 0) {
    return { known: false, at, why: `the map service-ips of kube-proxy cannot be listed: ${endText(served)}` };
  }
  const elements = elementsFor(served.stdout, at);
  const rejects = rejected.ran && rejected.status === 0 ? elementsFor(rejected.stdout, at) : [];
  const ports = await Promise.all(
    overBoth.map(async (over): Promise<ServedPort> => {
      const chain = elements.find((each) => each.over === over)?.chain ?? null;
      const reject = rejects.find((each) => each.over === over);
      if (reject !== undefined) return { state: 'rejected', endpoints: [], affinity: null, service: reject.service };
      return chain === null ? absentPort : nftablesPort(run, table, chain);
    }),
  );
  return { known: true, mode: 'nftables', at, udp: ports[0], tcp: ports[1] };
}

async function nftablesPort(run: DoctorOutsides['run'], table: string, chain: string): Promise<ServedPort> {
  const { chains, destinations, affinitySet } = serviceChainIn(await nftListed(run, table, 'chain', [chain]));
  const behind = chains.length === 0 ? destinations : dnatDestinationsIn(await nftListed(run, table, 'chain', chains));
  const affinity = affinitySet === null ? null : affinityOf(await nftListed(run, table, 'set', [affinitySet]));
  const endpoints = withoutEqualEndpoints(behind);
  return { state: endpoints.length === 0 ? 'empty' : 'served', endpoints, affinity, service: nameIn(chain) };
}

/** `kube-system/kube-dns` of `service-NWBZK7IH-kube-system/kube-dns/tcp/dns-tcp`. */
function nameIn(chain: string | null): string | null {
  return /^service-[^-]+-([^/]+\/[^/]+)\//u.exec(chain ?? '')?.[1] ?? null;
}

/**
 * What nft prints of chains or sets of the table, one call each: nft 1.0 finds only the last of several. Lines of elements
 * are left out, of which there is one per client.
 */
async function nftListed(
  run: DoctorOutsides['run'],
  table: string,
  kind: 'chain' | 'set',
  names: readonly string[],
): Promise<string> {
  const keep = (line: string): boolean => kind === 'chain' || line.includes('\ttimeout ');
  const texts = names.slice(0, doctorChainsMax).map(async (name) => {
    const parameters = ['list', kind, ...table.split(' '), name];
    return listingText('nft', await listRules(run, 'nft', parameters, keep));
  });
  return (await Promise.all(texts)).join('');
}

async function iptablesRules({ run, readFile }: DoctorOutsides, at: Endpoint): Promise<ServiceRules> {
  const family = isIpv6(at.address) ? 'ip6' : 'ip';
  // Asking for a legacy table makes the kernel load it.
  const hasLegacy = (readFile(`/proc/net/${family}_tables_names`) ?? '').split('\n').includes('nat');
  const saves = [`${family}tables-nft-save`, ...(hasLegacy ? [`${family}tables-legacy-save`] : [])];
  const keep = (line: string): boolean => isDispatchLine(line, at.address);
  const look = async (save: string) => ({ save, end: await listRules(run, save, ['-t', 'nat'], keep) });
  const listings = await Promise.all(saves.map(look));
  if (listings.every(({ end }) => !end.ran && end.why === 'missing')) listings.push(await look(`${family}tables-save`));
  const found = listings.flatMap(({ save, end }) => (end.ran && end.status === 0 ? [{ save, text: end.stdout }] : []));
  if (found.length === 0)
    return { known: false, at, why: `the rules cannot be listed: ${endText(listings.at(-1)!.end)}` };
  const ofProxy = found.filter(({ text }) => text.includes('KUBE-SERVICES'));
  const chosen = ofProxy.find(({ text }) => serviceRulesIn(text, at).length > 0) ?? ofProxy[0] ?? found[0];
  const rules = [...serviceRulesIn(chosen.text, at), ...(await rejectsIn(run, chosen.save, at))];
  const ports = await Promise.all(overBoth.map((over) => iptablesPort(run, chosen.save, rules, over)));
  return { known: true, mode: 'iptables', at, udp: ports[0], tcp: ports[1] };
}

/** The table nat has no rule for a Service without endpoints; the table filter rejects it. */
async function rejectsIn(run: DoctorOutsides['run'], save: string, at: Endpoint): Promise<ServiceRule[]> {
  const end = await listRules(run, save, ['-t', 'filter'], (line) => isDispatchLine(line, at.address));
  return serviceRulesIn(listingText(save, end), at).filter(({ chain }) => chain === null);
}

async function iptablesPort(
  run: DoctorOutsides['run'],
  save: string,
  rules: readonly ServiceRule[],
  over: ProbeTransport,
): Promise<ServedPort> {
  const ofPort = rules.filter((rule) => rule.over === over);
  const service = ofPort.find((rule) => rule.service !== null)?.service?.split(':')[0] ?? null;
  const { chain } = ofPort.find((rule) => rule.chain !== null) ?? { chain: null };
  if (ofPort.length === 0) return absentPort;
  if (chain === null) return { state: 'rejected', endpoints: [], affinity: null, service };
  const natRules = async (keep: (line: string) => boolean): Promise<string> =>
    listingText(save, await listRules(run, save, ['-t', 'nat'], keep));
  const { chains, affinity } = endpointChainsIn(await natRules((line) => line.startsWith(`-A ${chain} `)), chain);
  const known = new Set(chains.map((each) => `-A ${each}`));
  const isOfEndpoint = (line: string): boolean => known.has(line.slice(0, line.indexOf(' ', 3)));
  const text = chains.length === 0 ? '' : await natRules(isOfEndpoint);
  const endpoints = withoutEqualEndpoints(destinationsIn(text, chains));
  return { state: endpoints.length === 0 ? 'empty' : 'served', endpoints, affinity, service };
}

/** Throws a ListingFailed. */
function listingText(program: string, end: CommandEnd): string {
  if (end.ran && end.status === 0) return end.stdout;
  throw new ListingFailed(`${program} failed: ${endText(end)}`);
}

function listRules(
  run: DoctorOutsides['run'],
  program: string,
  parameters: readonly string[],
  keep: NonNullable<Command['keep']>,
): Promise<CommandEnd> {
  return run({ program, parameters, keep, timeoutMs: doctorCommandMs, outputBytesMax: listBytesMax });
}

function endText(end: CommandEnd): string {
  if (!end.ran) return end.text;
  return end.stderr.split('\n')[0].trim() || `exit status ${end.status}`;
}

function isSameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.port === other.port && canonicalAddress(one.address) === canonicalAddress(other.address);
}

/** Without those of another entry that is equal. */
export function withoutEqualEndpoints(endpoints: readonly Endpoint[]): Endpoint[] {
  const known = new Map(endpoints.map((each) => [`${each.address} ${each.port}`, each]));
  return [...known.values()];
}
