/** `template CLASS TYPE [ZONE…] { … }`: answers made from Go templates. They are only read here, not filled in. */

import { type Advised, coversAll, type Saying } from '../../config/advice.js';
import {
  type DirectiveContext,
  eachOption,
  fail,
  oneWord,
  rcode,
  readPattern,
  unsupported,
  warn,
  warnOfForeignZones,
  wholeNumber,
  words,
} from '../../config/arguments.js';
import { type AaaaPolicy, eachOf, lineOf } from '../../config/config.js';
import type { Directive } from '../../config/corefile.js';
import type { Pattern } from '../../config/pattern.js';
import { settingsOf } from '../../config/plugins.js';
import { readZones } from '../../config/zones.js';
import { classNumber, isInZone, typeNumber } from '../../dns/names.js';
import { classIn, rcodeNoError, rcodeNxDomain, typeAaaa, typeAny } from '../../dns/wire.js';
import { typeHinfo } from '../../resolve/loop.js';
import type { Plugin } from '../plugin.js';
import { type TemplatesAtWork, templateFamilies } from './metrics.js';
import { answerFromTemplates, checkTemplates, compileTemplates, type TemplateConfig } from './templates.js';

/** ANY, as a type and as a class. */
const anything = typeAny;
const everything = '.*';

export const template: Plugin<readonly TemplateConfig[], TemplatesAtWork> = {
  name: 'template',
  repeats: 'all',
  // As on GKE, where HINFO is answered here.
  leavesDenials: (all) => all.every(({ type, answer }) => type === typeHinfo && answer.length === 0),
  read: (written, context) => eachOf(written, (directive) => readTemplate(directive, context)),
  splitAaaa(all, zones) {
    const first = all.find(mayAnswerAaaa);
    const policy = first === undefined ? null : aaaaPolicyOf(first, zones);
    if (first === undefined || policy === null) return null;
    const rest = all.filter((other) => other !== first);
    return { policy, at: first.at, rest: rest.length === 0 ? null : rest };
  },
  traits(all, { zones }) {
    const catchAll = all.find((one) => one.type === anything && matchesAll(one) && coversAll(one.zones, zones));
    return {
      makesAnswers: true,
      asksOtherNames: all.some(({ answer }) => answer.length > 0),
      cachedBy: { template: all },
      onward: [(question) => (all.some((one) => answersEvery(one, question.name)) ? null : question)],
      answersAll: catchAll === undefined ? null : { name: 'template', at: catchAll.at },
    };
  },
  check: checkTemplates,
  start(all) {
    const templates = compileTemplates(all);
    return { templates, maker: (query) => answerFromTemplates(templates, query) };
  },
  metrics: templateFamilies,
  advice: { 'template-unreachable': unreachable, 'template-without-fallthrough': templateWithoutFallthrough },
};

/** Whether an upstream is never asked for the name. */
function answersEvery(one: TemplateConfig, name: string): boolean {
  return one.type === anything && matchesAll(one) && one.zones.some((zone) => isInZone(name, zone));
}

type TemplateDraft = { -readonly [Key in keyof TemplateConfig]: TemplateConfig[Key] };

function readTemplate(directive: Directive, context: DirectiveContext): TemplateConfig {
  const [klass, type, ...zones] = words(
    directive,
    2,
    Number.POSITIVE_INFINITY,
    'CLASS TYPE [ZONE…], such as "ANY AAAA"',
  );
  const template: TemplateDraft = {
    at: directive.at,
    class: classNumber(klass.text) ?? fail(directive, `"${klass.text}" is not a class; write IN or ANY.`),
    type:
      typeNumber(type.text) ?? fail(directive, `"${type.text}" is not a record type; write one like A, AAAA or ANY.`),
    zones: zones.length === 0 ? context.zones : zones.flatMap((token) => readZones(token, directive.path)),
    matches: [],
    answer: [],
    additional: [],
    authority: [],
    rcode: rcodeNoError,
    extendedError: null,
    fallthrough: null,
  };
  const records = (key: 'answer' | 'additional' | 'authority') => (option: Directive) => {
    const given = words(option, 1, Number.POSITIVE_INFINITY, 'records in quotes');
    template[key] = [...template[key], ...given.map((token) => recordSource(option, token.text))];
  };
  warnOfForeignZones(context, directive, template.zones);
  eachOption(directive, {
    match(option) {
      const given = words(option, 1, Number.POSITIVE_INFINITY, 'regular expressions');
      const patterns = given.map((token) => readPattern(token, option));
      template.matches = [...template.matches, ...patterns];
    },
    answer: records('answer'),
    additional: records('additional'),
    authority: records('authority'),
    rcode(option) {
      template.rcode = rcode(option, oneWord(option, 'an rcode, such as NXDOMAIN'));
    },
    ederror(option) {
      const [code, ...text] = words(option, 1, Number.POSITIVE_INFINITY, 'CODE ["TEXT"]');
      template.extendedError = {
        code: wholeNumber(option, code, 'the code', 0, 65_535),
        text: text.map((token) => token.text).join(' '),
      };
    },
    fallthrough(option) {
      template.fallthrough = option.arguments.flatMap((token) => readZones(token, option.path));
    },
    upstream(option) {
      warn(context, option, 'has no effect, as in CoreDNS; remove it.');
    },
    var: unsupported('write the values into the records.'),
    expr: unsupported('write the condition as a match.'),
  });
  return template;
}

