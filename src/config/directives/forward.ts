/**
 * `forward FROM TO… { … }`: which names are forwarded, where, and how.
 *
 * `tls [CERT KEY] [CA]` names PEM files, which are read and checked with the Corefile: a file that is missing, truncated or
 * does not match the others is rejected at its line, and not by a handshake later. They are read as bytes, which are
 * overwritten afterwards: any of them may contain a key, and strings stay in the heap until the garbage collector runs.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { learnPeriodMs, learnPeriodMsMin, udpBytesDefault, upstreamsPerForwardMax } from '../../limits.js';
import type { TlsMaterial } from '../../os/network.js';
import { newTlsMaterial } from '../../os/tls.js';
import { canonicalAddress, dnsPort, portNumber, readEndpoint, splitHostPort } from '../addresses.js';
import {
  aboutPlaceholder,
  type DirectiveContext,
  durationMs,
  eachOption,
  fail,
  noWords,
  oneDurationMs,
  oneOf,
  oneWord,
  rcode,
  set,
  someWords,
  switchOn,
  unsupported,
  warn,
  warnOfForeignZones,
  warnOfMissingBrackets,
  wholeNumber,
  words,
} from '../arguments.js';
import {
  eachOf,
  type ForwardConfig,
  type ForwardTarget,
  type HealthCheckConfig,
  type LearnedConfig,
  type UpstreamEndpoint,
} from '../config.js';
import type { Directive } from '../corefile.js';
import type { Token } from '../lexer.js';
import { readName, readZones } from '../zones.js';

type ForwardDraft = { -readonly [Key in keyof ForwardConfig]: ForwardConfig[Key] };
type NumberKey = { [Key in keyof ForwardDraft]: ForwardDraft[Key] extends number ? Key : never }[keyof ForwardDraft];

const countMax = 2 ** 31 - 1;
const tlsPort = 853;
const noHttps =
  'zerohop queries upstreams over UDP, TCP and TLS. Write tls://ADDRESS, or use a resolver on the node that supports it.';

const byDefault = {
  except: [],
  transport: 'client',
  expireMs: 10_000,
  // CoreDNS has no limit; this one lets load move to new replicas behind a Service.
  maxAgeMs: 45_000,
  idleConnectionsMax: 0,
  readTimeoutMs: 2_000,
  failsMax: 2,
  connectAttemptsMax: 0,
  healthCheck: { intervalMs: 500, recursionDesired: true, domain: '.' },
  policy: 'random',
  concurrentMax: 0,
  next: [],
  nextOnNodata: false,
  failover: [],
  failfastAllUnhealthy: false,
  sourceAddress: null,
  endpoints: null,
  tls: { serverName: null, material: null },
  udpBytes: udpBytesDefault,
} as const;

export function readForward(directive: Directive, context: DirectiveContext): ForwardConfig {
  const [from, ...to] = someWords(directive, 'FROM and at least one TO, such as ". /etc/resolv.conf"');
  if (to.length === 0) fail(directive, notAnAddress(''));
  if (to.length > upstreamsPerForwardMax) {
    fail(directive, `at most ${upstreamsPerForwardMax} upstreams are allowed, not ${to.length}; remove some.`);
  }
  const forward: ForwardDraft = {
    ...byDefault,
    at: directive.at,
    from: readFrom(directive, from, context),
    to: eachOf(to, (token) => readTarget(directive, token, context)),
  };
  warnOfForeignZones(context, directive, [forward.from]);
  const given = new Set<string>();
  eachOption(directive, forwardOptions(forward, given, context));
  checkForward(directive, forward, given);
  return forward;
}

/** A reader for each option, which changes `forward`, and adds the names of durations to `given`. */
function forwardOptions(
  forward: ForwardDraft,
  given: Set<string>,
  context: DirectiveContext,
): Readonly<Record<string, (option: Directive) => void>> {
  let forceTcp = false;
  const duration = (key: NumberKey, what: string) => (option: Directive) => {
    given.add(option.name);
    forward[key] = oneDurationMs(option, what);
  };
  const count = (key: NumberKey, what: string) => (option: Directive) => {
    forward[key] = wholeNumber(option, oneWord(option, 'a number'), what, 0, countMax);
  };
  return {
    except: set(forward, 'except', (option) => {
      const names = someWords(option, 'names');
      return [...forward.except, ...names.flatMap((token) => readZones(token, option.path))];
    }),
    force_tcp(option) {
      noWords(option);
      forceTcp = true;
      forward.transport = 'tcp';
    },
    prefer_udp(option) {
      noWords(option);
      if (!forceTcp) forward.transport = 'udp';
    },
    expire: duration('expireMs', 'the idle time'),
    max_age: duration('maxAgeMs', 'the age'),
    read_timeout: duration('readTimeoutMs', 'the timeout'),
    max_idle_conns: count('idleConnectionsMax', 'the number of connections'),
    max_fails: count('failsMax', 'the number of failures'),
    max_connect_attempts: count('connectAttemptsMax', 'the number of attempts'),
    max_concurrent: count('concurrentMax', 'the number of queries'),
    health_check: set(forward, 'healthCheck', (option) => readHealthCheck(option, context)),
    policy: set(forward, 'policy', (option) => {
      const word = oneWord(option, 'random, round_robin or sequential');
      return oneOf(option, word, 'the policy', ['random', 'round_robin', 'sequential']);
    }),
    next: set(forward, 'next', (option) => [...forward.next, ...rcodes(option)]),
    next_on_nodata: switchOn(forward, 'nextOnNodata'),
    failover(option) {
      const failures = rcodes(option);
      if (failures.includes(0)) fail(option, 'NOERROR is not a failure, and would retry every query.');
      forward.failover = [...forward.failover, ...failures];
    },
    failfast_all_unhealthy_upstreams: switchOn(forward, 'failfastAllUnhealthy'),
    source_address(option) {
      const word = oneWord(option, 'an IP address');
      forward.sourceAddress =
        canonicalAddress(word.text) ?? fail(option, `"${word.text}" is not an IP address; write one of this host.`);
    },
    endpoints: set(forward, 'endpoints', readEndpoints),
    tls: set(forward, 'tls', (option) => ({ ...forward.tls, material: readTls(option, context) })),
    tls_servername(option) {
      const word = oneWord(option, 'the name in the certificate');
      forward.tls = { ...forward.tls, serverName: readName(word.text, word.at, option.path).slice(0, -1) };
    },
    doh_method: unsupported(noHttps),
    resolver: unsupported('upstream names are resolved by the other upstreams of the forward.'),
  };
}

