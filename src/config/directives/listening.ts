/**
 * The directives about where clients connect: `bind` for DNS, `timeouts` for DNS over TCP, and those that open an HTTP
 * address: `health`, `pprof`, `prometheus` and `ready`.
 */
import type { Endpoint } from '../../os/network.js';
import {
  canonicalAddress,
  dnsPort,
  formatEndpoint,
  hostAddress,
  meantEndpoint,
  portNumber,
  readEndpoint,
  splitHostPort,
} from '../addresses.js';
import {
  aboutPlaceholder,
  type DirectiveContext,
  eachOption,
  fail,
  noWords,
  oneDurationMs,
  oneOf,
  oneWord,
  set,
  someWords,
  unsupported,
  warn,
  warnOfMissingBrackets,
  wholeNumber,
  words,
} from '../arguments.js';
import { eachOf, type HealthConfig, type ReadyConfig, type TimeoutsConfig } from '../config.js';
import type { Directive } from '../corefile.js';

/** `bind ADDRESS|INTERFACE … { except ADDRESS|INTERFACE … }`: the addresses of all of a block, without duplicates. */
export function readBind(directives: readonly Directive[], context: DirectiveContext): readonly string[] {
  const addresses = new Set<string>();
  eachOf(directives, (directive) => {
    const given = addressesOf(directive, context);
    const excepted = new Set<string>();
    eachOption(directive, {
      except(option) {
        for (const address of addressesOf(option, context)) excepted.add(address);
      },
    });
    const left = given.filter((address) => !excepted.has(address));
    if (left.length === 0) fail(directive, 'no address is left to listen on; add an address, or shorten except.');
    for (const address of left) addresses.add(address);
  });
  return [...addresses];
}

function addressesOf(directive: Directive, context: DirectiveContext): string[] {
  return someWords(directive, 'addresses or interface names').flatMap((token) => {
    const ofInterface = context.interfaceAddresses(token.text);
    if (ofInterface !== undefined) return [...ofInterface];
    const address = canonicalAddress(token.text);
    if (address === undefined) return fail(directive, noBindAddress(token.text), token.at);
    warnOfMissingBrackets(context, directive, { text: token.text, port: dnsPort });
    return [address];
  });
}

function noBindAddress(text: string): string {
  const wrong = `"${text}" is neither an IP address nor an interface of this host`;
  const meant = readEndpoint(text, 0);
  if (meant === undefined) return `${wrong}.${aboutPlaceholder(text)}`;
  const port = meant.port === 0 ? '' : `: the port belongs after the zone, as in ".:${meant.port}"`;
  return `${wrong}; write "bind ${meant.address}"${port}.`;
}

export type HealthDirective = Endpoint & Pick<HealthConfig, 'lameduckMs'>;
export type ReadyDirective = Endpoint & Pick<ReadyConfig, 'monitor'>;

export function readHealth(directive: Directive): HealthDirective {
  const health = { ...readAddress(directive, ':8080'), lameduckMs: 0 };
  eachOption(directive, { lameduck: set(health, 'lameduckMs', (option) => oneDurationMs(option, 'the time')) });
  return health;
}

export function readReady(directive: Directive): ReadyDirective {
  const ready = { ...readAddress(directive, ':8181'), monitor: 'until-ready' as ReadyConfig['monitor'] };
  eachOption(directive, {
    monitor: set(ready, 'monitor', (option) => {
      const word = oneWord(option, 'until-ready or continuously');
      return oneOf(option, word, 'it', ['until-ready', 'continuously']);
    }),
  });
  return ready;
}

export function readPrometheus(directive: Directive, context: DirectiveContext): Endpoint {
  const endpoint = readAddress(directive, 'localhost:9153');
  eachOption(directive, {
    runtime_metrics(option) {
      noWords(option);
      warn(context, option, 'has no effect: zerohop has no Go runtime.');
    },
    tls: unsupported('serve /metrics on a loopback address behind a TLS proxy, or remove it.'),
  });
  return endpoint;
}

/** `block` is about Go's scheduler. */
export function readPprof(directive: Directive, context: DirectiveContext): Endpoint {
  const endpoint = readAddress(directive, 'localhost:6053');
  eachOption(directive, {
    block(option) {
      const [rate] = words(option, 0, 1, 'one RATE');
      if (rate !== undefined) wholeNumber(option, rate, 'RATE', 1, Number.MAX_SAFE_INTEGER);
      warn(context, option, 'has no effect: zerohop has no block profile.');
    },
  });
  return endpoint;
}

function readAddress(directive: Directive, byDefault: string): Endpoint {
  const [token] = words(directive, 0, 1, 'one ADDRESS:PORT');
  const text = token?.text ?? byDefault;
  const parts = splitHostPort(text);
  if (parts === undefined) {
    const usualPort = Number(byDefault.slice(byDefault.indexOf(':') + 1));
    const meant = meantEndpoint(text, usualPort) ?? { address: '127.0.0.1', port: usualPort };
    return fail(directive, `"${text}" must be ADDRESS:PORT, for example ${formatEndpoint(meant)}.`);
  }
  const port =
    portNumber(parts.port, 0) ??
    fail(directive, `"${parts.port}" in "${text}" is not a port; write a number up to 65535.`);
  const address = hostAddress(parts.host);
  if (address === undefined) {
    return fail(directive, `"${parts.host}" is not an IP address; write one, or only :${port} for all addresses.`);
  }
  return { address, port };
}

const timeoutMsLeast = 1_000;
const timeoutMsMost = 24 * 3_600_000;

/** CoreDNS's defaults. */
export const timeoutsByDefault: TimeoutsConfig = { readMs: 3_000, writeMs: 5_000, idleMs: 10_000, tcpQueriesMax: -1 };

/** `timeouts { read; write; idle; maxtcpqueries }`: limits of a TCP client. */
export function readTimeouts(directive: Directive): TimeoutsConfig {
  noWords(directive);
  if (!directive.block?.length) fail(directive, 'expects a block with read, write, idle or maxtcpqueries.');
  const timeouts = { ...timeoutsByDefault };
  const queries = (option: Directive) => {
    const word = oneWord(option, 'a number of queries');
    timeouts.tcpQueriesMax = wholeNumber(option, word, 'the number of queries', -1, 2 ** 31 - 1);
  };
  const timeout = (key: 'readMs' | 'writeMs' | 'idleMs') => (option: Directive) => {
    const timeoutMs = oneDurationMs(option, 'the time');
    if (timeoutMs < timeoutMsLeast || timeoutMs > timeoutMsMost) fail(option, 'the time must be from 1s to 24h.');
    timeouts[key] = timeoutMs;
  };
  eachOption(directive, {
    read: timeout('readMs'),
    write: timeout('writeMs'),
    idle: timeout('idleMs'),
    maxtcpqueries: queries,
    max_queries: queries,
  });
  return timeouts;
}
