/**
 * In which mode kube-proxy runs on this node. kube-proxy says so itself at its address for metrics; where that is closed, the
 * mode shows in what kube-proxy has made: a link, a table, a chain.
 */
import { kubeProxyPageBytesMax, kubeProxyPageMs } from '../limits.js';
import { oncePerRun, runProgramFor } from './found.js';
import { linksOf } from './links.js';

export type KubeProxyMode = 'iptables' | 'ipvs' | 'nftables';

interface KubeProxy {
  /** Null: there is no kube-proxy here, as with Cilium in its place, or it cannot be seen. */
  readonly mode: KubeProxyMode | null;
  /** By what the mode was found, or why not, as a clause. */
  readonly how: string;
}

const kubeProxyPages = 'http://127.0.0.1:10249';
export const kubeProxyMetrics = `${kubeProxyPages}/metrics`;
const kubeProxyModes: readonly string[] = ['iptables', 'ipvs', 'nftables'] satisfies readonly KubeProxyMode[];

export const kubeProxyOf = oncePerRun(async (outsides): Promise<KubeProxy> => {
  const bounds = { timeoutMs: kubeProxyPageMs, bytesMax: kubeProxyPageBytesMax };
  const page = await outsides.fetchText(`${kubeProxyPages}/proxyMode`, bounds);
  const said = page?.status === 200 ? page.body.trim() : '';
  if (isMode(said)) return { mode: said, how: 'as kube-proxy says at 127.0.0.1:10249' };
  const links = await linksOf(outsides);
  const all = links.ok ? links.items : [];
  if (all.some(({ name, addresses }) => name === 'kube-ipvs0' && addresses.length > 0)) {
    return { mode: 'ipvs', how: 'as kube-ipvs0 has addresses' };
  }
  const tables = await runProgramFor(outsides, 'nft', ['list', 'tables'], (line) =>
    /^table ip6? kube-proxy$/u.test(line),
  );
  if (tables.ok && tables.text !== '') return { mode: 'nftables', how: 'as the table kube-proxy of nftables shows' };
  const legacyTables = (outsides.readFile('/proc/net/ip_tables_names') ?? '').split('\n');
  const chains = await chainsFoundBy(legacyTables, (program, parameters, keep) =>
    runProgramFor(outsides, program, parameters, keep),
  );
  if (chains !== null) return { mode: 'iptables', how: `as ${chains} shows` };
  const isCilium = all.some(({ name }) => name === 'cilium_host');
  return { mode: null, how: isCilium ? 'Cilium is here, and no kube-proxy' : 'no trace of kube-proxy is here' };
});

function isMode(text: string): text is KubeProxyMode {
  return kubeProxyModes.includes(text);
}

type RunProgram = (
  program: string,
  parameters: readonly string[],
  keep: (line: string) => boolean,
) => ReturnType<typeof runProgramFor>;

/** kube-proxy's marks: the first one is in a small table; versions before 1.18 have the second one alone, in a large one. */
const chainsOfKubeProxy = [
  { table: 'mangle', chain: ':KUBE-PROXY-CANARY ' },
  { table: 'nat', chain: ':KUBE-SERVICES ' },
] as const;

/** The program that finds a chain of kube-proxy's; null: none does. Listing a legacy table that is not there would make it. */
async function chainsFoundBy(legacyTables: readonly string[], run: RunProgram): Promise<string | null> {
  for (const { table, chain } of chainsOfKubeProxy) {
    const programs = ['iptables-nft-save', 'ip6tables-nft-save'];
    if (legacyTables.includes(table)) programs.push('iptables-legacy-save');
    for (const program of programs) {
      const end = await run(program, ['-t', table], (line) => line.startsWith(chain));
      if (end.ok && end.text !== '') return program;
    }
  }
  return null;
}
