/**
 * The configuration, normalised: what the rest of the program receives after flags, Corefile and defaults have
 * become one frozen value. Nothing here is text any more except names in presentation form, which are lower-case
 * and end in a dot. Times are milliseconds unless the name says seconds (TTLs, as on the wire).
 *
 * And what is wrong in a configuration, and where: one that cannot be used is an exception (nothing is served from it) with
 * all that is wrong in it; one that can be used but is unwise gives warnings, which travel in `Config.warnings`.
 */
import type { Endpoint, TlsSettings } from '../os/network.js';
import type { Network } from './addresses.js';
import type { Pattern } from './pattern.js';

/** Where in which file something was written. */
export interface Position {
  readonly file: string;
  readonly line: number;
}

/** Something wrong (or unwise) in the configuration, with what to change. */
export interface Diagnostic {
  readonly at: Position;
  /** What is wrong, and what it leads to; behind its last semicolon what to do about it. */
  readonly message: string;
  /** A word for programs, where the message does not begin with the directive that it is about. */
  readonly code?: string;
}

/** What else is known where a configuration is refused. */
interface Refused {
  /** What was unwise before it came to this; often the reason for it. */
  readonly warnings?: readonly Diagnostic[];
  /** What is wrong besides. */
  readonly others?: readonly Diagnostic[];
  /** The Corefile's path, which is where an import stands, too. */
  readonly source?: string | null;
  /** The files that were looked at: a change in them may be the remedy. */
  readonly files?: readonly string[];
}

/** A configuration that is refused; `message` is `file:line: sentence`, about the first of its errors. */
export class ConfigError extends Error {
  readonly at: Position;
  /** The message without its place: the directive, what was expected, what to change. */
  readonly sentence: string;
  /** All errors, this one first. */
  readonly errors: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
  readonly source: string | null;
  readonly files: readonly string[];

  constructor(at: Position, sentence: string, { warnings = [], others = [], source = null, files = [] }: Refused = {}) {
    super(formatDiagnostic({ at, message: sentence }));
    this.name = 'ConfigError';
    this.at = at;
    this.sentence = sentence;
    this.errors = [{ at, message: sentence }, ...others];
    this.warnings = warnings;
    this.source = source;
    this.files = files;
  }

  /** The message, and how to see the others. */
  get summary(): string {
    const more = this.errors.length - 1;
    if (more === 0) return this.message;
    // What is in parentheses is no file.
    const isFile = this.source !== null && !this.source.startsWith('(');
    const how = isFile ? `; see zerohop check ${this.source}` : '';
    return `${this.message} And ${more} more error${more === 1 ? '' : 's'}${how}.`;
  }
}

/** What is found while a configuration is read: reading goes on behind an error, so that all of them are found. */
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

  /** What `read` gives, or `instead` where it is refused, which is kept in mind. */
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
  refuse(source: string, more: Pick<Refused, 'files'> = {}): void {
    const [first, ...others] = inOrder(source, this.errors);
    if (first === undefined) return;
    throw new ConfigError(first.at, first.message, { ...more, source, others, warnings: this.warnings });
  }
}

/** Reads each of them, also behind one that is refused; then throws one ConfigError with what was wrong in all. */
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

export interface Config {
  /** The Corefile's path, or `(built-in)`. */
  readonly source: string;
  /** SHA-512 of the text, in hex, as coredns_reload_version_info shows it. */
  readonly sha512: string;
  /** The Corefile, what it imports or reads, and folders where its import patterns look: a change in them is a reload. */
  readonly files: readonly string[];
  readonly blocks: readonly BlockConfig[];
  readonly health: HealthConfig | null;
  readonly ready: ReadyConfig | null;
  /** Every address on which a `prometheus` directive asks for /metrics, without duplicates. */
  readonly metrics: readonly Endpoint[];
  /** The same of `pprof` and /debug/pprof. */
  readonly pprof: readonly Endpoint[];
  readonly reload: ReloadConfig | null;
  readonly debug: boolean;
  readonly warnings: readonly Diagnostic[];
}

