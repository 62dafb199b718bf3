/** `template CLASS TYPE [ZONE…] { … }`: answers made from Go templates. They are only read here, not filled in. */
import { classNumber, isInZone, typeNumber } from '../../dns/names.js';
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
} from '../arguments.js';
import type { AaaaPolicy, TemplateConfig } from '../config.js';
import type { Directive } from '../corefile.js';
import type { Pattern } from '../pattern.js';
import { readZones } from '../zones.js';

const anything = 255;
const classIn = 1;
const typeAaaa = 28;
const rcodeNoError = 0;
const rcodeNxDomain = 3;
const everything = '.*';

type Draft = { -readonly [Key in keyof TemplateConfig]: TemplateConfig[Key] };

export function readTemplate(directive: Directive, context: DirectiveContext): TemplateConfig {
  const [klass, type, ...zones] = words(
    directive,
    2,
    Number.POSITIVE_INFINITY,
    'CLASS TYPE [ZONE…], such as "ANY AAAA"',
  );
  const template: Draft = {
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
export function aaaaPolicyOf(template: TemplateConfig, blockZones: readonly string[]): AaaaPolicy | null {
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
export function mayAnswerAaaa(template: TemplateConfig): boolean {
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