/** Rules between options. */
function checkForward(directive: Directive, forward: ForwardConfig, given: ReadonlySet<string>): void {
  const hasAddress = forward.to.some(({ kind }) => kind !== 'name');
  const [named] = forward.to.filter((target) => target.kind === 'name');
  if (!hasAddress && named !== undefined) fail(directive, onlyNames(named.name.slice(0, -1)));
  if (given.has('max_age') && given.has('expire') && forward.maxAgeMs !== 0 && forward.maxAgeMs < forward.expireMs) {
    fail(directive, 'max_age must not be shorter than expire; raise it, or write 0 for no limit.');
  }
  if (forward.readTimeoutMs === 0) fail(directive, 'read_timeout must be longer than 0; write one like 2s.');
}

function rcodes(option: Directive): number[] {
  return someWords(option, 'rcodes, such as NXDOMAIN').map((token) => rcode(option, token));
}

function readFrom(directive: Directive, token: Token, context: DirectiveContext): string {
  const [zone, ...more] = readZones(token, directive.path);
  if (more.length > 0) {
    const zones = `"${token.text}" is ${more.length + 1} reverse zones, and only ${zone} is forwarded, as in CoreDNS`;
    warn(context, directive, `${zones}; write one forward for each.`);
  }
  return zone;
}

function readTarget(directive: Directive, token: Token, context: DirectiveContext): ForwardTarget {
  const [, scheme, rest] = /^([a-z0-9]+):\/\/(.*)$/isu.exec(token.text) ?? [undefined, 'dns', token.text];
  if (scheme === 'tls') return { kind: 'endpoint', endpoint: readTlsEndpoint(directive, token, rest, context) };
  if (scheme !== 'dns') {
    if (['https', 'grpc', 'quic'].includes(scheme))
      fail(directive, `${scheme}:// upstreams are not supported yet; ${noHttps}`, token.at);
    fail(directive, `"${scheme}://" is not a supported scheme; write an IP address or dns://ADDRESS.`, token.at);
  }
  const endpoint = readEndpoint(rest, dnsPort);
  warnOfMissingBrackets(context, directive, { text: rest, port: dnsPort });
  if (endpoint !== undefined) return { kind: 'endpoint', endpoint };
  if (rest.includes('/') || context.files.exists(rest)) {
    if (!context.files.exists(rest))
      warn(context, directive, `${rest} does not exist; names get no answer until it does.`);
    return { kind: 'file', path: rest };
  }
  const name = readHostPort(rest);
  if (name === undefined) return fail(directive, notAnAddress(rest), token.at);
  return {
    kind: 'name',
    name: readName(name.host, token.at, directive.path),
    port: name.port,
    refreshMs: learnPeriodMs,
  };
}