/** One server block after import and expansion. */
export interface BlockConfig {
  readonly at: Position;
  /** The block's zones; a CIDR zone has been expanded to its reverse zones. */
  readonly zones: readonly ZoneAddress[];
  /** Addresses of `bind`; the unspecified address (`::`) when there is none. */
  readonly addresses: readonly string[];
  readonly cache: CacheConfig | null;
  /** In the order written; the first whose `from` contains the name is responsible. */
  readonly forwards: readonly ForwardConfig[];
  /** What its plugins say of the block, put together. The rest of the program reads this, and no plugin's own settings. */
  readonly traits: BlockTraits;
  /** What the Corefile says of each plugin of the block, by name; for the plugin itself. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** `aaaa`, or a template that means the same; null asks the upstream. */
  readonly aaaa: AaaaPolicy | null;
  /** Where the policy above was written; null with null. */
  readonly aaaaAt: Position | null;
  readonly errors: ErrorsConfig | null;
  readonly log: readonly LogConfig[];
  /** Who is told of each query. */
  readonly dnstap: readonly DnstapConfig[];
  readonly loop: boolean;
  /** Whether this block has `prometheus`: only its queries are counted in coredns_dns_*. */
  readonly prometheus: boolean;
  /** `bufsize`: the largest UDP answer, to clients and of upstreams, in bytes; 1232 without the directive. */
  readonly bufsizeBytes: number;
  readonly timeouts: TimeoutsConfig;
  /** Names of the directives in this block, for coredns_plugin_enabled. */
  readonly directives: readonly string[];
}

/** What a plugin says of its server block in advance: plain facts, for the parts of the program that know no plugin. */
export interface BlockTraits {
  /** Which queries workers defer to the main thread: bits of the `see…` constants. */
  readonly sees: number;
  /** Queries are judged before the cache is looked at. */
  readonly judges: boolean;
  /** Which clients may ask what, in the order written. */
  readonly access: readonly AccessRules[];
  /** Answers may come from other names than the one that was asked. */
  readonly asksOtherNames: boolean;
  /** Something makes answers, so the block needs no upstream. */
  readonly makesAnswers: boolean;
  /** A directive that answers every name before an upstream is asked. */
  readonly answersAll: { readonly name: string; readonly at: Position } | null;
  /** What the block asks in place of this question; null: nothing. */
  readonly onward: readonly ((question: NamedQuestion) => NamedQuestion | null)[];
  /** Answers that were cached under other values than these are dropped at a reload, by plugin. */
  readonly cachedBy: Readonly<Record<string, unknown>>;
  /** Flags of answers; null: as they are. */
  readonly responseFlags: HeaderFlags | null;
  /** NSID (RFC 5001); null: none. */
  readonly serverId: string | null;
  /** Addresses change places in every answer, those in these networks come first; null: as they came. */
  readonly prefers: readonly Network[] | null;
  /** AAAA answers made of A records; `key` tells different ways to make them apart. */
  readonly translation: { readonly key: string; readonly forIpv4: boolean } | null;
}

/** Queries that workers defer: all, */
export const seeAll = 1;
/** those for localhost and its reverse names, */
export const seeLocal = 2;
/** and those for names that only begin with the label localhost. */
export const seeLocalPrefix = 4;

/** A question in words: the name in lower case with its closing dot. */
export interface NamedQuestion {
  readonly name: string;
  readonly type: number;
}

/** The access rules of one directive. */
export interface AccessRules {
  readonly at: Position;
  readonly zones: readonly string[];
  /** At least one; the first that fits counts. */
  readonly rules: readonly AccessRule[];
}

export interface AccessRule {
  readonly action: 'allow' | 'block' | 'filter' | 'drop';
  /** Null: every type. */
  readonly types: readonly number[] | null;
  /** Null: every client. */
  readonly networks: readonly Network[] | null;
}

