/** `acl [ZONE…] { ACTION [type TYPE…] [net NETWORK…] }`: access rules by client address and query type. */

import { type IpNetwork, readNetwork } from '../../config/addresses.js';
import { type Advised, coversAll, type Saying } from '../../config/advice.js';
import { type DirectiveContext, eachOption, fail, warn, warnOfForeignZones } from '../../config/arguments.js';
import { type AccessRule, type AccessRules, eachOf, seeAll } from '../../config/config.js';
import type { Directive } from '../../config/corefile.js';
import type { Token } from '../../config/lexer.js';
import { readZones } from '../../config/zones.js';
import { typeNumber } from '../../dns/names.js';
import { counter, type Family, type Labels, labelText, sumsOf } from '../../observe/exposition.js';
import type { Plugin, PluginScrape } from '../plugin.js';
import { type Acl, type AclCount, newAcl } from './rules.js';

const sections = ['type', 'net'];

export const acl: Plugin<readonly AccessRules[], Acl> = {
  name: 'acl',
  repeats: 'all',
  read: (written, context) => eachOf(written, (directive) => readAcl(directive, context)),
  traits: (access) => ({ access, judges: true, sees: seeAll }),
  start: newAcl,
  metrics: [
    verdictFamily('blocked', 'block', zoneLabels),
    verdictFamily('filtered', 'filter', zoneLabels),
    verdictFamily('dropped', 'drop', zoneLabels),
    verdictFamily('allowed', 'allow', ({ server }) => labelText({ server, view: '' })),
  ],
  advice: { 'acl-allows-all': allowsAll, 'acl-blocks-all': blocksAll },
};

type CountedVerdict = AclCount & { readonly server: string };

function zoneLabels({ server, zone }: CountedVerdict): Labels {
  return labelText({ server, zone, view: '' });
}

function verdictFamily(
  word: string,
  action: AccessRule['action'],
  labelsOf: (counted: CountedVerdict) => Labels,
): Family<PluginScrape<Acl>> {
  const name = `coredns_acl_${word}_requests_total`;
  return counter(name, `Counter of DNS requests being ${word}.`, ({ atWork, serverOf }) => {
    const all = atWork.flatMap(({ atWork: { counts } }) => [...counts.values()]);
    const counted = all.filter((count) => count.action === action);
    return sumsOf(
      counted.map((count) => ({ ...count, server: serverOf(count.ordinal) })),
      labelsOf,
    );
  });
}

function readAcl(directive: Directive, context: DirectiveContext): AccessRules {
  const zones = directive.arguments.flatMap((token) => readZones(token, directive.path));
  const rules: AccessRule[] = [];
  const rule = (action: AccessRule['action']) => (option: Directive) => {
    if (option.block !== null) fail(option, 'takes no block; remove the { }.');
    if (rules.some(isForAll)) warn(context, option, 'the rule above matches all clients, so this rule is never used.');
    rules.push({ action, types: typesOf(option), networks: networksOf(option) });
  };
  warnOfForeignZones(context, directive, zones);
  eachOption(directive, { allow: rule('allow'), block: rule('block'), filter: rule('filter'), drop: rule('drop') });
  if (rules.length === 0) fail(directive, 'has no rule; write for example "block net 192.168.0.0/16" into its block.');
  return { at: directive.at, zones: zones.length === 0 ? context.zones : zones, rules };
}

function isForAll({ types, networks }: AccessRule): boolean {
  return types === null && networks === null;
}

/** Null: every type. */
function typesOf(option: Directive): readonly number[] | null {
  const words = wordsBehind(option, 'type');
  if (words === null || words.some(({ text }) => text === '*')) return null;
  return words.map(
    ({ text, at }) =>
      typeNumber(text) ?? fail(option, `"${text}" is not a record type; write one like A, AAAA or ANY, or *.`, at),
  );
}

/** Null: every client. */
function networksOf(option: Directive): readonly IpNetwork[] | null {
  const words = wordsBehind(option, 'net');
  if (words === null || words.some(({ text }) => text === '*')) return null;
  return words.map(
    ({ text, at }) =>
      readNetwork(text) ?? fail(option, `"${text}" is not a network; write one like 10.0.0.0/8, an address, or *.`, at),
  );
}

/** The words of one section up to the next, each section with at least one; null without the section. */
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

function blocksAll({ config }: Advised): readonly Saying[] {
  const [first] = config.traits.access;
  if (first === undefined || !coversAll(first.zones, config.zones)) return [];
  const [rule] = first.rules;
  if (rule.action === 'allow' || rule.types !== null || !isEverybody(rule)) return [];
  return [
    {
      at: first.at,
      message: `acl: the first rule is "${rule.action}" for all clients, so this server block answers no client`,
      remedy: 'add allow rules above it',
    },
  ];
}

function allowsAll({ config }: Advised): readonly Saying[] {
  const { access } = config.traits;
  const isIdle = access.every(({ rules }) => rules.every(({ action }) => action === 'allow'));
  if (access.length === 0 || !isIdle) return [];
  return [
    {
      at: access[0].at,
      message: 'acl: it has only allow rules, which change nothing: clients that match no rule are allowed',
      remedy: 'add "block" as the last rule',
    },
  ];
}

/** No network, or all addresses of both families. */
function isEverybody({ networks }: AccessRule): boolean {
  if (networks === null) return true;
  return [4, 16].every((bytes) => networks.some((each) => each.prefixBits === 0 && each.bytes.length === bytes));
}
