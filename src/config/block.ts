/**
 * One server block: calls the readers of its directives and adds the defaults of absent ones. Rules between directives of a
 * block are here; rules between blocks are in load.ts.
 */
import { udpBytesDefault, zonesPerBlockMax } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import { type DirectiveContext, nearest } from './arguments.js';
import type { AaaaPolicy, BlockConfig, Findings, Position, ReloadConfig, ZoneAddress } from './config.js';
import type { Directive, ServerBlock } from './corefile.js';
import { readCache } from './directives/cache.js';
import { readForward } from './directives/forward.js';
import {
  type HealthDirective,
  type ReadyDirective,
  readBind,
  readHealth,
  readPprof,
  readPrometheus,
  readReady,
  readTimeouts,
  timeoutsByDefault,
} from './directives/listening.js';
import { readDnstap, readErrors, readLog } from './directives/logging.js';
import {
  readAaaa,
  readBufsize,
  readCancel,
  readMetadata,
  readNxdomainCut,
  readReload,
  readSwitch,
  readTrace,
} from './directives/switches.js';
import { whyNoCut } from './nxdomain-cut.js';
import { joinTraits, type PluginReader, type WrittenDirectives } from './plugins.js';
import { readServerKey } from './zones.js';

export interface PlacedDirective<Value> {
  readonly at: Position;
  readonly value: Value;
}

/** A server block, and its directives about the whole process. */
export interface ReadBlock {
  readonly config: BlockConfig;
  readonly health: PlacedDirective<HealthDirective> | null;
  readonly ready: PlacedDirective<ReadyDirective> | null;
  readonly reload: PlacedDirective<ReloadConfig> | null;
  readonly metrics: PlacedDirective<Endpoint> | null;
  readonly pprof: PlacedDirective<Endpoint> | null;
  readonly debug: boolean;
  /** All zones and addresses were read without error. */
  readonly isPlaced: boolean;
}

export interface BlockOptions extends Omit<DirectiveContext, 'zones' | 'warn'> {
  readonly defaultPort: number;
  /** In the order in which they act. */
  readonly plugins: readonly PluginReader[];
}

type Repeats = PluginReader['repeats'];
type BlockContext = DirectiveContext & Pick<BlockOptions, 'plugins'>;

interface CoreDirective extends Pick<PluginReader, 'leavesHits'> {
  readonly leavesDenials?: true;
  /** The meaning of a second one in a block: CoreDNS refuses some, and uses one of others silently. */
  readonly repeats: Repeats;
}

/** The directives that are no plugins. */
const coreDirectives: Readonly<Record<string, CoreDirective>> = {
  aaaa: { repeats: 'refused', leavesHits: true, leavesDenials: true },
  bind: { repeats: 'all', leavesHits: true, leavesDenials: true },
  bufsize: { repeats: 'first', leavesHits: true, leavesDenials: true },
  cache: { repeats: 'refused', leavesHits: true, leavesDenials: true },
  cancel: { repeats: 'all', leavesHits: true, leavesDenials: true },
  debug: { repeats: 'all', leavesHits: true, leavesDenials: true },
  // Each query is told to somebody.
  dnstap: { repeats: 'all', leavesDenials: true },
  errors: { repeats: 'refused', leavesHits: true, leavesDenials: true },
  forward: { repeats: 'all', leavesHits: true, leavesDenials: true },
  health: { repeats: 'last', leavesHits: true, leavesDenials: true },
  log: { repeats: 'all', leavesDenials: true },
  loop: { repeats: 'refused', leavesHits: true, leavesDenials: true },
  metadata: { repeats: 'refused', leavesHits: true, leavesDenials: true },
  nxdomain_cut: { repeats: 'refused', leavesHits: true, leavesDenials: true },
  pprof: { repeats: 'refused', leavesHits: true, leavesDenials: true },
  prometheus: { repeats: 'refused', leavesHits: true, leavesDenials: true },
  ready: { repeats: 'refused', leavesHits: true, leavesDenials: true },
  reload: { repeats: 'first', leavesHits: true, leavesDenials: true },
  timeouts: { repeats: 'last', leavesHits: true, leavesDenials: true },
  trace: { repeats: 'last', leavesHits: true, leavesDenials: true },
};

