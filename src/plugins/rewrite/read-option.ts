/** `rewrite edns0 local|nsid|subnet set|append|replace|unset …`: EDNS options of upstream queries. */

import { type DirectiveContext, fail, listed, oneOf, warn, wholeNumber } from '../../config/arguments.js';
import type { Directive } from '../../config/corefile.js';
import type { Token } from '../../config/lexer.js';
import { optionNsid, optionSubnet } from '../../dns/wire.js';
import { optionBytesMax } from '../../limits.js';
import { type OptionChange, type OptionData, optionVariables } from './name-rules.js';

const optionKinds = ['local', 'nsid', 'subnet'] as const;
const optionActions = ['set', 'append', 'replace', 'unset'] as const;
const noRule: OptionData = { kind: 'bytes', bytes: [] };
/** `{plugin/name}`. */
const metadataLabel = /^\{[^{}/]+\/[^{}/]+\}$/u;
/** Variables that identify the client. */
const aboutTheClient = ['client_ip', 'client_port', 'protocol', 'server_ip', 'server_port'];

/** Null: the rule can never set data, and is ignored as in CoreDNS. */
export function readOptionChange(rule: Directive, context: DirectiveContext): OptionChange | null {
  const [kindToken, actionToken, ...written] = rule.arguments;
  if (actionToken === undefined) fail(rule, `expects ${listed(optionKinds)}, then ${listed(optionActions)}.`);
  const kind = oneOf(rule, lowerWord(kindToken), 'the option', optionKinds);
  const action = oneOf(rule, lowerWord(actionToken), 'the action', optionActions);
  // Options of upstreams never reach clients, so there is nothing to revert.
  const words = written.at(-1)?.text.toLowerCase() === 'revert' ? written.slice(0, -1) : written;
  const isUnset = action === 'unset';
  const about = { rule, kind, isUnset, words };
  if (kind === 'nsid') {
    expect(about, 0, 'nothing more');
    return { field: 'edns0', action, code: optionNsid, data: noRule };
  }
  if (kind === 'subnet') {
    expect(about, isUnset ? 0 : 2, isUnset ? 'nothing more' : 'the bits of IPv4 and of IPv6 addresses, such as 24 56');
    return { field: 'edns0', action, code: optionSubnet, data: isUnset ? noRule : subnet(rule, words) };
  }
  expect(about, isUnset ? 1 : 2, isUnset ? 'CODE' : 'CODE DATA');
  if (!isUnset && metadataLabel.test(words[1].text)) {
    codeOf(rule, words[0]);
    warn(context, rule, `has no effect: the metadata ${words[1].text} has no value before an upstream has answered.`);
    return null;
  }
  const data = isUnset ? noRule : optionData(rule, words[1]);
  if (data.kind === 'variable' && aboutTheClient.includes(data.name)) {
    warn(
      context,
      rule,
      `the answer may depend on {${data.name}}, so answers to queries that this rule matches are not cached.`,
    );
  }
  return { field: 'edns0', action, code: codeOf(rule, words[0]), data };
}

function lowerWord(token: Token): Token {
  return { ...token, text: token.text.toLowerCase() };
}

function expect(
  { rule, kind, words }: { readonly rule: Directive; readonly kind: string; readonly words: readonly Token[] },
  count: number,
  expected: string,
): void {
  if (words.length !== count) fail(rule, `${kind} expects ${expected} after the action, and optionally revert.`);
}

function codeOf(rule: Directive, token: Token): number {
  const hexadecimal = /^0x([0-9a-f]{1,4})$/iu.exec(token.text);
  if (hexadecimal !== null) return Number.parseInt(hexadecimal[1], 16);
  return wholeNumber(rule, token, 'the code', 0, 65_535);
}

function subnet(rule: Directive, [v4, v6]: readonly Token[]): OptionData {
  const v4Bits = wholeNumber(rule, v4, 'the bits of IPv4 addresses', 0, 32);
  const v6Bits = wholeNumber(rule, v6, 'the bits of IPv6 addresses', 0, 128);
  return { kind: 'subnet', v4Bits, v6Bits };
}

function optionData(rule: Directive, token: Token): OptionData {
  const variable = /^\{(.*)\}$/u.exec(token.text);
  if (variable !== null) {
    const name = optionVariables.find((known) => known === variable[1]);
    if (name !== undefined) return { kind: 'variable', name };
    const known = listed(optionVariables.map((each) => `{${each}}`));
    return fail(rule, `"${token.text}" is unknown; write ${known}.`, token.at);
  }
  const hexadecimal = token.text.startsWith('0x') ? token.text.slice(2) : null;
  if (hexadecimal !== null && !/^([0-9a-f]{2})*$/iu.test(hexadecimal)) {
    fail(rule, `"${token.text}" must have two hexadecimal digits for each byte.`, token.at);
  }
  const bytes = hexadecimal === null ? Buffer.from(token.text) : Buffer.from(hexadecimal, 'hex');
  if (bytes.length > optionBytesMax) fail(rule, `an option may have ${optionBytesMax} bytes at most.`, token.at);
  return { kind: 'bytes', bytes: [...bytes] };
}
