/**
 * The programs that the bench runs: where they are, which Debian package has one that is missing, and which version
 * was measured.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian's package of each program. */
const packages = {
  dnsperf: 'dnsperf',
  unbound: 'unbound',
  dnsmasq: 'dnsmasq-base',
  dnsdist: 'dnsdist',
  knotd: 'knot',
  taskset: 'util-linux',
} as const;
export type Tool = keyof typeof packages;

/** Where these programs are, or one sentence that says what to install. */
export function findTools<T extends Tool>(
  wanted: readonly T[],
  path = process.env['PATH'] ?? '',
): { readonly paths: Readonly<Record<T, string>> } | { readonly missing: string } {
  const found = wanted.map((tool) => [tool, find(tool, path)] as const);
  const missing = found.filter(([, place]) => place === null).map(([tool]) => tool);
  if (missing.length === 0) return { paths: Object.fromEntries(found) as Record<T, string> };
  const install = missing.map((tool) => packages[tool]).join(' ');
  return { missing: `The bench needs ${missing.join(' and ')}: apt-get install ${install}` };
}

function find(tool: Tool, path: string): string | null {
  // Servers are not on everybody's path.
  const folders = [...path.split(delimiter).filter(Boolean), ...(path === '' ? [] : ['/usr/sbin', '/sbin'])];
  return folders.map((folder) => join(folder, tool)).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const versionArguments: Readonly<Record<Tool, readonly string[]>> = {
  // It has no option for it, but says it before it complains of an empty input.
  dnsperf: ['-d', '/dev/null'],
  unbound: ['-V'],
  dnsmasq: ['--version'],
  dnsdist: ['--version'],
  knotd: ['--version'],
  taskset: ['--version'],
};

/** The version that a program tells, `?` when it tells none. */
export function toolVersion(tool: Tool, path: string): string {
  const { stdout, stderr } = spawnSync(path, versionArguments[tool], { encoding: 'utf8', timeout: 5_000 });
  return /(?:version:?|util-linux|^dnsdist) v?(\d[\w.-]*)/im.exec(`${stdout}\n${stderr}`)?.[1] ?? '?';
}