/** All supported directives, in alphabetical order. */
export function directiveNames(plugins: readonly { readonly name: string }[]): readonly string[] {
  return [...Object.keys(coreDirectives), ...plugins.map(({ name }) => name)].sort();
}

/** Reads a block, going on behind errors: a directive with an error is treated as absent. */
export function readBlock(block: ServerBlock, options: BlockOptions, findings: Findings): ReadBlock {
  const { errors, warnings } = findings;
  const errorsBefore = errors.length;
  const zones = readKeys(block, options.defaultPort, findings);
  // If no zone was read, every name counts as inside.
  const names = zones.length === 0 ? ['.'] : zones.map(({ zone }) => zone);
  const areZonesKnown = zones.length > 0 && errors.length === errorsBefore;
  const context: BlockContext = {
    ...options,
    zones: names,
    warn: (at, message) => void warnings.push({ at, message }),
  };
  const directives = new Directives(block, context, findings);
  const { config, areAddressesKnown } = readConfig(block, zones, directives);
  const ofProcess = {
    health: directives.placed('health', readHealth),
    ready: directives.placed('ready', readReady),
    reload: directives.placed('reload', readReload),
    metrics: directives.placed('prometheus', readPrometheus),
    pprof: directives.placed('pprof', readPprof),
    debug: directives.read('debug', readSwitch, false),
  };
  for (const { name, check } of options.plugins) {
    const settings = config.settings[name];
    if (settings !== undefined) findings.attempt(() => check?.(settings, config, context), undefined);
  }
  warnOfNothing(config, context, findings);
  warnOfNoCut(config, directives.one('nxdomain_cut'), context);
  return { config, ...ofProcess, isPlaced: areZonesKnown && areAddressesKnown };
}

function readConfig(
  block: ServerBlock,
  zones: readonly ZoneAddress[],
  directives: Directives,
): { readonly config: BlockConfig; readonly areAddressesKnown: boolean } {
  const { context, findings } = directives;
  const aaaa = directives.placed('aaaa', readAaaa);
  const { settings, policy, at: aaaaAt } = readPlugins(directives, aaaa);
  const binds = directives.all('bind');
  const bound = binds.length === 0 ? ['::'] : findings.attempt(() => readBind(binds, context), null);
  const bufsizeBytes = directives.read('bufsize', readBufsize, udpBytesDefault);
  const config: BlockConfig = {
    at: block.at,
    zones,
    addresses: bound ?? [],
    cache: directives.read('cache', readCache, null),
    forwards: directives.each('forward', (directive) => ({
      ...readForward(directive, context),
      udpBytes: bufsizeBytes,
    })),
    settings,
    traits: joinTraits(
      context.plugins.flatMap(({ name, traits }) =>
        settings[name] === undefined || traits === undefined ? [] : [traits(settings[name], { aaaa: policy, zones })],
      ),
    ),
    leavesHits: areAll('leavesHits', directives.names, settings, context.plugins),
    leavesDenials: areAll('leavesDenials', directives.names, settings, context.plugins),
    nxdomainCut: directives.read('nxdomain_cut', readNxdomainCut, null),
    aaaa: policy,
    aaaaAt,
    errors: directives.read('errors', readErrors, null),
    log: directives.each('log', readLog),
    dnstap: directives.each('dnstap', readDnstap),
    loop: directives.read('loop', readSwitch, false),
    prometheus: directives.one('prometheus') !== undefined,
    bufsizeBytes,
    timeouts: directives.read('timeouts', readTimeouts, timeoutsByDefault),
    directives: directives.names,
  };
  directives.read('cancel', readCancel, undefined);
  directives.read('metadata', readMetadata, undefined);
  directives.read('trace', readTrace, undefined);
  return { config, areAddressesKnown: bound !== null };
}

/** Whether all of these directives say so of themselves; one whose settings all mean `aaaa` need not. */
function areAll(
  what: 'leavesHits' | 'leavesDenials',
  names: readonly string[],
  settings: BlockConfig['settings'],
  plugins: readonly PluginReader[],
): boolean {
  return names.every((name) => {
    const plugin = plugins.find((one) => one.name === name);
    if (plugin === undefined) return coreDirectives[name]?.[what] === true;
    const own = settings[name];
    if (own === undefined) return true;
    return what === 'leavesHits' ? plugin.leavesHits === true : plugin.leavesDenials?.(own) === true;
  });
}

