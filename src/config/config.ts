/**
 * The configuration, normalised: one frozen value made of flags, Corefile and defaults. Names are in presentation form,
 * lower-case, and end in a dot. Times are milliseconds unless the name says seconds (TTLs, as on the wire).
 *
 * And its errors: an invalid configuration throws one exception with all of them; unwise settings give warnings in
 * `Config.warnings`.
 */
import type { Endpoint, TlsSettings } from '../os/network.js';
import type { IpNetwork } from './addresses.js';
import type { Pattern } from './pattern.js';

export interface Position {
  readonly file: string;
  readonly line: number;
}

export interface Diagnostic {
  readonly at: Position;
  /** The fault and its effect; behind the last semicolon the remedy. */
  readonly message: string;
  /** A word for programs, if the message does not begin with the directive that it is about. */
  readonly code?: string;
}

interface Refusals {
  /** Often the reason of the error. */
  readonly warnings?: readonly Diagnostic[];
  /** Further errors. */
  readonly others?: readonly Diagnostic[];
  /** The Corefile's path, also for errors in its imports. */
  readonly source?: string | null;
  /** The files that were read: a change in them may be the remedy. */
  readonly files?: readonly string[];
}

/** A configuration is rejected; `message` is `file:line: sentence` of the first error. */
export class ConfigError extends Error {
  readonly at: Position;
  /** The message without its place: the directive, what was expected, what to change. */
  readonly sentence: string;
  /** All errors, this one first. */
  readonly errors: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
  readonly source: string | null;
  readonly files: readonly string[];

  constructor(
    at: Position,
    sentence: string,
    { warnings = [], others = [], source = null, files = [] }: Refusals = {},
  ) {
    super(formatDiagnostic({ at, message: sentence }));
    this.name = 'ConfigError';
    this.at = at;
    this.sentence = sentence;
    this.errors = [{ at, message: sentence }, ...others];
    this.warnings = warnings;
    this.source = source;
    this.files = files;
  }

  /** The message, and the command that shows the other errors. */
  get summary(): string {
    const more = this.errors.length - 1;
    if (more === 0) return this.message;
    // A source in parentheses is no file.
    const isFile = this.source !== null && !this.source.startsWith('(');
    const how = isFile ? `; see zerohop check ${this.source}` : '';
    return `${this.message} And ${more} more error${more === 1 ? '' : 's'}${how}.`;
  }
}

/** The errors and warnings of a configuration: reading goes on behind an error, so that all of them are found. */
export class Findings {
  readonly errors: Diagnostic[] = [];
  readonly warnings: Diagnostic[];

  constructor(warnings: Diagnostic[] = []) {
    this.warnings = warnings;
  }

  get hasErrors(): boolean {
    return this.errors.length > 0;
  }

  error(at: Position, message: string): void {
    this.errors.push({ at, message });
  }

  /** The value of `read`; `instead` if it throws a ConfigError, whose errors are added. */
  attempt<Value, Instead>(read: () => Value, instead: Instead): Value | Instead {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.errors.push(...error.errors);
      return instead;
    }
  }

  /** Throws a ConfigError if there are errors: each place and sentence once, those of `source` first, by line. */
  refuse(source: string, more: Pick<Refusals, 'files'> = {}): void {
    const [first, ...others] = inOrder(source, this.errors);
    if (first === undefined) return;
    throw new ConfigError(first.at, first.message, { ...more, source, others, warnings: this.warnings });
  }
}

/** Reads all items, then throws one ConfigError with the errors of all. */
export function eachOf<Item, Value>(items: readonly Item[], read: (item: Item) => Value): Value[] {
  const findings = new Findings();
  const values = items.flatMap((item) => findings.attempt(() => [read(item)], []));
  const [first, ...others] = findings.errors;
  if (first !== undefined) throw new ConfigError(first.at, first.message, { others });
  return values;
}

function inOrder(source: string, errors: readonly Diagnostic[]): Diagnostic[] {
  const distinct = [...new Map(errors.map((error) => [formatDiagnostic(error), error])).values()];
  const files = [...new Set([source, ...distinct.map(({ at }) => at.file)])];
  return distinct.sort(
    ({ at: one }, { at: other }) => files.indexOf(one.file) - files.indexOf(other.file) || one.line - other.line,
  );
}

