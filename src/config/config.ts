/**
 * The configuration, normalised: what the rest of the program receives after flags, Corefile and defaults have
 * become one frozen value. Nothing here is text any more except names in presentation form, which are lower-case
 * and end in a dot. Times are milliseconds unless the name says seconds (TTLs, as on the wire).
 */
import type { Endpoint, TlsSettings } from '../os/network.js';
import type { ChangingConfig } from './changing.js';
import type { Dns64Config } from './directives/dns64.js';
import type { DnstapConfig } from './directives/dnstap.js';
import type { LoadbalanceConfig } from './directives/loadbalance.js';
import type { LocalConfig } from './directives/local.js';
import type { HealthConfig, ReadyConfig } from './directives/servers.js';
import type { Network } from './networks.js';
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
  readonly templates: readonly TemplateConfig[];
  readonly hosts: HostsConfig | null;
  /** Names without AAAA records get some made of their A records; null: they do not. */
  readonly dns64: Dns64Config | null;
  /** Addresses change places in every answer; null leaves them as they came. */
  readonly loadbalance: LoadbalanceConfig | null;
  /** Which server this is, for clients that ask (RFC 5001); null tells nobody. */
  readonly nsid: string | null;
  /** Names of this machine are answered before anything else. */
  readonly local: LocalConfig | null;
  /** In the order written. */
  readonly acls: readonly AclConfig[];
  /** What changes questions behind the cache, and answers. */
  readonly changing: ChangingConfig;
  /** Questions for ANY get one HINFO (RFC 8482). */
  readonly any: boolean;
  /** Positive answers lose their other sections. */
  readonly minimal: boolean;
  /** Names that nothing else has an answer for are answered with who asked. */
  readonly whoami: boolean;
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

export interface TemplateConfig {
  readonly at: Position;
  /** 255 (ANY) matches every class. */
  readonly class: number;
  /** 255 (ANY) matches every type. */
  readonly type: number;
  readonly zones: readonly string[];
  /** Regular expressions over the presentation name; empty: always. */
  readonly matches: readonly Pattern[];
  /** Go-template sources, one resource record each. */
  readonly answer: readonly string[];
  readonly additional: readonly string[];
  readonly authority: readonly string[];
  readonly rcode: number;
  readonly extendedError: { readonly code: number; readonly text: string } | null;
  /** Null: no fallthrough; empty: for every zone; else for these. */
  readonly fallthrough: readonly string[] | null;
}

export interface HostsConfig {
  readonly at: Position;
  readonly file: string;
  /** Names outside these zones are not taken from it. */
  readonly zones: readonly string[];
  /** Lines of the Corefile, in the file's form; they come behind those of the file. */
  readonly inline: string;
  readonly ttlSeconds: number;
  /** Whether addresses lead back to their names (PTR). */
  readonly reverse: boolean;
  /** How often the file is looked at; 0 is never. */
  readonly reloadMs: number;
  /** Null: no fallthrough; empty: for every zone; else for these. */
  readonly fallthrough: readonly string[] | null;
  /** Where a name falls through, so do questions about a known name for types that a hosts file cannot hold. */
  readonly fallthroughUnsupported: boolean;
}

export interface AclConfig {
  readonly at: Position;
  readonly zones: readonly string[];
  /** At least one; the first that fits counts. */
  readonly rules: readonly AclRule[];
}

export interface AclRule {
  readonly action: 'allow' | 'block' | 'filter' | 'drop';
  /** Null: every type. */
  readonly types: readonly number[] | null;
  /** Null: everybody. */
  readonly networks: readonly Network[] | null;
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
