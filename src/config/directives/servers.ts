/**
 * The directives that open an HTTP address: `health`, `pprof`, `prometheus` and `ready`. An address without a host means all
 * addresses, written `::` as in `BlockConfig.addresses`.
 */

import type { Endpoint } from '../../os/network.js';
import { canonicalAddress, formatEndpoint, meantEndpoint, portNumber, splitHostPort } from '../addresses.js';
import {
  type DirectiveContext,
  durationMs,
  eachOption,
  fail,
  noWords,
  oneOf,
  oneWord,
  unsupported,
  warn,
  wholeNumber,
  words,
} from '../arguments.js';
import type { HealthConfig, ReadyConfig } from '../config.js';
import type { Directive } from '../corefile.js';

/** One `health` of several. */
export type HealthDirective = Endpoint & Pick<HealthConfig, 'lameduckMs'>;
/** One `ready` of several. */
export type ReadyDirective = Endpoint & Pick<ReadyConfig, 'monitor'>;

export function readHealth(directive: Directive): HealthDirective {
  const endpoint = readAddress(directive, ':8080');
  let lameduckMs = 0;
  eachOption(directive, {
    lameduck(option) {
      lameduckMs = durationMs(option, oneWord(option, 'a duration'), 'the time');
    },
  });
  return { ...endpoint, lameduckMs };
}

export function readReady(directive: Directive): ReadyDirective {
  const endpoint = readAddress(directive, ':8181');
  let monitor: ReadyConfig['monitor'] = 'until-ready';
  eachOption(directive, {
    monitor(option) {
      const word = oneWord(option, 'until-ready or continuously');
      monitor = oneOf(option, word, 'it', ['until-ready', 'continuously']);
    },
  });
  return { ...endpoint, monitor };
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

/** `pprof`: where profiles are served. `block` is about Go's scheduler. */
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
  const port = portNumber(parts.port, 0);
  if (port === undefined)
    return fail(directive, `"${parts.port}" in "${text}" is not a port; write a number up to 65535.`);
  const address = hostAddress(parts.host);
  if (address === undefined) {
    return fail(directive, `"${parts.host}" is not an IP address; write one, or only :${port} for all addresses.`);
  }
  return { address, port };
}

function hostAddress(host: string): string | undefined {
  if (host === '') return '::';
  if (host === 'localhost') return '127.0.0.1';
  return canonicalAddress(host);
}