/** `file:line: message`; line 0 stands for the file as a whole and is left out. */
export function formatDiagnostic({ at, message }: Diagnostic): string {
  return at.line === 0 ? `${at.file}: ${message}` : `${at.file}:${at.line}: ${message}`;
}

/** `line 12`, or `FILE:12` if that is another file than the one of `beside`. */
export function lineOf({ file, line }: Position, beside: Position): string {
  return file === beside.file ? `line ${line}` : `${file}:${line}`;
}

/** A Corefile's text, or a piece of it. */
export interface Written {
  readonly text: string;
  /** Its path, or another name of its origin. */
  readonly file: string;
  /** The base of its relative imports, if not the folder of `file`. */
  readonly importFolder?: string;
  /** Generated text, whose lines no user has written. */
  readonly isMade?: true;
}

export interface Config {
  /** The Corefile's path, or `(built-in)`. */
  readonly source: string;
  /** The text that it was read from, without imported files. */
  readonly pieces: readonly Written[];
  /** SHA-512 of the text, in hex, as coredns_reload_version_info shows it. */
  readonly sha512: string;
  /** The Corefile, the files that it imports or reads, and folders of its import patterns: a change in them is a reload. */
  readonly files: readonly string[];
  readonly blocks: readonly BlockConfig[];
  readonly health: HealthConfig | null;
  readonly ready: ReadyConfig | null;
  /** Addresses of all `prometheus` directives, without duplicates. */
  readonly metrics: readonly Endpoint[];
  /** The same of `pprof`. */
  readonly pprof: readonly Endpoint[];
  readonly reload: ReloadConfig | null;
  readonly debug: boolean;
  readonly warnings: readonly Diagnostic[];
}

export interface BlockConfig {
  readonly at: Position;
  /** A CIDR zone is expanded to its reverse zones. */
  readonly zones: readonly ZoneAddress[];
  /** Addresses of `bind`, or the unspecified address (`::`). */
  readonly addresses: readonly string[];
  readonly cache: CacheConfig | null;
  /** In the order written; the first whose `from` contains the name is responsible. */
  readonly forwards: readonly ForwardConfig[];
  /** The traits of all plugins of the block. The rest of the program reads these, and no plugin's own settings. */
  readonly traits: BlockTraits;
  /** The settings of each plugin of the block, by name; for the plugin itself. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Each of its directives leaves hits alone (`leavesHits` in plugins.ts). */
  readonly leavesHits: boolean;
  /** Each of its directives leaves denials alone (`leavesDenials` in plugins.ts). */
  readonly leavesDenials: boolean;
  /** `nxdomain_cut`; null: as nxdomain-cut.ts decides. */
  readonly nxdomainCut: boolean | null;
  /** `aaaa`, or a template that means the same; null asks the upstream. */
  readonly aaaa: AaaaPolicy | null;
  /** Where the policy was written; null with null. */
  readonly aaaaAt: Position | null;
  readonly errors: ErrorsConfig | null;
  readonly log: readonly LogConfig[];
  readonly dnstap: readonly DnstapConfig[];
  readonly loop: boolean;
  /** coredns_dns_* counts queries of blocks with `prometheus` only. */
  readonly prometheus: boolean;
  /** `bufsize`: the largest UDP answer, to clients and of upstreams, in bytes; 1232 without the directive. */
  readonly bufsizeBytes: number;
  readonly timeouts: TimeoutsConfig;
  readonly directives: readonly string[];
}