/** The policy that a template amounts to, or null for one that does anything else. */
function aaaaPolicyOf(template: TemplateConfig, blockZones: readonly string[]): AaaaPolicy | null {
  const hasRecords = template.answer.length + template.additional.length + template.authority.length > 0;
  const isConditional = template.matches.some((pattern) => !alwaysMatches(pattern));
  const isForAll = blockZones.every((zone) => template.zones.some((wide) => isInZone(zone, wide)));
  const isForClass = template.class === classIn || template.class === anything;
  if (template.type !== typeAaaa || !isForClass || !isForAll) return null;
  if (hasRecords || isConditional || template.extendedError !== null) return null;
  if (template.rcode === rcodeNxDomain) return 'nxdomain';
  return template.rcode === rcodeNoError ? 'nodata' : null;
}

/** Whether a template can answer AAAA questions at all. */
function mayAnswerAaaa(template: TemplateConfig): boolean {
  return template.type === typeAaaa || template.type === anything;
}

/** Whether it answers every question of its class, type and zones, whatever the name. */
export function matchesAll({ matches }: TemplateConfig): boolean {
  return matches.length === 0 || matches.some(alwaysMatches);
}

function alwaysMatches(pattern: Pattern): boolean {
  return [everything, `^${everything}$`, `^${everything}`, `${everything}$`].includes(
    pattern.source.replace(/^\(\?[a-zA-Z]+\)/u, ''),
  );
}

function recordSource(option: Directive, text: string): string {
  const opened = text.split('{{').length;
  if (opened !== text.split('}}').length) {
    fail(option, `"${text}" has unbalanced {{ }}; write each action as {{ … }}.`);
  }
  return text;
}

function unreachable({ config }: Advised): readonly Saying[] {
  const all = settingsOf(config, template) ?? [];
  return all.flatMap((one, index): Saying[] => {
    const unreachableBy = (before: string): Saying[] => [
      { at: one.at, message: `template: ${before}`, remedy: 'remove one of the two' },
    ];
    const { aaaa, aaaaAt } = config;
    if (one.type === typeAaaa && aaaa !== null && aaaa !== 'forward' && aaaaAt !== null) {
      return unreachableBy(`"aaaa ${aaaa}" on ${lineOf(aaaaAt, one.at)} already answers all its queries`);
    }
    const earlier = all.slice(0, index).find((other) => answersAllOf(other, one));
    if (earlier === undefined) return [];
    return unreachableBy(`the template on ${lineOf(earlier.at, one.at)} already answers all its queries`);
  });
}

function answersAllOf(earlier: TemplateConfig, later: TemplateConfig): boolean {
  const sameOrAny = (wide: number, narrow: number): boolean => wide === anything || wide === narrow;
  if (!matchesAll(earlier) || !sameOrAny(earlier.class, later.class) || !sameOrAny(earlier.type, later.type)) {
    return false;
  }
  return later.zones.every((zone) => earlier.zones.some((wide) => isInZone(zone, wide)));
}

function templateWithoutFallthrough({ config }: Advised): readonly Saying[] {
  const all = settingsOf(config, template) ?? [];
  return all
    .filter((one, index) => {
      if (matchesAll(one) || one.fallthrough !== null) return false;
      return config.forwards.length > 0 || config.directives.includes('hosts') || index < all.length - 1;
    })
    .map(({ at, zones }) => ({
      at,
      message: `template: names of ${zones.join(' ')} that match nothing get SERVFAIL, and later directives are not used`,
      remedy: 'add fallthrough to its block',
    }));
}
