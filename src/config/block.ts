/**
 * One server block: its directives, handed to their readers and put together with the defaults of those that are
 * not there. Rules between directives of a block are here; rules between blocks are in load.ts.
 */
import { udpBytesDefault, zonesPerBlockMax } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import { type DirectiveContext, diagnosticsOf } from './arguments.js';
import {
  type AaaaPolicy,
  type BlockConfig,
  ConfigError,
  type Findings,
  type Position,
  type ReloadConfig,
  type TemplateConfig,
  type ZoneAddress,
} from './config.js';
import type { Directive, ServerBlock } from './corefile.js';
import { readMetadata, readTrace } from './directives/accepted.js';
import { readAcl } from './directives/acl.js';
import { readAutopath } from './directives/autopath.js';
import { readBind } from './directives/bind.js';
import { readCache } from './directives/cache.js';
import { readDns64 } from './directives/dns64.js';
import { readDnstap } from './directives/dnstap.js';
import { readErrors } from './directives/errors.js';
import { readForward } from './directives/forward.js';
import { readHeaders } from './directives/header.js';
import { readHosts } from './directives/hosts.js';
import { aboutUnsupported, isSupported, type SupportedDirective } from './directives/known.js';
import { readLoadbalance } from './directives/loadbalance.js';
import { readLocal } from './directives/local.js';
import { readLog } from './directives/log.js';
import { readNsid } from './directives/nsid.js';
import { readReload } from './directives/reload.js';
import { readRewrites } from './directives/rewrite.js';
import {
  type HealthDirective,
  type ReadyDirective,
  readHealth,
  readPprof,
  readPrometheus,
  readReady,
} from './directives/servers.js';
import { readAaaa, readBufsize, readCancel, readSwitch } from './directives/switches.js';
import { aaaaPolicyOf, mayAnswerAaaa, readTemplate } from './directives/template.js';
import { readTimeouts, timeoutsByDefault } from './directives/timeouts.js';
import { readServerKey } from './zones.js';

/** A value together with where it was written. */
export interface Placed<Value> {
  readonly at: Position;
  readonly value: Value;
}

/** A server block, and what it asks of the whole process. */
export interface ReadBlock {
  readonly config: BlockConfig;
  readonly health: Placed<HealthDirective> | null;
  readonly ready: Placed<ReadyDirective> | null;
  readonly reload: Placed<ReloadConfig> | null;
  readonly metrics: Placed<Endpoint> | null;
  readonly pprof: Placed<Endpoint> | null;
  readonly debug: boolean;
  /** Its zones and addresses are known, all of them. */
  readonly isPlaced: boolean;
}

export interface BlockOptions extends Omit<DirectiveContext, 'zones' | 'warn'> {
  readonly defaultPort: number;
}

/** CoreDNS refuses these twice in a block. */
const onlyOnce: readonly SupportedDirective[] = [
  'aaaa',
  'cache',
  'errors',
  'hosts',
  'loop',
  'metadata',
  'nsid',
  'pprof',
  'prometheus',
  'ready',
];
/** Of these CoreDNS uses one and says nothing about the others. */
const silentlyOnce: Partial<Record<SupportedDirective, 'first' | 'last'>> = {
  autopath: 'last',
  dns64: 'last',
  loadbalance: 'last',
  local: 'last',
  bufsize: 'first',
  reload: 'first',
  health: 'last',
  timeouts: 'last',
  trace: 'last',
};

/** Reads a block, going on behind errors: a directive that is refused is as one that is not there. */
export function readBlock(block: ServerBlock, options: BlockOptions, findings: Findings): ReadBlock {
  const { errors, warnings } = findings;
  const errorsBefore = errors.length;
  const zones = readKeys(block, options.defaultPort, findings);
  // Nothing is outside of the zones where these are not known.
  const names = zones.length === 0 ? ['.'] : zones.map(({ zone }) => zone);
  const areZonesKnown = zones.length > 0 && errors.length === errorsBefore;
  const context: DirectiveContext = { ...options, zones: names, warn: diagnosticsOf(warnings) };
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
  findings.attempt(() => checkTranslation(config, context), undefined);
  warnOfNothing(config, context, findings);
  return { config, ...ofProcess, isPlaced: areZonesKnown && areAddressesKnown };
}