/** Facts about a server block that its plugins state in advance, for the parts of the program that know no plugin. */
export interface BlockTraits {
  /** Which queries workers defer to the main thread: bits of the `see…` constants. */
  readonly sees: number;
  /** Queries are judged before the cache lookup. */
  readonly judges: boolean;
  /** Which clients may ask what, in the order written. */
  readonly access: readonly AccessRules[];
  /** Answers may come from other names than the one that was asked. */
  readonly asksOtherNames: boolean;
  /** A plugin makes answers, so the block needs no upstream. */
  readonly makesAnswers: boolean;
  /** A directive that answers every name before an upstream is asked. */
  readonly answersAll: { readonly name: string; readonly at: Position } | null;
  /** The question that the block asks in place of the given one; null: none. */
  readonly onward: readonly ((question: NamedQuestion) => NamedQuestion | null)[];
  /** By plugin; a reload drops answers that were cached under other values. */
  readonly cachedBy: Readonly<Record<string, unknown>>;
  /** Flags of answers; null: unchanged. */
  readonly responseFlags: HeaderFlags | null;
  /** NSID (RFC 5001); null: none. */
  readonly serverId: string | null;
  /** Addresses change places in every answer, those in these networks come first; null: unchanged. */
  readonly prefers: readonly IpNetwork[] | null;
  /** AAAA answers made of A records; `key` differs between different ways of making them. */
  readonly translation: { readonly key: string; readonly forIpv4: boolean } | null;
}

/** Workers defer all queries. */
export const seeAll = 1;
/** Workers defer queries for localhost and its reverse names. */
export const seeLocal = 2;
/** Workers defer queries for names that begin with the label localhost. */
export const seeLocalPrefix = 4;

/** The name is in lower case and ends in a dot. */
export interface NamedQuestion {
  readonly name: string;
  readonly type: number;
}

export interface AccessRules {
  readonly at: Position;
  readonly zones: readonly string[];
  /** At least one; the first match counts. */
  readonly rules: readonly AccessRule[];
}

export interface AccessRule {
  readonly action: 'allow' | 'block' | 'filter' | 'drop';
  /** Null: every type. */
  readonly types: readonly number[] | null;
  /** Null: every client. */
  readonly networks: readonly IpNetwork[] | null;
}

export interface ZoneAddress {
  readonly zone: string;
  readonly port: number;
}

export type AaaaPolicy = 'nxdomain' | 'nodata' | 'smart' | 'forward';

export interface CacheConfig {
  /** Names outside these zones are not cached. Empty: every name of the block. */
  readonly zones: readonly string[];
  readonly success: StoreConfig;
  readonly denial: StoreConfig;
  readonly prefetch: PrefetchConfig | null;
  /** Null: never stale. */
  readonly stale: StaleConfig | null;
  readonly preferPositive: boolean;
  /** How long SERVFAIL and NOTIMP of an upstream are cached; 0: not at all. */
  readonly servfailMs: number;
  /** Zones whose positive answers are not cached; null: none. */
  readonly successDisabled: readonly string[] | null;
  readonly denialDisabled: readonly string[] | null;
  readonly keepTtl: boolean;
}

export interface StoreConfig {
  readonly entriesMax: number;
  readonly ttlMaxSeconds: number;
  readonly ttlMinSeconds: number;
}

export interface PrefetchConfig {
  /** Hits that a refresh needs … */
  readonly hits: number;
  /** … with no longer gap between them. */
  readonly gapMs: number;
  /** A refresh starts when the remaining TTL is at most this share of the original. */
  readonly percent: number;
}

/** All modes of stale answers differ in these numbers only. */
export interface StaleConfig {
  /** How long past its expiry an entry may be used. */
  readonly maxAgeMs: number;
  /** How long a client waits for the upstream before it gets the stale answer; 0: not at all, Infinity: until failure. */
  readonly patienceMs: number;
  readonly ttlSeconds: number;
  /** How long the upstream is not asked again after a failed refresh. */
  readonly recheckMs: number;
}