/**
 * `ADDRESS`, `ADDRESS:PORT`, and with the name in its certificate `ADDRESS%NAME`; the port may be before or, as in CoreDNS,
 * behind the name: `9.9.9.9%dns.quad9.net:853`, `[2620:fe::fe%dns.quad9.net]:853`. The first `%` of a link-local address
 * is followed by its interface.
 */
function readTlsEndpoint(
  directive: Directive,
  token: Token,
  text: string,
  context: DirectiveContext,
): UpstreamEndpoint {
  warnOfMissingBrackets(context, directive, { text, port: tlsPort });
  const whole = readEndpoint(text, tlsPort);
  if (whole !== undefined && (!whole.address.includes('%') || isLinkLocal(whole.address))) {
    return { ...whole, overTls: true };
  }
  const [, address, name = '', port = ''] = /^(.+)%([^%:\]]*)(\]?(?::\d+)?)$/u.exec(text) ?? [];
  const isBare = port.startsWith(':') && address?.includes(':');
  const endpoint = readEndpoint(isBare ? `[${address}]${port}` : `${address}${port}`, tlsPort);
  if (endpoint === undefined || name === '' || (endpoint.address.includes('%') && !isLinkLocal(endpoint.address))) {
    return fail(
      directive,
      `"${token.text}" is not an upstream; write tls:// and an IP address, and its name as tls_servername or after a %.`,
      token.at,
    );
  }
  return { ...endpoint, overTls: true, serverName: readName(name, token.at, directive.path).slice(0, -1) };
}

/** fe80::/10 needs an interface. */
function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/iu.test(address);
}

