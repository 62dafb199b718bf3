/**
 * The meaning of flags: their texts become one frozen value with types and units, or a UsageError that says what to change.
 * Files are not looked at here, and nothing is asked over the network: -upstreamsvc is an address, or a Service whose
 * address Kubernetes put into the environment of this process when it started (so the Service must be of the same namespace
 * and older than the pod).
 */
import { laneStaleMaxMs, syncIntervalMsMax, syncIntervalMsMin, unixPathBytesMax, workersMax } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import { canonicalAddress, dnsPort, hostAddress, portNumber, readEndpoint, splitHostPort } from './addresses.js';
import { listed } from './arguments.js';
import { formatDuration, parseDuration } from './durations.js';
import { type Environment, type FlagName, type ReadFlags, UsageError } from './flag-reader.js';
import { readLocalAddresses, refuseUnexpanded } from './local-addresses.js';

const kernelLanes = ['off', 'on', 'beside', 'try', 'remove'] as const;
const firewalls = ['iptables', 'nftables', 'auto', 'none'] as const;
export type Firewall = (typeof firewalls)[number];

const logFormats = ['auto', 'text', 'json'] as const;
export type LogFormat = (typeof logFormats)[number];

/** Of `-output`. */
export const reportOutputs = ['text', 'json'] as const;

/** How `zerohop check` reports. */
export interface CheckOutputOptions {
  readonly output: (typeof reportOutputs)[number];
  /** Reject files with warnings. */
  readonly isStrict: boolean;
}

export interface ServeOptions {
  /** Literal addresses in their shortest form, at least one, without duplicates. */
  readonly localAddresses: readonly string[];
  readonly dnsPort: number;
  readonly clusterDns: ClusterDns;
  /** `workerCount` resolves `auto`. */
  readonly workers: number | 'auto';
  readonly corefilePath: string;
  /** False: the path is the default, and without a file there the built-in configuration is used. */
  readonly corefileGiven: boolean;
  readonly baseCorefilePath: string;
  /** False: the path is the default, and the file optional. */
  readonly baseCorefileGiven: boolean;
  /** Optional, like the kube-dns ConfigMap. */
  readonly kubeDnsFolder: string;
  readonly reloadWithSignal: boolean;
  readonly setupInterface: boolean;
  readonly interfaceName: string;
  readonly setupRules: boolean;
  readonly firewall: Firewall;
  readonly syncIntervalMs: number;
  readonly skipTeardown: boolean;
  /** `beside`: on, also at interfaces where others' programs hang. `try` and `remove`: instead of serving. */
  readonly kernelLane: (typeof kernelLanes)[number];
  /** How long the kernel goes on after the end; 0: not at all. */
  readonly kernelLaneLingerMs: number;
  readonly kernelLaneFolder: string;
  /** For the NOTRACK rules only; the Corefile sets where /health is served. */
  readonly healthPort: number;
  readonly metricsAddress: Endpoint | null;
  readonly formerMetricNames: boolean;
  /** Of the live page; null: off. */
  readonly pageAddress: Endpoint | null;
  /** Replaces `__PROMETHEUS__ENDPOINT__`: `:9253`. */
  readonly prometheusAddress: string;
  readonly logFormat: LogFormat;
  readonly quiet: boolean;
  /** Whether the doctor looks at the node once a minute. */
  readonly isDoctorOn: boolean;
  readonly handoverPath: string | null;
  readonly controlPath: string | null;
  readonly cacheFilePath: string | null;
  readonly pidFilePath: string | null;
}

