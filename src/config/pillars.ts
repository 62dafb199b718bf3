/**
 * The placeholders of node-cache's base Corefile, `__PILLAR__…__`, and what stands in their places on this node. It
 * works on text and line for line, so that an error in the outcome is found on the same line of the template.
 */
import { formatEndpoint } from './addresses.js';
import type { ClusterDns } from './cluster-dns.js';
import { ConfigError } from './config.js';

export interface PillarValues {
  /** `-localip`, in their shortest form. */
  readonly localAddresses: readonly string[];
  readonly clusterDns: ClusterDns;
  /** upstreamNameservers of the kube-dns ConfigMap; empty means /etc/resolv.conf. */
  readonly upstreamServers: readonly string[];
  /** `-prometheus-listen-address`. */
  readonly prometheusAddress: string;
}

/** Replaced when node-cache's manifest is installed, and never by node-cache itself; nearly all clusters have this one. */
const clusterDomain = 'cluster.local';

/** What the address of the cluster DNS is put in the place of. */
export const clusterDnsPlaceholder = '__PILLAR__CLUSTER__DNS__';
/** What upstreamNameservers of the kube-dns ConfigMap are put in the place of. */
export const upstreamServersPlaceholder = '__PILLAR__UPSTREAM__SERVERS__';

/** Where a placeholder stands. */
interface Place {
  readonly placeholder: string;
  /** The text right behind it. */
  readonly behind: string;
  /** Whether it is a word of its own. */
  readonly isWord: boolean;
  /** What stands in its place where nothing is known of it: behind a `#` only. */
  fail(sentence: string): string;
}

type Filler = (place: Place, values: PillarValues) => string;

const fillers: Readonly<Record<string, Filler>> = {
  __PILLAR__DNS__DOMAIN__: () => clusterDomain,
  __PILLAR__LOCAL__DNS__: (place, { localAddresses }) =>
    place.isWord ? localAddresses.join(' ') : beforePort(localAddresses[0], place),
  // All addresses came with the placeholder before.
  __PILLAR__DNS__SERVER__: () => '',
  [clusterDnsPlaceholder]: clusterDnsFor,
  [upstreamServersPlaceholder]: (_, { upstreamServers }) => upstreamServers.join(' ') || '/etc/resolv.conf',
  __PROMETHEUS__ENDPOINT__: (_, { prometheusAddress }) => prometheusAddress,
};

/** All that a template may have. */
export const placeholders: readonly string[] = Object.keys(fillers);

const anyPlaceholder = /__(?:PILLAR|PROMETHEUS)__[A-Z]+(?:__[A-Z]+)*__/gu;

/** Whether the text has placeholders outside of comments, and is therefore a template. */
export function hasPillars(text: string): boolean {
  return text.split('\n').some((line) => line.replace(/#.*/u, '').search(anyPlaceholder) >= 0);
}

/** The Corefile that the template `text` becomes; `file` is for errors. Throws a ConfigError at a placeholder that has no value. */
export function fillPillars(text: string, file: string, values: PillarValues): string {
  const lines = (values.upstreamServers.length > 0 ? withoutForcedTcp(text) : text).split('\n');
  return lines.map((line, index) => fillLine(line, { file, line: index + 1 }, values)).join('\n');
}

/**
 * Servers that a ConfigMap names may not answer over TCP, so `force_tcp` goes where it stands alone with them; its
 * lines stay. node-cache does the same for one way of indenting.
 */
function withoutForcedTcp(text: string): string {
  const forced = new RegExp(
    `^([ \\t]*forward[ \\t]+\\S+[ \\t]+${upstreamServersPlaceholder})[ \\t]*\\{(\\s*)force_tcp(\\s*)\\}`,
    'gmu',
  );
  return text.replace(forced, (_, head: string, before: string, after: string) => {
    return head + '\n'.repeat(`${before}${after}`.split('\n').length - 1);
  });
}

function fillLine(line: string, at: { file: string; line: number }, values: PillarValues): string {
  return line.replace(anyPlaceholder, (placeholder: string, offset: number) => {
    const isComment = line.slice(0, offset).includes('#');
    const behind = line.slice(offset + placeholder.length);
    const fail = (sentence: string): string => {
      if (isComment) return placeholder;
      throw new ConfigError(at, sentence);
    };
    const isWord = !/\S$/u.test(line.slice(0, offset)) && !/^\S/u.test(behind);
    const filler = Object.hasOwn(fillers, placeholder) ? fillers[placeholder] : unknown;
    return filler({ placeholder, behind, isWord, fail }, values);
  });
}

function unknown({ placeholder, fail }: Place): string {
  return fail(`${placeholder} is not a placeholder; known: ${placeholders.join(', ')}.`);
}

function clusterDnsFor(place: Place, { clusterDns: { endpoint, missing } }: PillarValues): string {
  if (endpoint === null) return place.fail(`no value for ${place.placeholder}: ${missing}`);
  if (endpoint.port === 53 || place.behind.startsWith(':')) return beforePort(endpoint.address, place);
  return formatEndpoint(endpoint);
}

/** An address, in brackets where a port follows and it needs them. */
function beforePort(address: string, { behind }: Place): string {
  return behind.startsWith(':') && address.includes(':') ? `[${address}]` : address;
}
