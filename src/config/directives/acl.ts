/** `acl [ZONE…] { ACTION [type TYPE…] [net NETWORK…] }`: who may ask what, by the address that a query comes from. */
import { typeNumber } from '../../dns/names.js';
import { type DirectiveContext, eachOption, fail, warn, warnOfForeignZones } from '../arguments.js';
import type { AclConfig, AclRule } from '../config.js';
import type { Directive } from '../corefile.js';
import type { Token } from '../lexer.js';
import { type Network, readNetwork } from '../networks.js';
import { readZones } from '../zones.js';

const sections = ['type', 'net'];

export function readAcl(directive: Directive, context: DirectiveContext): AclConfig {
  const zones = directive.arguments.flatMap((token) => readZones(token, directive.path));
  const rules: AclRule[] = [];
  const rule = (action: AclRule['action']) => (option: Directive) => {
    if (option.block !== null) fail(option, 'takes no block; remove the { }.');
    if (rules.some(isForAll)) warn(context, option, 'the rule above matches all clients, so this rule is never used.');
    rules.push({ action, types: typesOf(option), networks: networksOf(option) });
  };
  warnOfForeignZones(context, directive, zones);
  eachOption(directive, { allow: rule('allow'), block: rule('block'), filter: rule('filter'), drop: rule('drop') });
  if (rules.length === 0) fail(directive, 'has no rule; write for example "block net 192.168.0.0/16" into its block.');
  return { at: directive.at, zones: zones.length === 0 ? context.zones : zones, rules };
}

function isForAll({ types, networks }: AclRule): boolean {
  return types === null && networks === null;
}

/** Null is every type. */
function typesOf(option: Directive): readonly number[] | null {
  const words = wordsBehind(option, 'type');
  if (words === null || words.some(({ text }) => text === '*')) return null;
  return words.map(
    ({ text, at }) =>
      typeNumber(text) ?? fail(option, `"${text}" is not a record type; write one like A, AAAA or ANY, or *.`, at),
  );
}

/** Null is everybody. */
function networksOf(option: Directive): readonly Network[] | null {
  const words = wordsBehind(option, 'net');
  if (words === null || words.some(({ text }) => text === '*')) return null;
  return words.map(
    ({ text, at }) =>
      readNetwork(text) ?? fail(option, `"${text}" is not a network; write one like 10.0.0.0/8, an address, or *.`, at),
  );
}

/** The words of one section, to the next; null without it. Every section needs a word. */
function wordsBehind(option: Directive, section: string): readonly Token[] | null {
  const found: Token[] = [];
  let current = '';
  let isThere = false;
  option.arguments.forEach((token, index) => {
    const word = token.text.toLowerCase();
    if (sections.includes(word)) {
      const next = option.arguments[index + 1];
      if (next === undefined || sections.includes(next.text.toLowerCase())) {
        fail(option, `a value is missing after "${token.text}"; write one, or *.`, token.at);
      }
      current = word;
      isThere ||= word === section;
    } else if (current === '') fail(option, `"${token.text}" must follow type or net.`, token.at);
    else if (current === section) found.push(token);
  });
  return isThere ? found : null;
}
