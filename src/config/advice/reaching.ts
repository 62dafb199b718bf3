/** Advice about what stands in the way: directives that nothing comes to, and questions that get nowhere. */
import { isInZone } from '../../dns/names.js';
import type { AclConfig, AclRule, ForwardConfig, TemplateConfig } from '../config.js';
import { matchesAll } from '../directives/template.js';
import type { Advised, BlockRule, Saying } from './advised.js';
import { lineOf } from './advised.js';

const anything = 255;
const typeAaaa = 28;

export const forwardUnreachable: BlockRule = ({ config }) => {
  const { forwards, templates } = config;
  const catchAll = templates.find(
    (template) => template.type === anything && matchesAll(template) && isForAll(template.zones, config.zones),
  );
  return forwards.flatMap((forward, index) => {
    const earlier = catchAll ?? forwards.slice(0, index).find((other) => takesAllOf(other, forward));
    if (earlier === undefined) return [];
    const what = earlier === catchAll ? 'template' : 'forward';
    return [
      {
        at: forward.at,
        message: `forward: the ${what} on ${lineOf(earlier.at, forward.at)} already takes every name of ${forward.from}`,
        remedy: what === 'forward' ? 'move this one above it, or remove it' : 'remove one of the two',
      },
    ];
  });
};

/** Whether no name that `later` is for can come to it. */
function takesAllOf(earlier: ForwardConfig, later: ForwardConfig): boolean {
  if (earlier.next.length > 0 || earlier.nextOnNodata || !isInZone(later.from, earlier.from)) return false;
  return !earlier.except.some((zone) => isInZone(zone, later.from) || isInZone(later.from, zone));
}

export const templateUnreachable: BlockRule = ({ config }) =>
  config.templates.flatMap((template, index): Saying[] => {
    const unreachable = (before: string): Saying[] => [
      { at: template.at, message: `template: ${before}`, remedy: 'remove one of the two' },
    ];
    const { aaaa, aaaaAt } = config;
    if (template.type === typeAaaa && aaaa !== null && aaaa !== 'forward' && aaaaAt !== null) {
      return unreachable(`"aaaa ${aaaa}" on ${lineOf(aaaaAt, template.at)} already answers all its queries`);
    }
    const earlier = config.templates.slice(0, index).find((other) => answersAllOf(other, template));
    if (earlier === undefined) return [];
    return unreachable(`the template on ${lineOf(earlier.at, template.at)} already answers all its queries`);
  });

function answersAllOf(earlier: TemplateConfig, later: TemplateConfig): boolean {
  const sameOrAny = (wide: number, narrow: number): boolean => wide === anything || wide === narrow;
  if (!matchesAll(earlier) || !sameOrAny(earlier.class, later.class) || !sameOrAny(earlier.type, later.type)) {
    return false;
  }
  return later.zones.every((zone) => earlier.zones.some((wide) => isInZone(zone, wide)));
}

export const templateWithoutFallthrough: BlockRule = ({ config }) =>
  config.templates
    .filter((template, index) => {
      if (matchesAll(template) || template.fallthrough !== null) return false;
      return config.forwards.length > 0 || config.hosts !== null || index < config.templates.length - 1;
    })
    .map(({ at, zones }) => ({
      at,
      message: `template: names of ${zones.join(' ')} that match nothing get SERVFAIL, and later directives are not used`,
      remedy: 'add fallthrough to its block',
    }));

/** For all names it is said when hosts is read. */
export const hostsWithoutFallthrough: BlockRule = ({ config }) => {
  const { hosts, forwards, zones } = config;
  if (hosts === null || hosts.fallthrough !== null || forwards.length === 0) return [];
  if (!isForAll(hosts.zones, zones) || zones.some(({ zone }) => zone === '.')) return [];
  return [
    {
      at: hosts.at,
      message: 'hosts: without fallthrough, names that are not in it get SERVFAIL, and the forward is never used',
      remedy: 'add fallthrough to its block',
    },
  ];
};

export const aclBlocksAll: BlockRule = ({ config }) => {
  const [first] = config.acls;
  if (first === undefined || !isForAll(first.zones, config.zones)) return [];
  const [rule] = first.rules;
  if (rule.action === 'allow' || rule.types !== null || !isEverybody(rule)) return [];
  return [
    {
      at: first.at,
      message: `acl: the first rule is "${rule.action}" for all clients, so this server block answers no client`,
      remedy: 'add allow rules above it',
    },
  ];
};

export const aclAllowsAll: BlockRule = ({ config }) => {
  const isIdle = config.acls.every(({ rules }: AclConfig) => rules.every(({ action }) => action === 'allow'));
  if (config.acls.length === 0 || !isIdle) return [];
  return [
    {
      at: config.acls[0].at,
      message: 'acl: it has only allow rules, which change nothing: clients that match no rule are allowed',
      remedy: 'add "block" as the last rule',
    },
  ];
};

/** No network, or all addresses of both families. */
function isEverybody({ networks }: AclRule): boolean {
  if (networks === null) return true;
  return [4, 16].every((bytes) => networks.some((each) => each.prefixBits === 0 && each.bytes.length === bytes));
}

function isForAll(zones: readonly string[], all: Advised['config']['zones']): boolean {
  return all.every(({ zone }) => zones.some((wide) => isInZone(zone, wide)));
}
