/** `zerohop status`: what the running instance serves and how it is, as a value and as text. */
import type { Config } from '../config/config.js';
import { formatDiagnostic } from '../config/config.js';
import type { KernelLaneNumbers } from '../observe/metrics-source.js';
import { labelledRows } from './lookup.js';
import { type BlockItem, blockItem, type Serving, type UpstreamItem, upstreamItem } from './serving.js';
import {
  bytesText,
  type Color,
  colored,
  columnsOf,
  groupedDigits,
  latencyText,
  printable,
  quantity,
  spanText,
  type TextStyle,
  wrappedText,
} from './text.js';

export interface StatusParts extends Serving {
  readonly version: string;
  readonly pid: number;
  readonly wallMs: number;
  readonly startedAtMs: number;
  readonly role: 'starting' | 'serving' | 'standing by';
  readonly standBys: number;
  readonly config: Config;
  readonly inForceSinceMs: number;
  readonly lastReload: { readonly atMs: number; readonly result: ReloadWord; readonly error: string | null } | null;
  /** Conditions of /ready that are not met. */
  readonly missing: readonly string[];
  readonly cacheUsedBytes: number;
  readonly cacheBytesMax: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  /** Of the container or cgroup; null: none. */
  readonly memoryLimitBytes: number | null;
  readonly tcpClients: number;
  readonly waitingClients: number;
  /** Null: `-kernellane` is off. */
  readonly kernelLane: KernelLaneNumbers | null;
}

type ReloadWord = 'reloaded' | 'unchanged' | 'refused';

interface StatusBlockItem extends BlockItem {
  /** Addresses that it asks, as far as they are known now. */
  readonly upstreams: number;
  /** Null without `cache`. */
  readonly cache: { readonly success: FillItem; readonly denial: FillItem } | null;
}

interface FillItem {
  readonly entries: number;
  readonly entriesMax: number;
}

/** Times are RFC 3339, spans seconds. */
export interface StatusItem {
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly upSeconds: number;
  readonly role: StatusParts['role'];
  readonly standBys: number;
  readonly configuration: {
    readonly source: string;
    readonly sha512: string;
    readonly inForceSince: string;
    readonly inForceSeconds: number;
    readonly warnings: readonly string[];
    readonly lastReload: {
      readonly at: string;
      readonly agoSeconds: number;
      readonly result: ReloadWord;
      readonly error: string | null;
    } | null;
  };
  readonly isReady: boolean;
  readonly notReady: readonly string[];
  readonly listeners: readonly { readonly server: string; readonly address: string; readonly port: number }[];
  readonly tcpClients: number;
  readonly waitingClients: number;
  readonly blocks: readonly StatusBlockItem[];
  readonly upstreams: readonly UpstreamItem[];
  readonly cache: { readonly entries: number; readonly usedBytes: number; readonly bytesMax: number };
  readonly memory: {
    readonly residentBytes: number;
    readonly heapUsedBytes: number;
    readonly limitBytes: number | null;
  };
  readonly kernelLane: {
    readonly isOn: boolean;
    readonly why: string;
    readonly answers: number;
    readonly entries: number;
    readonly links: number;
  } | null;
}

export function statusItem(parts: StatusParts): StatusItem {
  const { version, pid, wallMs, startedAtMs, role, standBys, missing, kernelLane, tcpClients, waitingClients } = parts;
  const blocks = parts.blocks.map(statusBlock);
  const { cacheUsedBytes: usedBytes, cacheBytesMax: bytesMax, residentBytes, heapUsedBytes } = parts;
  const entries = blocks.reduce(
    (sum, { cache }) => sum + (cache?.success.entries ?? 0) + (cache?.denial.entries ?? 0),
    0,
  );
  return {
    version,
    pid,
    startedAt: timeText(startedAtMs),
    upSeconds: secondsBetween(startedAtMs, wallMs),
    role,
    standBys,
    configuration: configurationOf(parts),
    isReady: missing.length === 0,
    notReady: missing,
    listeners: parts.listeners.map(({ server, at }) => ({ server, address: at.address, port: at.port })),
    tcpClients,
    waitingClients,
    blocks,
    upstreams: parts.blocks.flatMap(({ forwards, config }) =>
      forwards.states().map((state) => upstreamItem(state, config)),
    ),
    cache: { entries, usedBytes, bytesMax },
    memory: { residentBytes, heapUsedBytes, limitBytes: parts.memoryLimitBytes },
    kernelLane: kernelLane && laneOf(kernelLane),
  };
}

function statusBlock({ config, store, forwards }: Serving['blocks'][number]): StatusBlockItem {
  const fill = ({ size: entries, entriesMax }: { size: number; entriesMax: number }): FillItem => ({
    entries,
    entriesMax,
  });
  const cache = store === null ? null : { success: fill(store.success), denial: fill(store.denial) };
  return { ...blockItem(config), upstreams: forwards.states().length, cache };
}

function configurationOf({ config, wallMs, inForceSinceMs, lastReload }: StatusParts): StatusItem['configuration'] {
  return {
    source: config.source,
    sha512: config.sha512,
    inForceSince: timeText(inForceSinceMs),
    inForceSeconds: secondsBetween(inForceSinceMs, wallMs),
    warnings: config.warnings.map(formatDiagnostic),
    lastReload: lastReload && {
      at: timeText(lastReload.atMs),
      agoSeconds: secondsBetween(lastReload.atMs, wallMs),
      result: lastReload.result,
      error: lastReload.error,
    },
  };
}

