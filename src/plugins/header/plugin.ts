/** `header { [query|response] set|clear aa|ra|rd… }`: flags of upstream queries and of answers. */

import { type DirectiveContext, eachOption, fail, noWords, oneOf, warn } from '../../config/arguments.js';
import { eachOf, type HeaderFlags } from '../../config/config.js';
import type { Directive } from '../../config/corefile.js';
import type { Token } from '../../config/lexer.js';
import { flagAa, flagRa, flagRd } from '../../dns/wire.js';
import type { Changer } from '../../resolve/route.js';
import type { Plugin } from '../plugin.js';

const bits = { aa: flagAa, ra: flagRa, rd: flagRd } as const;
const names = ['aa', 'ra', 'rd'] as const;
const headerActions = ['set', 'clear'] as const;
type Action = (typeof headerActions)[number];

interface HeaderConfig {
  /** RD in upstream queries; null: as the client sent it. */
  readonly recursionDesired: boolean | null;
  readonly response: HeaderFlags | null;
}

export const header: Plugin<HeaderConfig> = {
  name: 'header',
  repeats: 'all',
  leavesHits: true,
  leavesDenials: () => true,
  read: readHeaders,
  traits: ({ recursionDesired, response }) => ({
    responseFlags: response,
    ...(recursionDesired === null ? {} : { cachedBy: { header: recursionDesired } }),
  }),
  start: ({ recursionDesired }) => (recursionDesired === null ? null : { changer: recursionChanger(recursionDesired) }),
};

/** All directives of a block as one; the last word about a flag counts. */
function readHeaders(directives: readonly Directive[], context: DirectiveContext): HeaderConfig {
  const query = { set: 0, clear: 0 };
  const response = { set: 0, clear: 0 };
  function say(word: typeof query, action: Action, flags: number): void {
    word[action] |= flags;
    word[action === 'set' ? 'clear' : 'set'] &= ~flags;
  }
  function inFull(word: typeof query, line: Directive): number {
    const [action, ...flags] = line.arguments;
    if (action === undefined) fail(line, 'expects set or clear, then flags.');
    const bitsSaid = flagsOf(line, flags);
    say(word, oneOf(line, lowerToken(action), 'the action', headerActions), bitsSaid);
    return bitsSaid;
  }
  eachOf(directives, (directive) => {
    noWords(directive);
    const lines = directive.block ?? [];
    if (lines.length === 0) fail(directive, 'has no rule; write for example "response set ra" into its block.');
    for (const line of lines) if (line.block !== null) fail(line, 'takes no block; remove the { }.');
    const block = lines.map((line) => ({ ...line, name: line.name.toLowerCase() }));
    eachOption(
      { ...directive, block },
      {
        query(line) {
          if ((inFull(query, line) & ~flagRd) === 0) return;
          warn(context, line, 'aa and ra have no meaning in a query, only rd has; remove them.');
        },
        response: (line) => void inFull(response, line),
        // Older versions of CoreDNS set flags of answers only.
        set: (line) => say(response, 'set', flagsOf(line, line.arguments)),
        clear: (line) => say(response, 'clear', flagsOf(line, line.arguments)),
      },
    );
  });
  const saysRecursion = ((query.set | query.clear) & flagRd) !== 0;
  return {
    recursionDesired: saysRecursion ? (query.set & flagRd) !== 0 : null,
    response: (response.set | response.clear) === 0 ? null : response,
  };
}

function flagsOf(line: Directive, tokens: readonly Token[]): number {
  if (tokens.length === 0) fail(line, 'expects flags: aa, ra or rd.');
  return tokens.reduce((flags, token) => flags | bits[oneOf(line, lowerToken(token), 'a flag', names)], 0);
}

function lowerToken(token: Token): Token {
  return { ...token, text: token.text.toLowerCase() };
}

/** Sets or clears RD in upstream queries. */
function recursionChanger(wanted: boolean): Changer {
  return (draft, { flags }) => {
    if (wanted !== ((flags & flagRd) !== 0)) draft.recursionDesired = wanted;
    return null;
  };
}
