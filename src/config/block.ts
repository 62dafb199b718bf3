/**
 * One server block: its directives, handed to their readers and put together with the defaults of those that are
 * not there. Rules between directives of a block are here; rules between blocks are in load.ts.
 */
import { udpBytesDefault, zonesPerBlockMax } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import { type DirectiveContext, diagnosticsOf } from './arguments.js';
import type { AaaaPolicy, BlockConfig, Position, ReloadConfig, TemplateConfig, ZoneAddress } from './config.js';
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
import { ConfigError, type Findings } from './error.js';
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
  const byName = groupByName(block, findings);
  checkRepeats(byName, findings);
  const all = (name: SupportedDirective) => byName.get(name) ?? [];
  const one = (name: SupportedDirective) => all(name).at(silentlyOnce[name] === 'first' ? 0 : -1);
  const read = <Value, Absent>(
    name: SupportedDirective,
    reader: (d: Directive, c: DirectiveContext) => Value,
    absent: Absent,
  ) => {
    const directive = one(name);
    return directive === undefined ? absent : findings.attempt(() => reader(directive, context), absent);
  };
  const each = <Value>(name: SupportedDirective, reader: (d: Directive, c: DirectiveContext) => Value): Value[] =>
    all(name).flatMap((directive) => findings.attempt(() => [reader(directive, context)], []));
  const placed = <Value>(name: SupportedDirective, reader: (d: Directive, c: DirectiveContext) => Value) =>
    read(name, (directive) => ({ at: directive.at, value: reader(directive, context) }), null);

  const written = each('template', readTemplate);
  const { policy, at: aaaaAt, templates } = settleAaaa(written, placed('aaaa', readAaaa), context.zones, findings);
  const bound = all('bind').length === 0 ? ['::'] : findings.attempt(() => readBind(all('bind'), context), null);
  const addresses = bound ?? [];
  const bufsizeBytes = read('bufsize', readBufsize, udpBytesDefault);
  const config: BlockConfig = {
    at: block.at,
    zones,
    addresses,
    cache: read('cache', readCache, null),
    forwards: each('forward', (directive) => ({ ...readForward(directive, context), udpBytes: bufsizeBytes })),
    templates,
    hosts: read('hosts', readHosts, null),
    dns64: read('dns64', readDns64, null),
    loadbalance: read('loadbalance', readLoadbalance, null),
    nsid: read('nsid', readNsid, null),
    local: read('local', readLocal, null),
    acls: each('acl', readAcl),
    changing: {
      rewrites: findings.attempt(() => readRewrites(all('rewrite'), context), []),
      header: findings.attempt(() => readHeaders(all('header'), context), { recursionDesired: null, response: null }),
      autopath: read('autopath', readAutopath, null),
    },
    any: read('any', readSwitch, false),
    minimal: read('minimal', readSwitch, false),
    whoami: read('whoami', readSwitch, false),
    aaaa: policy,
    aaaaAt,
    errors: read('errors', readErrors, null),
    log: each('log', readLog),
    dnstap: each('dnstap', readDnstap),
    loop: read('loop', readSwitch, false),
    prometheus: one('prometheus') !== undefined,
    bufsizeBytes,
    timeouts: read('timeouts', readTimeouts, timeoutsByDefault),
    directives: [...byName.keys()],
  };
  read('cancel', readCancel, undefined);
  read('metadata', readMetadata, undefined);
  read('trace', readTrace, undefined);
  const placedParts = {
    health: placed('health', readHealth),
    ready: placed('ready', readReady),
    reload: placed('reload', readReload),
    metrics: placed('prometheus', readPrometheus),
    pprof: placed('pprof', readPprof),
    debug: read('debug', readSwitch, false),
  };
  findings.attempt(() => checkTranslation(config, context), undefined);
  const makes = config.templates.length > 0 || config.hosts !== null || config.whoami || config.local !== null;
  // What is missing may be what was refused.
  if (config.forwards.length === 0 && !makes && policy === null && !findings.hasErrors) {
    context.warn(block.at, 'the server block has no forward, template or hosts, so it cannot answer queries.');
  }
  return { config, ...placedParts, isPlaced: areZonesKnown && bound !== null };
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
