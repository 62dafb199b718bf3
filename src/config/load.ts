/**
 * From a Corefile to the frozen `Config`. One server block is read in block.ts. Here are the rules between blocks (a zone
 * is on an address once, HTTP servers of different kinds and DNS over TCP share no port, the number of listeners and of
 * open files has a bound), and the access to files, environment and interfaces.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { clientKindsMax, corefileBytesMax, listenersMax, openFilesPerWorker, openFilesSpare } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import { raiseOpenFiles } from '../os/open-files.js';
import { addressCovers, addressesOverlap, canonicalAddress, formatEndpoint } from './addresses.js';
import { type BlockOptions, type PlacedDirective, type ReadBlock, readBlock } from './block.js';
import { clientKinds } from './client-kinds.js';
import {
  type BlockConfig,
  type Config,
  ConfigError,
  type Diagnostic,
  Findings,
  type HealthConfig,
  lineOf,
  type ReadyConfig,
  type ReloadConfig,
  type Written,
} from './config.js';
import { readCorefile } from './corefile.js';
import type { ConfigFiles, Sources } from './imports.js';
import type { PluginReader } from './plugins.js';
import { listenersOf } from './returning.js';

/** The environment of a configuration. */
export interface LoadOptions extends BlockOptions, Sources {}

/** This machine's; zones without a port get `defaultPort`. */
export function systemLoadOptions(defaultPort: number, plugins: readonly PluginReader[]): LoadOptions {
  return {
    defaultPort,
    plugins,
    environment: process.env,
    files: systemFiles,
    interfaceAddresses: systemInterfaceAddresses,
    hostName: hostname,
  };
}

/** The Corefile at `path`; `alsoWatch` joins the configuration's files. Throws a ConfigError. */
export function loadCorefile(path: string, options: LoadOptions, alsoWatch: readonly string[] = []): Config {
  const files = [path, ...alsoWatch];
  const text = readNamed(path, options, '; give -conf a file that this user can read.', files);
  return parsePieces([{ text, file: path }], files, options);
}

/** The text of a file that flags or arguments name. Throws a ConfigError with this remedy and these files. */
export function readNamed(
  file: string,
  { files }: LoadOptions,
  remedy: string,
  looked: readonly string[] = [],
): string {
  try {
    return files.read(file);
  } catch (error) {
    const why = (error as Error).message.replace(/\.$/u, '');
    throw new ConfigError({ file, line: 0 }, `${why}${remedy}`, { files: looked });
  }
}

/** The configuration of a Corefile's text; `source` is its path, or another name of its origin. Throws a ConfigError. */
export function parseConfig(text: string, source: string, options: LoadOptions): Config {
  return parsePieces([{ text, file: source }], [], options);
}

/** The configuration of a Corefile in pieces, at least one, which were made from `files`. Throws a ConfigError. */
export function parsePieces(pieces: readonly Written[], files: readonly string[], options: LoadOptions): Config {
  const findings = new Findings();
  const { warnings } = findings;
  const source = pieces[0].file;
  const corefile = readCorefile(pieces, options, findings);
  if (corefile.blocks.length === 0 && !findings.hasErrors) {
    const sentence =
      'the Corefile has no server block; write one, for example ". { forward . /etc/resolv.conf }" on three lines.';
    findings.error({ file: source, line: 0 }, sentence);
  }
  const noting = notingReads(options);
  const read = corefile.blocks.map((block) => readBlock(block, noting.options, findings));
  const blocks = read.map(({ config }) => config);
  const placed = read.filter(({ isPlaced }) => isPlaced);
  const placedBlocks = placed.map(({ config }) => config);
  refuseOverlaps(placedBlocks, findings);
  refuseSharedPorts(placed, findings);
  refuseManyKinds(placedBlocks, findings);
  warnOfNxdomain(read, warnings);
  const allFiles = [...new Set([...files, ...corefile.imported, ...noting.files])];
  findings.refuse(source, { files: allFiles });
  return deepFreeze({
    source,
    pieces: pieces.map((piece) => ({ ...piece })),
    sha512: sha512Of([...pieces.map(({ text }) => text), ...corefile.importedTexts]),
    files: allFiles,
    blocks,
    health: allHealth(read),
    ready: allReady(read),
    metrics: distinctEndpoints(read.map(({ metrics }) => metrics)),
    pprof: distinctEndpoints(read.map(({ pprof }) => pprof)),
    reload: onlyReload(read, warnings),
    debug: read.some(({ debug }) => debug),
    warnings,
  });
}

/** The same options, which from now on note the files that directives read. */
function notingReads(options: LoadOptions): { readonly options: LoadOptions; readonly files: ReadonlySet<string> } {
  const files = new Set<string>();
  const read = (file: string): string => {
    files.add(file);
    return options.files.read(file);
  };
  const readBytes = (file: string): Buffer => {
    files.add(file);
    return options.files.readBytes(file);
  };
  return { options: { ...options, files: { ...options.files, read, readBytes } }, files };
}

