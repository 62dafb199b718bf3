/**
 * One server block: its directives, handed to their readers and put together with the defaults of those that are
 * not there. Rules between directives of a block are here; rules between blocks are in load.ts.
 */
import { udpBytesDefault, zonesPerBlockMax } from '../limits.js';
import type { Endpoint } from '../outside/network.js';
import { type DirectiveContext, diagnosticsOf } from './arguments.js';
import type {
  AaaaPolicy,
  BlockConfig,
  Diagnostic,
  Position,
  ReloadConfig,
  TemplateConfig,
  ZoneAddress,
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
import { ConfigError } from './error.js';
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

/** Reads a block; adds to `warnings`. Throws a ConfigError. */
export function readBlock(block: ServerBlock, options: BlockOptions, warnings: Diagnostic[]): ReadBlock {
  const zones = readKeys(block, options.defaultPort, warnings);
  const context: DirectiveContext = { ...options, zones: zones.map(({ zone }) => zone), warn: diagnosticsOf(warnings) };
  const byName = groupByName(block);
  checkRepeats(byName, warnings);
  const all = (name: SupportedDirective) => byName.get(name) ?? [];
  const one = (name: SupportedDirective) => all(name).at(silentlyOnce[name] === 'first' ? 0 : -1);
  const read = <Value, Absent>(
    name: SupportedDirective,
    reader: (d: Directive, c: DirectiveContext) => Value,
    absent: Absent,
  ) => {
    const directive = one(name);
    return directive === undefined ? absent : reader(directive, context);
  };
  const placed = <Value>(name: SupportedDirective, reader: (d: Directive, c: DirectiveContext) => Value) =>
    read(name, (directive) => ({ at: directive.at, value: reader(directive, context) }), null);

  const written = all('template').map((directive) => readTemplate(directive, context));
  const { policy, at: aaaaAt, templates } = settleAaaa(written, placed('aaaa', readAaaa), context.zones);
  const addresses = all('bind').length === 0 ? ['::'] : readBind(all('bind'), context);
  const bufsizeBytes = read('bufsize', readBufsize, udpBytesDefault);
  const config: BlockConfig = {
    at: block.at,
    zones,
    addresses,
    cache: read('cache', readCache, null),
    forwards: all('forward').map((directive) => ({ ...readForward(directive, context), udpBytes: bufsizeBytes })),
    templates,
    hosts: read('hosts', readHosts, null),
    dns64: read('dns64', readDns64, null),
    loadbalance: read('loadbalance', readLoadbalance, null),
    nsid: read('nsid', readNsid, null),
    local: read('local', readLocal, null),
    acls: all('acl').map((directive) => readAcl(directive, context)),
    changing: {
      rewrites: readRewrites(all('rewrite'), context),
      header: readHeaders(all('header'), context),
      autopath: read('autopath', readAutopath, null),
    },
    any: read('any', readSwitch, false),
    minimal: read('minimal', readSwitch, false),
    whoami: read('whoami', readSwitch, false),
    aaaa: policy,
    aaaaAt,
    errors: read('errors', readErrors, null),
    log: all('log').map((directive) => readLog(directive, context)),
    dnstap: all('dnstap').map((directive) => readDnstap(directive, context)),
    loop: read('loop', readSwitch, false),
    prometheus: one('prometheus') !== undefined,
    bufsizeBytes,
    timeouts: read('timeouts', readTimeouts, timeoutsByDefault),
    directives: [...byName.keys()],
  };
  read('cancel', readCancel, undefined);
  read('metadata', readMetadata, undefined);
  read('trace', readTrace, undefined);
  checkTranslation(config, context);
  const makes = config.templates.length > 0 || config.hosts !== null || config.whoami || config.local !== null;
  if (config.forwards.length === 0 && !makes && policy === null) {
    context.warn(block.at, 'the server block has neither forward, template nor hosts, so it can answer nothing.');
  }
  return {
    config,
    health: placed('health', readHealth),
    ready: placed('ready', readReady),
    reload: placed('reload', readReload),
    metrics: placed('prometheus', readPrometheus),
    pprof: placed('pprof', readPprof),
    debug: read('debug', readSwitch, false),
  };
}

function readKeys(block: ServerBlock, defaultPort: number, warnings: Diagnostic[]): ZoneAddress[] {
  const zones: ZoneAddress[] = [];
  for (const key of block.keys) {
    for (const zone of key.text === '' ? [] : readServerKey(key, defaultPort, warnings)) {
      if (zones.some((known) => known.zone === zone.zone && known.port === zone.port)) {
        throw new ConfigError(key.at, `the zone ${zone.zone} is named twice in this server block; take one out.`);
      }
      if (zones.push(zone) > zonesPerBlockMax) {
        throw new ConfigError(
          key.at,
          `a server block may have ${zonesPerBlockMax} zones at most; use fewer or wider ones.`,
        );
      }
    }
  }
  if (zones.length === 0) throw new ConfigError(block.at, 'the server block has no zone; write one before its {.');
  return zones;
}

function groupByName(block: ServerBlock): ReadonlyMap<SupportedDirective, readonly Directive[]> {
  const byName = new Map<SupportedDirective, Directive[]>();
  for (const directive of block.directives) {
    if (!isSupported(directive.name)) throw new ConfigError(directive.at, aboutUnsupported(directive.name));
    const same = byName.get(directive.name);
    if (same === undefined) byName.set(directive.name, [directive]);
    else same.push(directive);
  }
  return byName;
}

function checkRepeats(byName: ReadonlyMap<SupportedDirective, readonly Directive[]>, warnings: Diagnostic[]): void {
  for (const [name, [first, second]] of byName) {
    if (second === undefined) continue;
    const where = `it is already on line ${first.at.line}`;
    if (onlyOnce.includes(name)) {
      throw new ConfigError(second.at, `${name}: may be given once in a server block; ${where}. Take one out.`);
    }
    const counts = silentlyOnce[name];
    if (counts !== undefined) {
      warnings.push({
        at: second.at,
        message: `${name}: ${where}, and only the ${counts} one counts; take the other out.`,
      });
    }
  }
}

/** The block's AAAA policy: the directive's, or that of the first template for AAAA if it is one in other words. */
function settleAaaa(
  written: readonly TemplateConfig[],
  directive: Placed<AaaaPolicy> | null,
  zones: readonly string[],
): { policy: AaaaPolicy | null; at: Position | null; templates: readonly TemplateConfig[] } {
  const template = written.find(mayAnswerAaaa);
  const meant = template === undefined ? null : aaaaPolicyOf(template, zones);
  if (template === undefined || meant === null) {
    return { policy: directive?.value ?? null, at: directive?.at ?? null, templates: written };
  }
  if (directive !== null) {
    const where = `the template on line ${template.at.line} says "${meant}" for AAAA already`;
    throw new ConfigError(directive.at, `aaaa: ${where}; keep one of the two.`);
  }
  return { policy: meant, at: template.at, templates: written.filter((other) => other !== template) };
}

/** What AAAA questions get by policy cannot be translated: with NXDOMAIN nothing ever would be, in CoreDNS too. */
function checkTranslation({ dns64, aaaa, aaaaAt }: BlockConfig, context: DirectiveContext): void {
  if (dns64 === null || aaaa === null || aaaa === 'forward') return;
  const why = `AAAA questions get "${aaaa}" by line ${aaaaAt!.line}`;
  if (aaaa === 'nxdomain') return context.warn(dns64.at, `dns64: does nothing: ${why}; take one of the two out.`);
  throw new ConfigError(dns64.at, `dns64: ${why}; take that out: dns64 asks for AAAA, and makes it of A without.`);
}
