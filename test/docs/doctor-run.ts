/** `zerohop doctor` on a node with a silent endpoint as the README shows it: what is wrong, and the last line. */
import { stripVTControlCharacters } from 'node:util';
import { Cluster } from '../real/doctor/cluster.js';
import { endpointFaults } from '../real/doctor/cluster-faults.js';

export const doctorCommand = '$ kubectl -n kube-system exec ds/node-local-dns -- zerohop doctor';

/** Needs what a cluster needs. */
export async function runDoctorOfSilentEndpoint(environment: Readonly<Record<string, string>>): Promise<string[]> {
  const cluster = await Cluster.make('iptables-nft');
  try {
    await cluster.startZerohop();
    await endpointFaults.find(({ name }) => name === 'an endpoint of two is silent')!.make(cluster);
    return shownLines(await cluster.doctorText(environment));
  } finally {
    await cluster.remove();
  }
}

/** Without what is well, and without the advice that every node without a stand-by gets. */
function shownLines(text: string): string[] {
  const blocks = text.trimEnd().split('\n\n');
  const isShown = (block: string): boolean => /^(?:FAIL|info) {2}(?!alone)/u.test(stripVTControlCharacters(block));
  const shown = [...blocks.filter(isShown), blocks.at(-1) ?? ''];
  return shown.flatMap((block) => ['', ...block.split('\n')]);
}

/** As one line, without what differs from run to run. */
export function withoutCounts(lines: readonly string[]): string {
  return lines
    .join(' ')
    .replace(/\s+/gu, ' ')
    .replace(/\d+ (?=ok|skipped)|[\d.]+ (?=s,)/gu, 'N ')
    .replace(/\d+ (quer|question)(?:y|ies|s)?( was| were)?/gu, 'N $1');
}