export interface ZoneAddress {
  /** Presentation form, lower-case, with the closing dot: `cluster.local.`, `.`. */
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
  /** `serve_stale_policy prefer_positive`. */
  readonly preferPositive: boolean;
  /** How long SERVFAIL and NOTIMP of an upstream are kept; 0 is never. */
  readonly servfailMs: number;
  /** Zones whose positive answers are not kept; null: none. */
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
  /** A refresh needs this many hits … */
  readonly hits: number;
  /** … with no gap longer than this between them. */
  readonly gapMs: number;
  /** It starts when the remaining TTL is at most this share of the original. */
  readonly percent: number;
}

/** All modes of stale answers differ in these numbers only. */
export interface StaleConfig {
  /** How long past its expiry an entry may be used. */
  readonly maxAgeMs: number;
  /** How long a client waits for the upstream before it gets the stale answer; 0 is at once, Infinity until failure. */
  readonly patienceMs: number;
  /** TTL in a stale answer. */
  readonly ttlSeconds: number;
  /** After a failed refresh the upstream is not asked again for this long. */
  readonly recheckMs: number;
}

export interface ForwardConfig {
  readonly at: Position;
  readonly from: string;
  readonly to: readonly ForwardTarget[];
  readonly except: readonly string[];
  /** `client`: as the client asked; `tcp`: force_tcp; `udp`: prefer_udp. TC over UDP is always asked again over TCP. */
  readonly transport: 'client' | 'tcp' | 'udp';
  readonly expireMs: number;
  /** 0: a connection may grow old. */
  readonly maxAgeMs: number;
  /** 0: no limit of its own (limits.ts still has one). */
  readonly idleConnectionsMax: number;
  readonly readTimeoutMs: number;
  /** Failures in a row after which an upstream counts as down; 0 is never. */
  readonly failsMax: number;
  /** 0: twice the number of upstreams, and no less than three. */
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
  /** Upstreams learned from a name and asked before the others, which stay as the fallback; null: none. */
  readonly endpoints: LearnedConfig | null;
  /** For upstreams over TLS. */
  readonly tls: TlsSettings;
  /** `bufsize` of the server block: the size that requests name in their OPT (RFC 6891 6.2.3). */
  readonly udpBytes: number;
}

/** An upstream's address; `tls://` is asked over TLS. */
export interface UpstreamEndpoint extends Endpoint {
  readonly overTls?: true;
  /** The name in its certificate, where that is its own. */
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
  /** A resolv.conf, read when the configuration is used and again when it changes. */
  | { readonly kind: 'file'; readonly path: string }
  /** Its addresses are asked for from the other upstreams of the forward. */
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
  /** Zones whose queries are logged. */
  readonly names: readonly string[];
  /** With `{…}` fields as CoreDNS documents them. */
  readonly format: string;
  readonly classes: readonly ('success' | 'denial' | 'error' | 'all')[];
}

export interface TimeoutsConfig {
  readonly readMs: number;
  readonly writeMs: number;
  readonly idleMs: number;
  /** Queries after which a TCP connection is closed; -1 is never. */
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
  /** Whether messages go along as they are on the wire. */
  readonly full: boolean;
  readonly identity: string;
  readonly version: string;
  /** A format of `log` for what is said besides; null: nothing. */
  readonly extra: string | null;
}

export type DnstapTarget =
  | { readonly kind: 'path'; readonly path: string }
  /** The address may be a name, which the system resolves. */
  | { readonly kind: 'tcp'; readonly endpoint: Endpoint }
  | { readonly kind: 'tls'; readonly endpoint: Endpoint; readonly isVerified: boolean };

/** What all `health` directives together ask for. */
export interface HealthConfig {
  /** At least one, without duplicates. */
  readonly addresses: readonly Endpoint[];
  /** The longest of them. */
  readonly lameduckMs: number;
}

/** What all `ready` directives together ask for. */
export interface ReadyConfig {
  /** At least one, without duplicates. */
  readonly addresses: readonly Endpoint[];
  /** `continuously` where one of them says so. */
  readonly monitor: 'until-ready' | 'continuously';
}

/** Bits of a header's flags word that are set, and those that are cleared; none of them is both. */
export interface HeaderFlags {
  readonly set: number;
  readonly clear: number;
}