/** `kube-dns.kube-system.svc.cluster.local`, with or without a port; undefined for what is no host name. */
function readHostPort(text: string): { host: string; port: number } | undefined {
  const { host, port = '53' } = /^[^:]*$/u.test(text) ? { host: text } : (splitHostPort(text) ?? { host: '' });
  const number = portNumber(port, 1);
  const isName = /^(?=.*[a-z])(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.?$/iu.test(
    host,
  );
  return !isName || number === undefined ? undefined : { host, port: number };
}

function readEndpoints(option: Directive): LearnedConfig {
  const expected = 'NAME [REFRESH], such as "kube-dns-headless.kube-system.svc.cluster.local 30s"';
  const [name, refresh] = words(option, 1, 2, expected);
  const at = readHostPort(name.text);
  if (at === undefined) {
    return fail(
      option,
      `"${name.text}" is not a name; write that of a headless Service, or NAME:PORT.${aboutPlaceholder(name.text)}`,
    );
  }
  const refreshMs = refresh === undefined ? learnPeriodMs : durationMs(option, refresh, 'the refresh interval');
  if (refreshMs < learnPeriodMsMin)
    fail(option, `the refresh interval must be at least ${learnPeriodMsMin / 1000}s; write 30s.`);
  return { name: readName(at.host, option.at, option.path), port: at.port, refreshMs };
}

function onlyNames(name: string): string {
  return `"${name}" is a name, and no other upstream can resolve it; add an IP address (of the Service, for example) or the path of a resolv.conf.${aboutPlaceholder(name)}`;
}

function notAnAddress(text: string): string {
  if (text === '' || text === '<nil>')
    return 'an upstream is empty; is {$KUBE_DNS_SERVICE_HOST} set? Write an IP address or a resolv.conf.';
  if (/^[\d.:[\]]+$/u.test(text) || /^[^:]*:[^:]*$/u.test(text)) {
    return `"${text}" is not an upstream; write ADDRESS or ADDRESS:PORT with an IP address, [ADDRESS]:PORT for IPv6, or the path of a resolv.conf.`;
  }
  return `"${text}" is not an upstream; write an IP address (of the Service, for example), the path of a resolv.conf, or a name together with one of these.${aboutPlaceholder(text)}`;
}

function readHealthCheck(option: Directive, context: DirectiveContext): HealthCheckConfig {
  const [interval, ...rest] = words(option, 1, 4, 'DURATION [no_rec] [domain NAME]');
  const usualMs = byDefault.healthCheck.intervalMs;
  const askedMs = durationMs(option, interval, 'the interval');
  if (askedMs === 0) warn(context, option, `an interval of 0 is not allowed; ${usualMs}ms is used.`);
  let recursionDesired = true;
  let domain = '.';
  for (let index = 0; index < rest.length; index++) {
    if (oneOf(option, rest[index], 'the word after the interval', ['no_rec', 'domain']) === 'no_rec') {
      recursionDesired = false;
      continue;
    }
    const name = rest[++index] ?? fail(option, 'a name is expected after "domain".');
    domain = readName(name.text, name.at, option.path);
  }
  return { intervalMs: askedMs || usualMs, recursionDesired, domain };
}

interface PemFile {
  readonly option: Directive;
  readonly token: Token;
  readonly bytes: Buffer;
}

/** As in CoreDNS: nothing (null), the CA, our certificate and key, or all three. */
function readTls(option: Directive, { files }: DirectiveContext): TlsMaterial | null {
  const read: PemFile[] = [];
  try {
    eachOf(words(option, 0, 3, '[CERT KEY] [CA]'), (token) => {
      read.push({ option, token, bytes: certificateBytes(option, token, files) });
    });
    return read.length === 0 ? null : materialOf(option, read);
  } finally {
    for (const { bytes } of read) bytes.fill(0);
  }
}

function certificateBytes(option: Directive, token: Token, files: DirectiveContext['files']): Buffer {
  try {
    return files.readBytes(token.text);
  } catch (error) {
    const why = (error as Error).message.replace(/\.$/u, '');
    return fail(option, `${token.text} cannot be read (${why}); name a PEM file that this user can read.`, token.at);
  }
}

function materialOf(option: Directive, read: readonly PemFile[]): TlsMaterial {
  const [certificate, key] = read.length < 2 ? [] : read;
  const ca = read.length === 1 ? read[0] : read[2];
  eachOf([ca, certificate], (file) => file && certificatesIn(file));
  if (certificate !== undefined && key !== undefined) mustBelong(certificate, key);
  try {
    return newTlsMaterial({ ca: ca?.bytes ?? null, certificate: certificate?.bytes ?? null, key: key?.bytes ?? null });
  } catch (error) {
    return fail(option, `these files are not usable for TLS (${(error as Error).message}).`);
  }
}

function mustBelong(certificate: PemFile, key: PemFile): void {
  if (certificatesIn(certificate)[0].checkPrivateKey(keyIn(key))) return;
  const [one, other] = [key.token.text, certificate.token.text];
  fail(key.option, `the key in ${one} does not match the first certificate in ${other}; name a matching pair.`);
}

const beginMark = '-----BEGIN CERTIFICATE-----';
const endMark = '-----END CERTIFICATE-----';

function certificatesIn({ option, token, bytes }: PemFile): X509Certificate[] {
  const [begins, ends] = [placesOf(beginMark, bytes), placesOf(endMark, bytes)];
  if (begins.length + ends.length === 0) {
    fail(option, `${token.text} has no certificate; name a PEM file with one ("${beginMark}").`, token.at);
  }
  // Each certificate ends before the next one begins.
  const isWhole =
    begins.length === ends.length &&
    begins.every((begin, index) => begin < ends[index] && ends[index] < (begins[index + 1] ?? bytes.length));
  if (!isWhole) fail(option, `${token.text} is truncated within a certificate; write the whole file.`, token.at);
  return begins.map((begin, index) => {
    try {
      return new X509Certificate(bytes.subarray(begin, ends[index] + endMark.length));
    } catch {
      return fail(option, `certificate ${index + 1} in ${token.text} is broken; replace the file.`, token.at);
    }
  });
}

/** All offsets of `mark`. */
function placesOf(mark: string, bytes: Buffer): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length)) places.push(at);
  return places;
}

function keyIn({ option, token, bytes }: PemFile): KeyObject {
  try {
    return createPrivateKey(bytes);
  } catch {
    const why = bytes.includes('ENCRYPTED') ? 'has a key with a passphrase' : 'has no complete private key';
    return fail(option, `${token.text} ${why}; name a PEM file with the whole key and no passphrase.`, token.at);
  }
}