/** Relative paths start in the working directory of the process. */
export const systemFiles: ConfigFiles = {
  read: (file) => corefileText(bytesOf(file)),
  readBytes: bytesOf,
  exists: existsSync,
  list: (folder) => (existsSync(folder) ? readdirSync(folder) : []),
};

/** The text of a Corefile's bytes. Throws an Error with one sentence if they are too many or not UTF-8. */
export function corefileText(bytes: Uint8Array): string {
  refuseLarge(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Error('not UTF-8 text.');
  }
}

function refuseLarge({ length }: Uint8Array): void {
  if (length > corefileBytesMax) throw new Error(`larger than ${corefileBytesMax} bytes.`);
}

const whyUnreadable: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EISDIR: 'is a directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
};

function bytesOf(file: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new Error(`${whyUnreadable[code] ?? message}.`);
  }
  refuseLarge(bytes);
  return bytes;
}

/** IPv6 link-local addresses carry their interface as scope, since they mean nothing without it. */
function systemInterfaceAddresses(name: string): readonly string[] | undefined {
  const interfaces = networkInterfaces();
  if (!Object.hasOwn(interfaces, name)) return undefined;
  return interfaces[name]?.map(({ address, family }) => {
    const isLinkLocal = family === 'IPv6' && /^fe[89ab]/iu.test(address);
    return canonicalAddress(isLinkLocal ? `${address}%${name}` : address) ?? address;
  });
}

function sha512Of(texts: readonly string[]): string {
  const hash = createHash('sha512');
  for (const text of texts) hash.update(text);
  return hash.digest('hex');
}

function allHealth(read: readonly ReadBlock[]): HealthConfig | null {
  const placed = read.flatMap(({ health }) => health ?? []);
  if (placed.length === 0) return null;
  return { addresses: distinctEndpoints(placed), lameduckMs: Math.max(...placed.map(({ value }) => value.lameduckMs)) };
}

function allReady(read: readonly ReadBlock[]): ReadyConfig | null {
  const placed = read.flatMap(({ ready }) => ready ?? []);
  if (placed.length === 0) return null;
  const isContinuous = placed.some(({ value }) => value.monitor === 'continuously');
  return { addresses: distinctEndpoints(placed), monitor: isContinuous ? 'continuously' : 'until-ready' };
}

function onlyReload(read: readonly ReadBlock[], warnings: Diagnostic[]): ReloadConfig | null {
  const [first, ...others] = read.flatMap(({ reload }) => reload ?? []);
  for (const { at, value } of others) {
    if (value.intervalMs === first.value.intervalMs && value.jitterMs === first.value.jitterMs) continue;
    const message = `reload: line ${first.at.line} differs, and only the first counts; make them equal.`;
    warnings.push({ at, message });
  }
  return first?.value ?? null;
}

/** Warns once for a whole configuration, at the first place. */
function warnOfNxdomain(read: readonly ReadBlock[], warnings: Diagnostic[]): void {
  const first = read.find(({ config }) => config.aaaa === 'nxdomain')?.config.aaaaAt;
  if (first == null) return;
  warnings.push({
    at: first,
    code: 'aaaa-nxdomain',
    message:
      'AAAA queries get NXDOMAIN, which makes programs with musl (Alpine) or BusyBox fail for names that have ' +
      'an A record; write "aaaa nodata" or "aaaa smart" instead.',
  });
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}

/** An error at the second of two blocks that serve the same zone on overlapping addresses and one port. */
function refuseOverlaps(blocks: readonly BlockConfig[], findings: Findings): void {
  const taken = new Map<string, BlockConfig[]>();
  const listeners = new Set<string>();
  for (const block of blocks) {
    for (const at of listenersOf(block)) listeners.add(formatEndpoint(at));
    if (listeners.size > listenersMax) {
      findings.error(block.at, `more than ${listenersMax} addresses and ports to listen on; use fewer.`);
      return;
    }
    // One error is enough for a block that was pasted twice.
    const [first] = block.zones.flatMap(({ zone, port }) => {
      const key = `${zone}:${port}`;
      const others = taken.get(key) ?? [];
      taken.set(key, [...others, block]);
      return others.flatMap((other) => {
        const address = block.addresses.find((one) => other.addresses.some((two) => addressesOverlap(one, two)));
        if (address === undefined) return [];
        const on = `port ${port} of ${address === '::' ? 'all addresses' : address}`;
        const there = `already served by the server block on ${lineOf(other.at, block.at)}`;
        return [`the zone ${zone} on ${on} is ${there}; remove one, or bind them to different addresses.`];
      });
    });
    if (first !== undefined) findings.error(block.at, first);
  }
}

/**
 * An error if the rules of `acl` on one listener distinguish too many kinds of clients, and a block there asks other names
 * than its clients do: answers are kept for each kind.
 */
