/**
 * What directives say that stand behind the cache and change what is asked and what comes back. The types of their
 * settings and nothing else; names are lower-case presentation names, or parts of such.
 */
import type { Position } from './config.js';
import type { Pattern } from './pattern.js';

export interface ChangingConfig {
  /** In the order written: the first that matches ends the walk unless it says otherwise. */
  readonly rewrites: readonly RewriteRule[];
  readonly header: HeaderConfig;
  readonly autopath: AutopathConfig | null;
}

export interface AutopathConfig {
  readonly at: Position;
  readonly zones: readonly string[];
  readonly file: string;
  /** What the file says, in the order in which names are tried. */
  readonly search: readonly string[];
}

/** Bits of a header's flags word that are set, and those that are cleared; none of them is both. */
export interface HeaderFlags {
  readonly set: number;
  readonly clear: number;
}

export interface HeaderConfig {
  /** Whether upstreams are asked with RD; null: as the client asked. */
  readonly recursionDesired: boolean | null;
  /** Null: answers are as they are. */
  readonly response: HeaderFlags | null;
}

/** Which names a rule is about. */
export type NameMatch =
  | { readonly how: 'exact' | 'prefix' | 'suffix' | 'substring'; readonly text: string }
  | { readonly how: 'regex'; readonly pattern: Pattern };

/** One rule of `rewrite`. */
export interface RewriteRule {
  readonly at: Position;
  /** Whether the rules behind one that has matched are looked at. */
  readonly then: 'stop' | 'continue';
  readonly change: RewriteChange;
}

export type RewriteChange =
  | NameChange
  | { readonly field: 'type' | 'class'; readonly from: number; readonly to: number }
  | { readonly field: 'ttl'; readonly match: NameMatch; readonly minSeconds: number; readonly maxSeconds: number }
  | { readonly field: 'rcode'; readonly match: NameMatch; readonly from: number; readonly to: number }
  | { readonly field: 'cname'; readonly match: NameMatch; readonly to: string }
  | OptionChange;

export interface NameChange {
  readonly field: 'name';
  readonly match: NameMatch;
  /** What the match becomes; of a regex the whole name, with `{1}` for its groups. */
  readonly to: string;
  /** What has become of the name is undone in the answer. */
  readonly isUndone: boolean;
  readonly answers: readonly AnswerChange[];
}

/** What becomes of names in answers: of owners, or of those that records lead to. */
export interface AnswerChange {
  readonly part: 'name' | 'value';
  readonly pattern: Pattern;
  readonly to: string;
}

export interface OptionChange {
  readonly field: 'edns0';
  readonly action: 'set' | 'append' | 'replace' | 'unset';
  readonly code: number;
  readonly data: OptionData;
}

export const optionVariables = [
  'qname',
  'qtype',
  'client_ip',
  'client_port',
  'protocol',
  'server_ip',
  'server_port',
] as const;

export type OptionData =
  | { readonly kind: 'bytes'; readonly bytes: readonly number[] }
  | { readonly kind: 'variable'; readonly name: (typeof optionVariables)[number] }
  /** The client's network, by so many bits of its address (RFC 7871). */
  | { readonly kind: 'subnet'; readonly v4Bits: number; readonly v6Bits: number };
