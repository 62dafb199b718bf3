/**
 * From a Corefile to the frozen `Config` that the rest of the program receives. What concerns one server block is
 * in block.ts; here are the rules between blocks, and the doors to files, environment and interfaces.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { corefileBytesMax } from '../limits.js';
import { canonicalAddress } from './addresses.js';
import { type BlockOptions, type ReadBlock, readBlock } from './block.js';
import {
  type Config,
  ConfigError,
  type Diagnostic,
  Findings,
  type HealthConfig,
  type ReadyConfig,
  type ReloadConfig,
} from './config.js';
import { readCorefile } from './corefile.js';
import type { ConfigFiles, Sources, Written } from './imports.js';
import { distinctEndpoints, refuseManyKinds, refuseOverlaps, refuseSharedPorts } from './overlap.js';
import type { PluginReader } from './plugins.js';

/** What a configuration depends on beside its text. */
export interface LoadOptions extends BlockOptions, Sources {}

/** The machine's files, environment and interfaces; zones without a port get `defaultPort`. */
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

/** Reads and understands the Corefile at `path`; `alsoWatch` joins its files. Throws a ConfigError. */
export function loadCorefile(path: string, options: LoadOptions, alsoWatch: readonly string[] = []): Config {
  let text: string;
  try {
    text = options.files.read(path);
  } catch (error) {
    const why = (error as Error).message.replace(/\.$/u, '');
    throw new ConfigError({ file: path, line: 0 }, `${why}; give -conf a file that this user can read.`, {
      files: [path, ...alsoWatch],
    });
  }
  return parsePieces([{ text, file: path }], [path, ...alsoWatch], options);
}

/** Understands the text of a Corefile; `source` is its path, or says where it comes from. Throws a ConfigError. */
export function parseConfig(text: string, source: string, options: LoadOptions): Config {
  return parsePieces([{ text, file: source }], [], options);
}

/** Understands a Corefile in pieces, at least one; `files` are what they were made from. Throws a ConfigError. */
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
    sha512: hashOf([...pieces.map(({ text }) => text), ...corefile.importedTexts]),
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

/** The same options, and the files that are read by them from now on: of those that directives name. */
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

/** The files of this machine; relative paths start where the process was started. */
export const systemFiles: ConfigFiles = {
  read: (file) => corefileText(bytesOf(file)),
  readBytes: bytesOf,
  exists: existsSync,
  list: (folder) => (existsSync(folder) ? readdirSync(folder) : []),
};

/** Bytes that should be a Corefile, as text; throws an Error with one sentence when they cannot be one. */
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

/** Why a file cannot be read, by the system's code. */
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

function hashOf(texts: readonly string[]): string {
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
    warnings.push({
      at,
      message: `reload: line ${first.at.line} differs, and only the first counts; make them equal.`,
    });
  }
  return first?.value ?? null;
}

/** Said once for a whole configuration, at the first place. */
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