function readConfig(
  block: ServerBlock,
  zones: readonly ZoneAddress[],
  directives: Directives,
): { readonly config: BlockConfig; readonly areAddressesKnown: boolean } {
  const { context, findings } = directives;
  const written = directives.each('template', readTemplate);
  const directive = directives.placed('aaaa', readAaaa);
  const { policy, at: aaaaAt, templates } = settleAaaa(written, directive, context.zones, findings);
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
    templates,
    hosts: directives.read('hosts', readHosts, null),
    dns64: directives.read('dns64', readDns64, null),
    loadbalance: directives.read('loadbalance', readLoadbalance, null),
    nsid: directives.read('nsid', readNsid, null),
    local: directives.read('local', readLocal, null),
    acls: directives.each('acl', readAcl),
    changing: {
      rewrites: findings.attempt(() => readRewrites(directives.all('rewrite'), context), []),
      header: findings.attempt(() => readHeaders(directives.all('header'), context), {
        recursionDesired: null,
        response: null,
      }),
      autopath: directives.read('autopath', readAutopath, null),
    },
    any: directives.read('any', readSwitch, false),
    minimal: directives.read('minimal', readSwitch, false),
    whoami: directives.read('whoami', readSwitch, false),
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

type Reader<Value> = (directive: Directive, context: DirectiveContext) => Value;

/** The directives of a block by name, and how each is read: what is refused is a finding, and read as if it were absent. */
class Directives {
  readonly context: DirectiveContext;
  readonly findings: Findings;
  readonly #byName: ReadonlyMap<SupportedDirective, readonly Directive[]>;

  constructor(block: ServerBlock, context: DirectiveContext, findings: Findings) {
    this.context = context;
    this.findings = findings;
    this.#byName = groupByName(block, findings);
    checkRepeats(this.#byName, findings);
  }

  get names(): SupportedDirective[] {
    return [...this.#byName.keys()];
  }

  all(name: SupportedDirective): readonly Directive[] {
    return this.#byName.get(name) ?? [];
  }

  /** The one that counts. */
  one(name: SupportedDirective): Directive | undefined {
    return this.all(name).at(silentlyOnce[name] === 'first' ? 0 : -1);
  }

  read<Value, Absent>(name: SupportedDirective, reader: Reader<Value>, absent: Absent): Value | Absent {
    const directive = this.one(name);
    if (directive === undefined) return absent;
    return this.findings.attempt(() => reader(directive, this.context), absent);
  }

  each<Value>(name: SupportedDirective, reader: Reader<Value>): Value[] {
    return this.all(name).flatMap((directive) => this.findings.attempt(() => [reader(directive, this.context)], []));
  }

  placed<Value>(name: SupportedDirective, reader: Reader<Value>): Placed<Value> | null {
    return this.read(name, (directive, context) => ({ at: directive.at, value: reader(directive, context) }), null);
  }
}

/** Those of its zones that can be read. */
function readKeys(block: ServerBlock, defaultPort: number, findings: Findings): ZoneAddress[] {
  const errorsBefore = findings.errors.length;
  const zones: ZoneAddress[] = [];
  for (const key of block.keys) {
    const read = key.text === '' ? [] : findings.attempt(() => readServerKey(key, defaultPort, findings.warnings), []);
    for (const zone of read) {
      if (zones.some((known) => known.zone === zone.zone && known.port === zone.port)) {
        findings.error(key.at, `the zone ${zone.zone} is listed twice in this server block; remove one.`);
      } else if (zones.push(zone) > zonesPerBlockMax) {
        findings.error(
          key.at,
          `at most ${zonesPerBlockMax} zones are allowed per server block; use fewer or wider zones.`,
        );
        return zones;
      }
    }
  }
  // Without any key the parser has said so.
  const isUnsaid = zones.length === 0 && block.keys.length > 0 && findings.errors.length === errorsBefore;
  if (isUnsaid) findings.error(block.at, 'the server block has no zone; write one before its {.');
  return zones;
}

function groupByName(block: ServerBlock, findings: Findings): ReadonlyMap<SupportedDirective, readonly Directive[]> {
  const byName = new Map<SupportedDirective, Directive[]>();
  for (const directive of block.directives) {
    if (!isSupported(directive.name)) {
      findings.error(directive.at, aboutUnsupported(directive.name));
      continue;
    }
    const same = byName.get(directive.name);
    if (same === undefined) byName.set(directive.name, [directive]);
    else same.push(directive);
  }
  return byName;
}

function checkRepeats(byName: ReadonlyMap<SupportedDirective, readonly Directive[]>, findings: Findings): void {
  for (const [name, [first, second]] of byName) {
    if (second === undefined) continue;
    const where = `it is already on line ${first.at.line}`;
    if (onlyOnce.includes(name)) {
      findings.error(second.at, `${name}: allowed once per server block; ${where}. Remove one.`);
    }
    const counts = silentlyOnce[name];
    if (counts !== undefined) {
      findings.warnings.push({
        at: second.at,
        message: `${name}: ${where}, and only the ${counts} one counts; remove the other.`,
      });
    }
  }
}

/** The block's AAAA policy: the directive's, or that of the first template for AAAA if it is one in other words. */
function settleAaaa(
  written: readonly TemplateConfig[],
  directive: Placed<AaaaPolicy> | null,
  zones: readonly string[],
  findings: Findings,
): { policy: AaaaPolicy | null; at: Position | null; templates: readonly TemplateConfig[] } {
  const template = written.find(mayAnswerAaaa);
  const meant = template === undefined ? null : aaaaPolicyOf(template, zones);
  if (template === undefined || meant === null) {
    return { policy: directive?.value ?? null, at: directive?.at ?? null, templates: written };
  }
  if (directive !== null) {
    const where = `the template on line ${template.at.line} already answers "${meant}" for AAAA`;
    findings.error(directive.at, `aaaa: ${where}; keep one of the two.`);
  }
  return { policy: meant, at: template.at, templates: written.filter((other) => other !== template) };
}

/** What AAAA questions get by policy cannot be translated: with NXDOMAIN nothing ever would be, in CoreDNS too. */
function checkTranslation({ dns64, aaaa, aaaaAt }: BlockConfig, context: DirectiveContext): void {
  if (dns64 === null || aaaa === null || aaaa === 'forward') return;
  const why = `AAAA queries get "${aaaa}" from line ${aaaaAt!.line}`;
  if (aaaa === 'nxdomain') return context.warn(dns64.at, `dns64: has no effect: ${why}; remove one of the two.`);
  throw new ConfigError(dns64.at, `dns64: ${why}; remove that: dns64 queries AAAA, and synthesizes it from A.`);
}

/** Warns of a block that can answer nothing. What is missing may be what was refused. */
function warnOfNothing(config: BlockConfig, context: DirectiveContext, { hasErrors }: Findings): void {
  const { forwards, templates, hosts, whoami, local, aaaa } = config;
  const makes = templates.length > 0 || hosts !== null || whoami || local !== null;
  if (forwards.length === 0 && !makes && aaaa === null && !hasErrors) {
    context.warn(config.at, 'the server block has no forward, template or hosts, so it cannot answer queries.');
  }
}