function refuseManyKinds(blocks: readonly BlockConfig[], findings: Findings): void {
  const placesOf = (block: BlockConfig): string[] => listenersOf(block).map(formatEndpoint);
  for (const place of new Set(blocks.flatMap(placesOf))) {
    const here = blocks.filter((block) => placesOf(block).includes(place));
    const acls = here.flatMap(({ traits }) => traits.access);
    if (acls.length === 0 || !here.some(({ traits }) => traits.asksOtherNames)) continue;
    const kinds = clientKinds(acls).length;
    if (kinds <= clientKindsMax) continue;
    const sentence =
      `acl: the rules on ${place} distinguish ${kinds} groups of clients; with rewrite, autopath, template or dns64 ` +
      `at most ${clientKindsMax} are allowed; put networks with the same access into one rule.`;
    findings.error(acls[0].at, sentence);
  }
}

/**
 * An error at the second of `health`, `ready`, `prometheus` and `pprof` on one address, and at one on the address of a
 * server block: the kernel would distribute connections between the two.
 */
function refuseSharedPorts(read: readonly ReadBlock[], findings: Findings): void {
  const servers: readonly Server[] = read.flatMap(({ health, ready, metrics, pprof }) => [
    { name: 'health', placed: health },
    { name: 'ready', placed: ready },
    { name: 'prometheus', placed: metrics },
    { name: 'pprof', placed: pprof },
  ]);
  const before: Server[] = [];
  for (const server of servers) {
    const here = server.placed;
    if (here === null) continue;
    const why = dnsPortOf(server, here, read) ?? takenBy(server.name, here, before);
    if (why === undefined) before.push(server);
    else findings.error(here.at, `${server.name}: ${formatEndpoint(here.value)} is ${why}`);
  }
}

/** Each endpoint once, without those that another one includes (`10.0.0.1:8080` beside `:8080`). */
function distinctEndpoints(placed: readonly (PlacedDirective<Endpoint> | null)[]): Endpoint[] {
  const all = placed.flatMap((each) => (each === null ? [] : [{ address: each.value.address, port: each.value.port }]));
  const isAgain = (one: Endpoint, index: number): boolean =>
    all.some((other, at) => means(other, one) || (at < index && formatEndpoint(other) === formatEndpoint(one)));
  return all.filter((one, index) => !isAgain(one, index));
}

/** Two sockets on port 0 have two ports. */
function means(all: Endpoint, one: Endpoint): boolean {
  return one.port !== 0 && one.port === all.port && addressCovers(all.address, one.address);
}

interface Server {
  readonly name: string;
  readonly placed: PlacedDirective<Endpoint> | null;
}

function takenBy(own: string, { value }: PlacedDirective<Endpoint>, before: readonly Server[]): string | undefined {
  for (const { name, placed } of before) {
    if (name === own || placed === null || placed.value.port !== value.port) continue;
    if (value.port === 0 || !addressesOverlap(placed.value.address, value.address)) continue;
    return `used by ${name} on line ${placed.at.line}; change one of the ports.`;
  }
  return undefined;
}

function dnsPortOf(
  { name }: Server,
  { value }: PlacedDirective<Endpoint>,
  read: readonly ReadBlock[],
): string | undefined {
  if (value.port === 0) return undefined;
  const block = read.find(
    ({ config: { zones, addresses } }) =>
      zones.some(({ port }) => port === value.port) &&
      addresses.some((address) => addressesOverlap(address, value.address)),
  );
  return block && `the DNS port of the server block on line ${block.config.at.line}; give ${name} another port.`;
}

type Opened = Pick<Config, 'blocks' | 'health' | 'ready' | 'metrics' | 'pprof'>;

/**
 * The open files that a configuration needs to start and to serve: a UDP socket for each listener and worker, a TCP socket
 * for each listener, and those of HTTP. `workers` is 0 if the event loop answers over UDP.
 */
export function openFilesFor({ blocks, health, ready, metrics, pprof }: Opened, workers: number): number {
  const listeners = new Set(blocks.flatMap((block) => listenersOf(block).map(formatEndpoint)));
  const pages = [...(health?.addresses ?? []), ...(ready?.addresses ?? []), ...metrics, ...pprof];
  const sockets = listeners.size * (Math.max(1, workers) + 1) + pages.length;
  return sockets + workers * openFilesPerWorker + openFilesSpare;
}

/** A sentence if the limit is too low, else null; a `limit` of null is unknown. */
export function tooFewOpenFiles(config: Opened, workers: number, limit: number | null): string | null {
  const needed = openFilesFor(config, workers);
  if (limit === null || limit >= needed) return null;
  const lower = workers > 1 ? ', or start with fewer -workers' : '';
  return `open file limit ${limit} is too low: this configuration needs ${needed}; ${raiseOpenFiles(needed)}${lower}.`;
}