function laneOf({ isOn, why, answers, entries, links }: KernelLaneNumbers): NonNullable<StatusItem['kernelLane']> {
  return { isOn, why, answers, entries, links };
}

function timeText(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

function secondsBetween(fromMs: number, toMs: number): number {
  return Math.max(0, Math.round((toMs - fromMs) / 1_000));
}

/** For people; without the last line end. */
export function statusText(item: StatusItem, style: TextStyle): string {
  const { version, pid, upSeconds, role, blocks, upstreams, listeners } = item;
  const word = role === 'serving' ? 'serves' : role === 'starting' ? 'is starting' : 'stands by';
  const heading = `zerohop ${printable(version)} ${word}, pid ${pid}, up ${spanText(upSeconds)}`;
  return [
    colored(heading, 'bold', style),
    labelledRows(generalRows(item)),
    colored('Listeners', 'bold', style),
    ...listeners.map(({ server }) => `  ${printable(server)}`),
    colored('Server blocks', 'bold', style),
    ...blocks.flatMap(blockLines),
    colored('Upstreams', 'bold', style),
    ...upstreamLines(upstreams, style),
    ...blocks.flatMap((block) => lonelyLines(block, style)),
  ].join('\n');
}

function generalRows(item: StatusItem): string[][] {
  const { standBys, configuration, notReady, memory, cache, kernelLane, tcpClients, waitingClients } = item;
  const { source, sha512, inForceSeconds, warnings, lastReload } = configuration;
  const limit = memory.limitBytes === null ? '' : ` of ${bytesText(memory.limitBytes)}`;
  return [
    ['stand-bys', standBys === 0 ? 'none' : groupedDigits(standBys)],
    ['ready', notReady.length === 0 ? 'yes' : `no, waits for ${notReady.join(', ')}`],
    ['config', `${printable(source)} (sha512 ${sha512.slice(0, 12)}), in force for ${spanText(inForceSeconds)}`],
    ...(warnings.length === 0 ? [] : [['warnings', `${warnings.length}: ${printable(warnings.join(' '))}`]]),
    ['reload', lastReload === null ? 'none since the start' : reloadText(lastReload)],
    ['clients', `${groupedDigits(tcpClients)} over TCP; ${groupedDigits(waitingClients)} wait for an upstream`],
    ['cache', `${quantity(cache.entries, 'answer')}, ${bytesText(cache.usedBytes)} of ${bytesText(cache.bytesMax)}`],
    ['memory', `${bytesText(memory.residentBytes)}${limit}, of it ${bytesText(memory.heapUsedBytes)} heap`],
    ['kernel lane', kernelLane === null ? 'off (-kernellane)' : laneText(kernelLane)],
  ];
}

function reloadText({ agoSeconds, result, error }: NonNullable<StatusItem['configuration']['lastReload']>): string {
  const ago = `${spanText(agoSeconds)} ago`;
  if (result !== 'refused') return `${ago}: ${result === 'reloaded' ? 'new configuration in force' : 'unchanged'}`;
  return `${ago}: REJECTED, the old configuration stays: ${printable(error ?? '')}`;
}

function laneText({ isOn, why, answers, entries, links }: NonNullable<StatusItem['kernelLane']>): string {
  if (!isOn) return `off${why === '' ? '' : `: ${printable(why)}`}`;
  return `on: ${quantity(answers, 'answer')} given, ${quantity(entries, 'entry', 'entries')} at ${quantity(links, 'interface')}`;
}

function blockLines({ zones, at, aaaa, cache, directives }: StatusBlockItem): string[] {
  const fill = ({ entries, entriesMax }: FillItem): string =>
    `${groupedDigits(entries)} of ${groupedDigits(entriesMax)}`;
  const cached = cache === null ? 'no cache' : `cache ${fill(cache.success)}, denials ${fill(cache.denial)}`;
  const policy = aaaa === 'forward' ? '' : `; AAAA ${aaaa}`;
  return [
    ...wrappedText(`  ${printable(`${zones.join(' ')} at ${at}`)}`, { indent: 4 }).split('\n'),
    ...wrappedText(`    ${cached}${policy}`, { indent: 6 }).split('\n'),
    ...wrappedText(`    ${printable(directives.join(' '))}`, { indent: 6 }).split('\n'),
  ];
}

const stateColors: Readonly<Record<UpstreamItem['state'], Color>> = {
  up: 'green',
  failing: 'yellow',
  down: 'red',
  looping: 'red',
  'not asked yet': 'dim',
};

function upstreamLines(upstreams: readonly UpstreamItem[], style: TextStyle): string[] {
  const rows = upstreams.map(({ address, zones, state, isTls, connections, suspects, roundTripMs }) => [
    printable(address),
    state,
    roundTripMs === null ? '' : latencyText(roundTripMs),
    `${quantity(connections, 'connection')}${isTls ? ' (TLS)' : ''}${suspects > 0 ? `, ${suspects} suspect` : ''}`,
    `for ${printable(zones.length > 3 ? `${zones[0]} and ${zones.length - 1} more` : zones.join(' '))}`,
  ]);
  return columnsOf(rows, 2).map((line, at) => colored(line, stateColors[upstreams[at].state], style));
}

/** A resolv.conf may be missing or empty. */
function lonelyLines({ zones, directives, upstreams }: StatusBlockItem, style: TextStyle): string[] {
  if (upstreams > 0 || !directives.includes('forward')) return [];
  return wrappedText(`  none is known for ${printable(zones.join(' '))}`, { indent: 4 })
    .split('\n')
    .map((line) => colored(line, 'red', style));
}
