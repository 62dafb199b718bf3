/**
 * What is lawful in a Corefile and hurts, for `zerohop check`: each with a code, its line and what to do. What is wrong
 * is refused, and what hardly anybody means is warned of, where the Corefile is read; neither is said here again.
 */
import type { AdviceDeps, BlockRule, Saying, WholeRule } from './advice/advised.js';
import {
  clusterDnsOverUdp,
  forwardToOwnAddress,
  forwardToStubResolver,
  loopMissing,
  outsideOverTcp,
} from './advice/asking.js';
import { cacheMissing, denialTtlShort, prefetchNever, staleWithoutRoom } from './advice/caching.js';
import { forwardUnreachable } from './advice/reaching.js';
import {
  bindMissing,
  errorsMissing,
  healthMissing,
  healthOnAllAddresses,
  metricsPortTwice,
  reloadMissing,
  rootMissing,
  zonesHidden,
} from './advice/serving.js';
import type { Config } from './config.js';
import type { Corefile } from './corefile.js';
import type { PluginReader } from './plugins.js';

/** What is said of each server block. */
const ofBlocks: Readonly<Record<string, BlockRule>> = {
  'cache-missing': cacheMissing,
  'cluster-dns-over-udp': clusterDnsOverUdp,
  'denial-ttl-short': denialTtlShort,
  'errors-missing': errorsMissing,
  'forward-to-own-address': forwardToOwnAddress,
  'forward-to-stub-resolver': forwardToStubResolver,
  'forward-unreachable': forwardUnreachable,
  'loop-missing': loopMissing,
  'outside-over-tcp': outsideOverTcp,
  'prefetch-never': prefetchNever,
  'stale-without-room': staleWithoutRoom,
};

/** What is said of a whole configuration. */
const ofWholes: Readonly<Record<string, WholeRule>> = {
  'bind-missing': bindMissing,
  'health-missing': healthMissing,
  'health-on-all-addresses': healthOnAllAddresses,
  'metrics-port-twice': metricsPortTwice,
  'reload-missing': reloadMissing,
  'root-missing': rootMissing,
  'zones-hidden': zonesHidden,
};

type Advising = Pick<PluginReader, 'advice'>;

/** Every code that advice can have. */
export function adviceCodes(plugins: readonly Advising[]): readonly string[] {
  return [...blockRules(plugins).map(([code]) => code), ...Object.keys(ofWholes)].sort();
}

function blockRules(plugins: readonly Advising[]): [string, BlockRule][] {
  return [...Object.entries(ofBlocks), ...plugins.flatMap(({ advice }) => Object.entries(advice ?? {}))];
}

export interface Advice extends Saying {
  readonly code: string;
}

/** All advice on a configuration, which is the meaning of this Corefile; each place and code once. */
export function adviceOn(
  config: Config,
  { blocks }: Corefile,
  deps: AdviceDeps,
  plugins: readonly Advising[],
): Advice[] {
  const pairs = config.blocks.map((block, index) => ({ config: block, written: blocks[index] }));
  const whole = { config, blocks: pairs, deps };
  const said = [
    ...blockRules(plugins).flatMap(([code, rule]) =>
      pairs.flatMap((block) => rule(block, whole).map((saying) => ({ code, ...saying }))),
    ),
    ...Object.entries(ofWholes).flatMap(([code, rule]) => rule(whole).map((saying) => ({ code, ...saying }))),
  ];
  const distinct = new Map<string, Advice>();
  for (const advice of said) {
    const { file, line } = advice.at;
    const key = `${file} ${line} ${advice.code}`;
    // What was made, as from the kube-dns ConfigMap, has no lines that anybody could mend.
    if (line > 0 && !distinct.has(key)) distinct.set(key, advice);
  }
  return [...distinct.values()];
}
