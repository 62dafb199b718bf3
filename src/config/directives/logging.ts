/** The directives that record queries: `log` writes a line for each, `errors` for each failure, `dnstap` sends both messages. */
import { isIP } from 'node:net';
import { canonicalAddress, portNumber, splitHostPort } from '../addresses.js';
import {
  type DirectiveContext,
  durationMs,
  eachOption,
  fail,
  oneOf,
  oneWord,
  readPattern,
  set,
  someWords,
  switchOn,
  warn,
  wholeNumber,
  words,
} from '../arguments.js';
import type { ConsolidateConfig, DnstapConfig, DnstapTarget, ErrorsConfig, LogConfig } from '../config.js';
import type { Directive } from '../corefile.js';
import type { Token } from '../lexer.js';
import { programVersion } from '../version.js';
import { readName, readZones } from '../zones.js';

const formatDefault = '{common}';

/** `log [NAMES…] [FORMAT] { class … }`. */
export function readLog(directive: Directive, context: DirectiveContext): LogConfig {
  const last = directive.arguments.at(-1);
  const format = last?.text.includes('{') ? last.text : undefined;
  const names = format !== undefined ? directive.arguments.slice(0, -1) : directive.arguments;
  if (format !== undefined && names.length === 0) {
    warn(context, directive, 'CoreDNS reads a format without names as a name; write "." before it.');
  }
  const wrong = format === undefined ? null : (context.checkLogFormat?.(format) ?? null);
  if (wrong !== null) warn(context, directive, wrong);
  const classes = new Set<LogConfig['classes'][number]>();
  eachOption(directive, {
    class(option) {
      for (const token of someWords(option, 'success, denial, error or all')) {
        classes.add(oneOf(option, token, 'the class', ['success', 'denial', 'error', 'all']));
      }
    },
  });
  return {
    names: names.length === 0 ? ['.'] : names.flatMap((token) => readZones(token, directive.path)),
    format: format ?? formatDefault,
    classes: classes.size === 0 ? ['all'] : [...classes],
  };
}

/** `errors { stacktrace; consolidate … }`. */
export function readErrors(directive: Directive): ErrorsConfig {
  const [file] = words(directive, 0, 1, 'nothing, or "stdout"');
  if (file !== undefined && file.text !== 'stdout')
    fail(directive, `"${file.text}" is not a log file that zerohop can use; write stdout or nothing.`);
  const consolidate: ConsolidateConfig[] = [];
  const draft = { stacktrace: false, consolidate };
  eachOption(directive, {
    stacktrace: switchOn(draft, 'stacktrace'),
    consolidate: (option) => void consolidate.push(readConsolidate(option)),
  });
  return draft;
}

function readConsolidate(option: Directive): ConsolidateConfig {
  const [period, pattern, ...rest] = words(option, 2, 4, 'DURATION "REGEXP" [LEVEL] [show_first]');
  const last = rest.at(-1);
  const showFirst = last?.text === 'show_first';
  const [level, surplus] = showFirst ? rest.slice(0, -1) : rest;
  if (surplus !== undefined)
    fail(option, `"${surplus.text}" is unexpected after the level; only show_first may follow.`);
  const periodMs = durationMs(option, period, 'the period');
  if (periodMs === 0) fail(option, 'the period must be longer than 0; write one like 5m.');
  return {
    periodMs,
    pattern: readPattern(pattern, option),
    level: level === undefined ? 'error' : oneOf(option, level, 'the level', ['debug', 'info', 'warning', 'error']),
    showFirst,
  };
}

const multipleMax = 4_096;

/** `dnstap SOCKET [full [WRITEBUFFER [QUEUE]]] { identity, version, extra, skipverify }`. */
export function readDnstap(directive: Directive, context: DirectiveContext): DnstapConfig {
  const [socket, full, ...sizes] = words(directive, 1, 4, 'SOCKET [full [WRITEBUFFER [QUEUE]]]');
  if (full !== undefined) oneOf(directive, full, 'the word after the socket', ['full']);
  for (const size of sizes) wholeNumber(directive, size, 'the size', 1, multipleMax);
  if (sizes.length > 0)
    warn(context, directive, 'the sizes after full have no effect: zerohop has its own limit for waiting messages.');
  const draft = {
    identity: context.hostName?.() ?? 'localhost',
    version: `zerohop-${programVersion()}`,
    extra: null as string | null,
    skipverify: false,
  };
  eachOption(directive, {
    identity: set(draft, 'identity', (option) => oneWord(option, 'a name').text),
    version: set(draft, 'version', (option) => oneWord(option, 'a version').text),
    extra(option) {
      draft.extra = oneWord(option, 'a format').text;
      const wrong = context.checkLogFormat?.(draft.extra) ?? null;
      if (wrong !== null) warn(context, option, wrong);
    },
    skipverify: switchOn(draft, 'skipverify'),
  });
  const { skipverify, ...rest } = draft;
  const to = readCollector(directive, socket, !skipverify);
  return { at: directive.at, socket: socket.text, to, full: full !== undefined, ...rest };
}

function readCollector(directive: Directive, socket: Token, isVerified: boolean): DnstapTarget {
  const [, scheme, rest] = /^([a-z0-9]+):\/\/(.*)$/isu.exec(socket.text) ?? [undefined, 'unix', socket.text];
  if (scheme === 'unix' && rest !== '') return { kind: 'path', path: rest };
  if (scheme !== 'tcp' && scheme !== 'tls') {
    return fail(
      directive,
      `"${socket.text}" is not a socket; write a path, unix://PATH or tcp://ADDRESS:PORT.`,
      socket.at,
    );
  }
  const { host, port } = splitHostPort(rest) ?? { host: '', port: '' };
  const number = portNumber(port, 1);
  if (host === '' || number === undefined) {
    return fail(directive, `"${socket.text}" must be ${scheme}://ADDRESS:PORT, with [ADDRESS] for IPv6.`, socket.at);
  }
  const address = isIP(host) === 0 ? readName(host, socket.at, directive.path).slice(0, -1) : canonicalAddress(host)!;
  const endpoint = { address, port: number };
  return scheme === 'tcp' ? { kind: 'tcp', endpoint } : { kind: 'tls', endpoint, isVerified };
}