/** The cluster DNS is looked up in `environment`. Throws a UsageError. */
export function serveOptions(flags: ReadFlags, environment: Environment): ServeOptions {
  for (const name of ['localip', 'upstreamsvc'] as const) refuseUnexpanded(name, flags.text(name));
  return Object.freeze({
    localAddresses: Object.freeze(readLocalAddresses(flags.text('localip'))),
    dnsPort: readPort(flags, 'dns.port'),
    clusterDns: findClusterDns(flags.text('upstreamsvc'), environment),
    workers: readWorkers(flags.text('workers')),
    corefilePath: readPath(flags, 'conf'),
    corefileGiven: flags.given.includes('conf'),
    baseCorefilePath: readPath(flags, 'basecorefile'),
    baseCorefileGiven: flags.given.includes('basecorefile'),
    // As in node-cache, empty means the default.
    kubeDnsFolder: flags.text('kubednscm') || '/etc/kube-dns',
    reloadWithSignal: flags.isSet('reloadwithsignal'),
    setupInterface: flags.isSet('setupinterface'),
    interfaceName: readInterfaceName(flags.text('interfacename')),
    setupRules: flags.isSet('setupiptables'),
    firewall: readChoice('firewall', flags.text('firewall'), firewalls),
    syncIntervalMs: readSyncInterval(flags.text('syncinterval')),
    skipTeardown: flags.isSet('skipteardown'),
    kernelLane: readChoice('kernellane', flags.text('kernellane'), kernelLanes),
    kernelLaneLingerMs: readLinger(flags.text('kernellanelinger')),
    kernelLaneFolder: readPath(flags, 'kernellanefolder').replace(/\/+$/u, ''),
    healthPort: readPort(flags, 'health-port'),
    metricsAddress: readListenAddress(flags, 'metrics-listen-address'),
    formerMetricNames: flags.isSet('metrics-former-names'),
    pageAddress: readListenAddress(flags, 'page'),
    prometheusAddress: readPrometheusAddress(flags.text('prometheus-listen-address')),
    logFormat: readChoice('logformat', flags.text('logformat'), logFormats),
    quiet: flags.isSet('quiet'),
    isDoctorOn: flags.isSet('doctor'),
    handoverPath: readUnixPath(flags, 'handover'),
    controlPath: readUnixPath(flags, 'control'),
    cacheFilePath: flags.text('cachefile') || null,
    pidFilePath: flags.text('pidfile') || null,
  });
}

const autoWorkersMax = 4;

export function workerCount(workers: number | 'auto', cores: number): number {
  return workers === 'auto' ? Math.max(1, Math.min(cores, autoWorkersMax)) : workers;
}

function readPort(flags: ReadFlags, name: FlagName): number {
  const port = portNumber(flags.text(name), 1);
  if (port !== undefined) return port;
  throw new UsageError(`-${name} "${flags.text(name)}" is not a port; write a number from 1 to 65535.`);
}

function readWorkers(text: string): number | 'auto' {
  if (text === 'auto') return 'auto';
  const count = /^\d{1,3}$/u.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= workersMax) return count;
  throw new UsageError(`-workers "${text}" is not a number of threads; write 1 to ${workersMax}, or auto.`);
}

function readPath(flags: ReadFlags, name: FlagName): string {
  if (flags.text(name) !== '') return flags.text(name);
  throw new UsageError(`-${name} is empty; write a path, or omit the flag.`);
}

/** Linux allows 15 bytes without slash and white space (dev_valid_name). */
function readInterfaceName(name: string): string {
  if (/^[\x21-\x2e\x30-\x39\x3b-\x7e]{1,15}$/u.test(name) && name !== '.' && name !== '..') return name;
  throw new UsageError(
    `-interfacename "${name}" is not an interface name; write up to 15 characters without blank, slash and colon.`,
  );
}

/** Throws a UsageError for a value that is none of the choices. */
export function readChoice<Choice extends string>(name: FlagName, text: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((each) => each === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`-${name} "${text}" is unknown; write ${listed(choices)}.`);
}

/** node-cache multiplies the value by a second, so its charts write `1ns` for one second. */
function readSyncInterval(text: string): number {
  let intervalMs: number;
  try {
    intervalMs = parseDuration(text.replace(/^(\d+)ns$/u, '$1s'));
  } catch (error) {
    throw new UsageError(`-syncinterval: ${(error as Error).message}`);
  }
  if (intervalMs >= syncIntervalMsMin && intervalMs <= syncIntervalMsMax) return intervalMs;
  const range = `${formatDuration(syncIntervalMsMin)} to ${formatDuration(syncIntervalMsMax)}`;
  throw new UsageError(`-syncinterval "${text}" is out of range; write a duration from ${range}.`);
}