type Reader<Value> = (directive: Directive, context: DirectiveContext) => Value;

/** The directives of a block by name; reading one with an error adds the error and gives the absent value. */
class Directives {
  readonly context: BlockContext;
  readonly findings: Findings;
  readonly #byName: ReadonlyMap<string, readonly Directive[]>;
  readonly #repeats: ReadonlyMap<string, Repeats>;

  constructor(block: ServerBlock, context: BlockContext, findings: Findings) {
    this.context = context;
    this.findings = findings;
    const core = Object.entries(coreDirectives);
    this.#repeats = new Map([
      ...core.map(([name, { repeats }]) => [name, repeats] as const),
      ...context.plugins.map(({ name, repeats }) => [name, repeats] as const),
    ]);
    this.#byName = groupByName(block, directiveNames(context.plugins), findings);
    checkRepeats(this.#byName, this.#repeats, findings);
  }

  get names(): string[] {
    return [...this.#byName.keys()];
  }

  all(name: string): readonly Directive[] {
    return this.#byName.get(name) ?? [];
  }

  one(name: string): Directive | undefined {
    return this.all(name).at(this.#repeats.get(name) === 'first' ? 0 : -1);
  }

  read<Value, Absent>(name: string, reader: Reader<Value>, absent: Absent): Value | Absent {
    const directive = this.one(name);
    if (directive === undefined) return absent;
    return this.findings.attempt(() => reader(directive, this.context), absent);
  }

  each<Value>(name: string, reader: Reader<Value>): Value[] {
    return this.all(name).flatMap((directive) => this.findings.attempt(() => [reader(directive, this.context)], []));
  }

  counting(name: string): readonly Directive[] {
    const one = this.one(name);
    return this.#repeats.get(name) === 'all' ? this.all(name) : one === undefined ? [] : [one];
  }

  placed<Value>(name: string, reader: Reader<Value>): PlacedDirective<Value> | null {
    return this.read(name, (directive, context) => ({ at: directive.at, value: reader(directive, context) }), null);
  }
}

/** The zones that were read without error. */
function readKeys(block: ServerBlock, defaultPort: number, findings: Findings): ZoneAddress[] {
  const errorsBefore = findings.errors.length;
  const zones: ZoneAddress[] = [];
  for (const key of block.keys) {
    const read = key.text === '' ? [] : findings.attempt(() => readServerKey(key, defaultPort, findings.warnings), []);
    for (const zone of read) {
      if (zones.some((known) => known.zone === zone.zone && known.port === zone.port)) {
        findings.error(key.at, `the zone ${zone.zone} is listed twice in this server block; remove one.`);
      } else if (zones.push(zone) > zonesPerBlockMax) {
        const sentence = `at most ${zonesPerBlockMax} zones are allowed per server block; use fewer or wider zones.`;
        findings.error(key.at, sentence);
        return zones;
      }
    }
  }
  // The parser reports a block without any key.
  const isUnsaid = zones.length === 0 && block.keys.length > 0 && findings.errors.length === errorsBefore;
  if (isUnsaid) findings.error(block.at, 'the server block has no zone; write one before its {.');
  return zones;
}

function groupByName(
  block: ServerBlock,
  supported: readonly string[],
  findings: Findings,
): ReadonlyMap<string, readonly Directive[]> {
  const byName = new Map<string, Directive[]>();
  for (const directive of block.directives) {
    if (!supported.includes(directive.name)) {
      findings.error(directive.at, aboutUnsupported(directive.name, supported));
      continue;
    }
    const same = byName.get(directive.name);
    if (same === undefined) byName.set(directive.name, [directive]);
    else same.push(directive);
  }
  return byName;
}

function checkRepeats(
  byName: ReadonlyMap<string, readonly Directive[]>,
  repeats: ReadonlyMap<string, Repeats>,
  findings: Findings,
): void {
  for (const [name, [first, second]] of byName) {
    if (second === undefined) continue;
    const where = `it is already on line ${first.at.line}`;
    const counts = repeats.get(name);
    if (counts === 'refused') {
      findings.error(second.at, `${name}: allowed once per server block; ${where}. Remove one.`);
    }
    if (counts === 'first' || counts === 'last') {
      const message = `${name}: ${where}, and only the ${counts} one counts; remove the other.`;
      findings.warnings.push({ at: second.at, message });
    }
  }
}

/** The settings of each plugin of the block, and its AAAA policy: the directive's, or a plugin's equivalent. */
function readPlugins(directives: Directives, aaaa: PlacedDirective<AaaaPolicy> | null) {
  const { context, findings } = directives;
  const settings: Record<string, unknown> = {};
  let policy = aaaa?.value ?? null;
  let at = aaaa?.at ?? null;
  for (const { name, read, splitAaaa } of context.plugins) {
    const written = directives.counting(name);
    if (written.length === 0) continue;
    const own = findings.attempt(() => read(written as WrittenDirectives, context), undefined);
    if (own === undefined) continue;
    const meant = splitAaaa?.(own, context.zones) ?? null;
    const kept = meant === null ? own : meant.rest;
    if (kept !== null) settings[name] = kept;
    if (meant === null) continue;
    if (aaaa !== null) {
      const where = `the ${name} on line ${meant.at.line} already answers "${meant.policy}" for AAAA`;
      findings.error(aaaa.at, `aaaa: ${where}; keep one of the two.`);
    }
    policy = meant.policy;
    at = meant.at;
  }
  return { settings, policy, at };
}

/** Warns of a block that can answer nothing; after an error the missing directive may be the one that has it. */
function warnOfNothing(config: BlockConfig, context: DirectiveContext, { hasErrors }: Findings): void {
  const { forwards, traits, aaaa } = config;
  if (forwards.length === 0 && !traits.makesAnswers && aaaa === null && !hasErrors) {
    context.warn(config.at, 'the server block has no forward, template or hosts, so it cannot answer queries.');
  }
}

function warnOfNoCut(config: BlockConfig, directive: Directive | undefined, context: DirectiveContext): void {
  const why = config.nxdomainCut === true && directive !== undefined ? whyNoCut(config) : null;
  if (why !== null) context.warn(directive!.at, `nxdomain_cut: it has no effect, because ${why}; remove it.`);
}

const noListener = 'zerohop listens on UDP and TCP; write TLS upstreams in forward.';

/** Directives of CoreDNS or of well-known plugins for it without a replacement, … */
const unsupportedPlain =
  'alternate auto azure blocklist clouddns dnsredir dnssec erratic etcd federation geoip k8s_external nomad on proxyproto ' +
  'root route53 secondary shed shutdown sign startup transfer tsig unbound view';

/** … and with one. */
const replacements: Readonly<Record<string, string>> = {
  fanout: 'forward can use several upstreams.',
  file: 'forward the zone to a server that has the file.',
  grpc: 'forward uses UDP and TCP.',
  grpc_server: noListener,
  https: noListener,
  https3: noListener,
  kubeforward: 'use forward with the address of the cluster DNS Service.',
  kubernetes: 'use forward with the address of the cluster DNS Service.',
  multisocket: 'the flag -workers sets the number of workers.',
  proxy: 'forward replaced it in CoreDNS 1.5.',
  quic: noListener,
  tls: noListener,
};

const unsupportedDirectives: readonly string[] = [...unsupportedPlain.split(' '), ...Object.keys(replacements)].sort();

/** One sentence about a name that is none of `supported`. */
export function aboutUnsupported(name: string, supported: readonly string[]): string {
  if (unsupportedDirectives.includes(name)) {
    const instead = Object.hasOwn(replacements, name) ? `: ${replacements[name]}` : '.';
    return `the directive "${name}" is known but not supported; remove it${instead}`;
  }
  if (/[.:]/u.test(name)) {
    return `unknown directive "${name}"; it looks like the zone of a server block, so the } of the block above is missing.`;
  }
  const meant = nearest(name, [...supported, ...unsupportedDirectives]);
  const hint = meant === undefined ? `known: ${supported.join(', ')}.` : `did you mean "${meant}"?`;
  return `unknown directive "${name}"; ${hint}`;
}