export interface ForwardConfig {
  readonly at: Position;
  readonly from: string;
  readonly to: readonly ForwardTarget[];
  readonly except: readonly string[];
  /** `client`: that of the client; `tcp`: force_tcp; `udp`: prefer_udp. TC over UDP is always retried over TCP. */
  readonly transport: 'client' | 'tcp' | 'udp';
  readonly expireMs: number;
  /** 0: no limit. */
  readonly maxAgeMs: number;
  /** 0: no limit of its own (limits.ts still has one). */
  readonly idleConnectionsMax: number;
  readonly readTimeoutMs: number;
  /** Failures in a row after which an upstream counts as down; 0: never. */
  readonly failsMax: number;
  /** 0: twice the number of upstreams, at least three. */
  readonly connectAttemptsMax: number;
  readonly healthCheck: HealthCheckConfig;
  readonly policy: 'random' | 'round_robin' | 'sequential';
  /** 0: no limit of its own. */
  readonly concurrentMax: number;
  /** Rcodes for which the next `forward` of the block is asked instead. */
  readonly next: readonly number[];
  readonly nextOnNodata: boolean;
  /** Rcodes for which another upstream of this `forward` is asked. */
  readonly failover: readonly number[];
  readonly failfastAllUnhealthy: boolean;
  readonly sourceAddress: string | null;
  /** Upstreams learned from a name and asked before the others, which are the fallback; null: none. */
  readonly endpoints: LearnedConfig | null;
  readonly tls: TlsSettings;
  /** `bufsize` of the server block: the size in the OPT of upstream queries (RFC 6891 6.2.3). */
  readonly udpBytes: number;
}

export interface UpstreamEndpoint extends Endpoint {
  readonly overTls?: true;
  /** The name in its certificate, if it differs from that of `tls`. */
  readonly serverName?: string;
}

/** A name whose addresses are upstreams. */
export interface LearnedConfig {
  readonly name: string;
  readonly port: number;
  readonly refreshMs: number;
}

export type ForwardTarget =
  | { readonly kind: 'endpoint'; readonly endpoint: UpstreamEndpoint }
  /** A resolv.conf, read when the configuration starts and again when it changes. */
  | { readonly kind: 'file'; readonly path: string }
  /** The other upstreams of the forward resolve it. */
  | ({ readonly kind: 'name' } & LearnedConfig);

export interface HealthCheckConfig {
  readonly intervalMs: number;
  readonly recursionDesired: boolean;
  readonly domain: string;
}

export interface ErrorsConfig {
  readonly stacktrace: boolean;
  readonly consolidate: readonly ConsolidateConfig[];
}

export interface ConsolidateConfig {
  readonly periodMs: number;
  readonly pattern: Pattern;
  readonly level: 'debug' | 'info' | 'warning' | 'error';
  readonly showFirst: boolean;
}

export interface LogConfig {
  readonly names: readonly string[];
  /** With CoreDNS's `{…}` fields. */
  readonly format: string;
  readonly classes: readonly ('success' | 'denial' | 'error' | 'all')[];
}

export interface TimeoutsConfig {
  readonly readMs: number;
  readonly writeMs: number;
  readonly idleMs: number;
  /** Queries after which a TCP connection is closed; -1: never. */
  readonly tcpQueriesMax: number;
}

export interface ReloadConfig {
  readonly intervalMs: number;
  readonly jitterMs: number;
}

export interface DnstapConfig {
  readonly at: Position;
  /** As it was written, for log lines. */
  readonly socket: string;
  readonly to: DnstapTarget;
  /** Whether the DNS messages are included. */
  readonly full: boolean;
  readonly identity: string;
  readonly version: string;
  /** A format of `log` for the field `extra`; null: empty. */
  readonly extra: string | null;
}

export type DnstapTarget =
  | { readonly kind: 'path'; readonly path: string }
  /** The address may be a name, which the system resolves. */
  | { readonly kind: 'tcp'; readonly endpoint: Endpoint }
  | { readonly kind: 'tls'; readonly endpoint: Endpoint; readonly isVerified: boolean };

export interface HealthConfig {
  /** At least one, without duplicates. */
  readonly addresses: readonly Endpoint[];
  readonly lameduckMs: number;
}

export interface ReadyConfig {
  /** At least one, without duplicates. */
  readonly addresses: readonly Endpoint[];
  readonly monitor: 'until-ready' | 'continuously';
}

/** Bits to set and to clear in a header's flags word; no bit is in both. */
export interface HeaderFlags {
  readonly set: number;
  readonly clear: number;
}
