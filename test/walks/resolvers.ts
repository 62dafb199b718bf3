/**
 * How programs in pods look a name up: which questions glibc, musl and Go ask, in which order, and when they stop. A
 * walk is all that one lookup asks with the pod's search list.
 *
 * - glibc (resolv/res_query.c, nss_dns): a name with fewer dots than ndots goes through the search list first and is
 *   asked as it is last; A and AAAA are sent together from one socket; a name without addresses is passed over.
 * - musl (src/network/lookup_name.c): the same order, and a name that exists without addresses ends the walk.
 * - Go (net/dnsclient_unix.go, goLookupIPCNAMEOrder): the same order; each question has a socket of its own and an OPT,
 *   and which of the two comes first is left to the scheduler.
 */
import type { Random } from '../../src/os/random.js';

export type AddressType = 'A' | 'AAAA';

export interface StubAnswer {
  readonly rcode: string;
  /** Records of the type that was asked for. */
  readonly addresses: readonly string[];
}

/** Asks one question of the pod's nameserver; the name has no closing dot. */
export type AskStub = (name: string, type: AddressType, options: { readonly edns: boolean }) => Promise<StubAnswer>;

export const stubLibraries = ['glibc', 'musl', 'go', 'glibc single-request'] as const;
export type StubLibrary = (typeof stubLibraries)[number];

export interface Walk {
  readonly library: StubLibrary;
  readonly host: string;
  /** Where the pod is. */
  readonly namespace: string;
  /** `inet` asks for A alone, `unspec` for both. */
  readonly family: 'inet' | 'unspec';
  /** Search domains behind those of the cluster, as kubelet copies them from the node. */
  readonly nodeSearch?: readonly string[];
}

const ndots = 5;

/** Walks to the end, and gives the addresses that were found, or none. `random` stands for Go's scheduler. */
export async function walkOn(walk: Walk, ask: AskStub, random: Random): Promise<readonly string[]> {
  const { library, family } = walk;
  for (const name of candidatesOf(walk)) {
    const types: AddressType[] = family === 'inet' ? ['A'] : ['A', 'AAAA'];
    if (library === 'go' && random.below(2) === 1) types.reverse();
    const answers = await askAll(types, library, (type) => ask(name, type, { edns: library === 'go' }));
    const addresses = answers.flatMap((answer) => answer.addresses);
    const endsEmpty = library === 'musl' && answers.some(({ rcode }) => rcode === 'NOERROR');
    if (addresses.length > 0 || endsEmpty) return addresses;
  }
  return [];
}

async function askAll(
  types: readonly AddressType[],
  library: StubLibrary,
  ask: (type: AddressType) => Promise<StubAnswer>,
): Promise<StubAnswer[]> {
  if (library !== 'glibc single-request') return Promise.all(types.map(ask));
  const answers: StubAnswer[] = [];
  for (const type of types) answers.push(await ask(type));
  return answers;
}

/** The search list of a pod, then the name itself; a name with a closing dot or enough dots is asked as it is. */
function candidatesOf({ host, namespace, nodeSearch = [] }: Walk): string[] {
  if (host.endsWith('.')) return [host.slice(0, -1)];
  const search = [`${namespace}.svc.cluster.local`, 'svc.cluster.local', 'cluster.local', ...nodeSearch];
  const searched = search.map((domain) => `${host}.${domain}`);
  return host.split('.').length > ndots ? [host, ...searched] : [...searched, host];
}
