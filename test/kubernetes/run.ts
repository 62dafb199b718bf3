/**
 * What Kubernetes does with us, tried in a real one-node cluster: names, updates, deaths, ConfigMaps, probes. It is
 * started by test/kubernetes/run, prints a table for docs/KUBERNETES.md, and ends with 1 when something did not hold.
 * Names of trials may follow the two arguments, to make only those.
 */
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { clusterIn, type Result } from './cluster.js';
import { clients } from './objects.js';
import { trials } from './trials.js';

const [, , folder, archive, ...only] = process.argv;
const cluster = clusterIn(folder);
const askerFolder = mkdtempSync(join(tmpdir(), 'zerohop-asker-'));

async function main(): Promise<number> {
  const results: Result[] = [];
  try {
    copyFileSync(join(dirname(fileURLToPath(import.meta.url)), 'asker.js'), join(askerFolder, 'asker.mjs'));
    chmodSync(askerFolder, 0o755);
    await cluster.up('169.254.20.10');
    await cluster.importImage(archive);
    await cluster.apply(clients(askerFolder));
    await cluster.kubectl('wait', '--for=condition=Ready', 'pod', '--all', '--timeout=90s');
    for (const { name, work } of trials.filter(({ name }) => only.length === 0 || only.includes(name))) {
      const rows = await work(cluster).catch((error: Error) => [failed(name, error)]);
      for (const row of rows) {
        results.push(row);
        process.stdout.write(`${line(row)}\n`);
      }
    }
  } finally {
    cluster.down();
    rmSync(askerFolder, { recursive: true });
  }
  return results.length > 0 && results.every(({ holds }) => holds) ? 0 : 1;
}

function failed(name: string, error: Error): Result {
  return { tried: name, holds: false, lost: '', took: '', seen: error.message.replace(/\s+/g, ' ').slice(0, 300) };
}

function line({ tried, holds, lost, took, seen }: Result): string {
  return `| ${[tried, `${holds ? '' : '**does not hold** '}${seen}`, lost, took].join(' | ')} |`;
}

process.stdout.write('| tried | seen | lost | took |\n|---|---|---|---|\n');
process.exitCode = await main();
