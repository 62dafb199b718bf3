/** `dnstap SOCKET [full [WRITEBUFFER [QUEUE]]] { identity, version, extra, skipverify }`: whom each query is told, and how. */
import { isIP } from 'node:net';
import { canonicalAddress, portNumber, splitHostPort } from '../addresses.js';
import {
  type DirectiveContext,
  eachOption,
  fail,
  noWords,
  oneOf,
  oneWord,
  warn,
  wholeNumber,
  words,
} from '../arguments.js';
import type { DnstapConfig, DnstapTarget } from '../config.js';
import type { Directive } from '../corefile.js';
import type { Token } from '../lexer.js';
import { programVersion } from '../version.js';
import { readName } from '../zones.js';

const multipleMax = 4_096;

export function readDnstap(directive: Directive, context: DirectiveContext): DnstapConfig {
  const [socket, full, ...sizes] = words(directive, 1, 4, 'SOCKET [full [WRITEBUFFER [QUEUE]]]');
  if (full !== undefined) oneOf(directive, full, 'the word after the socket', ['full']);
  for (const size of sizes) wholeNumber(directive, size, 'the size', 1, multipleMax);
  if (sizes.length > 0)
    warn(context, directive, 'the sizes after full have no effect: zerohop has its own limit for waiting messages.');
  let identity = context.hostName?.() ?? 'localhost';
  let version = `zerohop-${programVersion()}`;
  let extra: string | null = null;
  let isVerified = true;
  eachOption(directive, {
    identity(option) {
      identity = oneWord(option, 'a name').text;
    },
    version(option) {
      version = oneWord(option, 'a version').text;
    },
    extra(option) {
      extra = oneWord(option, 'a format').text;
      const wrong = context.checkLogFormat?.(extra) ?? null;
      if (wrong !== null) warn(context, option, wrong);
    },
    skipverify(option) {
      noWords(option);
      isVerified = false;
    },
  });
  const to = readTarget(directive, socket, isVerified);
  return { at: directive.at, socket: socket.text, to, full: full !== undefined, identity, version, extra };
}

function readTarget(directive: Directive, socket: Token, isVerified: boolean): DnstapTarget {
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