function readLinger(text: string): number {
  let lingerMs: number;
  try {
    lingerMs = parseDuration(text);
  } catch (error) {
    throw new UsageError(`-kernellanelinger: ${(error as Error).message}`);
  }
  if (lingerMs <= laneStaleMaxMs) return lingerMs;
  throw new UsageError(
    `-kernellanelinger "${text}" is too long; write a duration up to ${formatDuration(laneStaleMaxMs)}, 0 for none.`,
  );
}

/** `0.0.0.0:9353`, `:9353`, `localhost:9353`; null if empty. */
function readListenAddress(flags: ReadFlags, name: FlagName): Endpoint | null {
  const text = flags.text(name);
  if (text === '') return null;
  const parts = splitHostPort(text);
  const port = parts && portNumber(parts.port, 1);
  const address = parts && hostAddress(parts.host);
  if (address !== undefined && port !== undefined) return Object.freeze({ address, port });
  throw new UsageError(
    `-${name} "${text}" is not an address and port; write ADDRESS:PORT, or :PORT for all addresses.`,
  );
}

/** One word of the Corefile, whose reader checks it further. */
function readPrometheusAddress(text: string): string {
  if (/^[^\s"#{}]+$/u.test(text)) return text;
  throw new UsageError(`-prometheus-listen-address "${text}" is not an address; write ADDRESS:PORT or :PORT.`);
}

/** Null if empty. */
export function readUnixPath(flags: ReadFlags, name: 'handover' | 'control'): string | null {
  const path = flags.text(name);
  if (Buffer.byteLength(path) <= unixPathBytesMax) return path || null;
  throw new UsageError(`-${name} is longer than ${unixPathBytesMax} bytes; a unix socket needs a shorter path.`);
}

export type ClusterDns =
  | { readonly endpoint: Endpoint; readonly missing: null }
  /** `missing` is one sentence: what was looked for and what to do. */
  | { readonly endpoint: null; readonly missing: string };

/** Throws a UsageError for text that is neither an address nor the name of a Service. */
export function findClusterDns(upstreamService: string, environment: Environment): ClusterDns {
  const literal = readEndpoint(upstreamService, dnsPort);
  if (literal !== undefined) return { endpoint: literal, missing: null };
  // `10` cannot be a Service and is probably a mistyped address.
  if (!/^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/iu.test(upstreamService) || /^\d+$/u.test(upstreamService)) {
    const examples = 'kube-dns-upstream, 10.96.0.10 or 10.96.0.10:53';
    const what = `-upstreamsvc "${upstreamService}" is neither a Service name nor an address`;
    throw new UsageError(`${what}; write for example ${examples}.`);
  }
  return fromEnvironment(upstreamService, environment);
}

function fromEnvironment(service: string, environment: Environment): ClusterDns {
  const prefix = service.replaceAll('-', '_').toUpperCase();
  const hostName = `${prefix}_SERVICE_HOST`;
  const host = environment[hostName] ?? '';
  if (host === '') {
    const what = `${hostName} is not set, so the address of the Service "${service}" is unknown`;
    const remedy = 'create the Service in the namespace of this pod before the pod, or give -upstreamsvc an address';
    return { endpoint: null, missing: `${what}; ${remedy}.` };
  }
  const address = canonicalAddress(host);
  if (address === undefined) {
    const what = `${hostName} is "${host}", which is not an IP address`;
    return { endpoint: null, missing: `${what}; give -upstreamsvc an address instead.` };
  }
  const portName = `${prefix}_SERVICE_PORT_DNS`;
  const portText = environment[portName] ?? '';
  const port = portText === '' ? dnsPort : portNumber(portText, 1);
  if (port === undefined) {
    const what = `${portName} is "${portText}", which is not a port`;
    return { endpoint: null, missing: `${what}; give -upstreamsvc an address and port instead.` };
  }
  return { endpoint: { address, port }, missing: null };
}
