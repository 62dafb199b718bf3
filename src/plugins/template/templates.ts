/**
 * Answers made from the templates of one server block, as CoreDNS's `template` makes them: the first template whose
 * class, type, zone and regular expression fit answers; one that fits but for its expressions ends the search with
 * SERVFAIL unless it falls through. It computes an answer and counts; whether the answer is kept, fitted to the
 * client or given a SOA is for the caller.
 */

import { ConfigError, eachOf, type Position } from '../../config/config.js';
import type { Pattern } from '../../config/pattern.js';
import { byTemplate } from '../../counters.js';
import { className, closestZone, typeName } from '../../dns/names.js';
import { type AskedQuestion, askedBy } from '../../dns/query.js';
import { encodeAnswerTo, parseRecord } from '../../dns/records.js';
import { aliasQuestion } from '../../dns/sections.js';
import { rcodeServFail, typeAny } from '../../dns/wire.js';
import { templateSeriesMax } from '../../limits.js';
import type { Made, MakeQuery } from '../../resolve/route.js';
import { fallsThrough } from '../plugin.js';
import { type PatternMatch, templateData } from './data.js';
import { compileGoTemplate } from './go-template.js';
import type { Structure } from './values.js';

export interface TemplateConfig {
  readonly at: Position;
  /** 255 (ANY) matches every class. */
  readonly class: number;
  /** 255 (ANY) matches every type. */
  readonly type: number;
  readonly zones: readonly string[];
  /** Regular expressions over the presentation name; empty: always. */
  readonly matches: readonly Pattern[];
  /** Go-template sources, one resource record each. */
  readonly answer: readonly string[];
  readonly additional: readonly string[];
  readonly authority: readonly string[];
  readonly rcode: number;
  readonly extendedError: { readonly code: number; readonly text: string } | null;
  /** Null: no fallthrough; empty: for every zone; else for these. */
  readonly fallthrough: readonly string[] | null;
}

/** A number under the labels that CoreDNS gives it; `section` and `template` are empty for matches. */
export interface TemplateCount {
  readonly zone: string;
  readonly class: string;
  readonly type: string;
  readonly section: string;
  readonly template: string;
  count: number;
}

/** The templates of one block, compiled, with their numbers. */
export interface Templates {
  readonly compiled: readonly CompiledTemplate[];
  /** coredns_template_matches_total */
  readonly matches: Map<string, TemplateCount>;
  /** coredns_template_template_failures_total: the template could not be executed. */
  readonly templateFailures: Map<string, TemplateCount>;
  /** coredns_template_rr_failures_total: what it wrote is no record. */
  readonly recordFailures: Map<string, TemplateCount>;
}

interface CompiledTemplate {
  readonly config: TemplateConfig;
  readonly answer: readonly RecordTemplate[];
  readonly authority: readonly RecordTemplate[];
  readonly additional: readonly RecordTemplate[];
}

interface RecordTemplate {
  readonly section: 'answer' | 'authority' | 'additional';
  readonly source: string;
  readonly execute: (data: Structure) => string;
}

/** What matched: which template, in which of its zones, with which groups. */
type Match =
  | { readonly template: CompiledTemplate; readonly zone: string; readonly found: PatternMatch }
  | 'next'
  | { readonly unmatched: TemplateConfig };

const noNames: ReadonlyMap<string, number> = new Map();

/** The templates ready to be asked. Throws an Error with file, line and the place in the template when one is wrong. */
export function compileTemplates(configs: readonly TemplateConfig[]): Templates {
  return {
    compiled: configs.map(compileTemplate),
    matches: new Map(),
    templateFailures: new Map(),
    recordFailures: new Map(),
  };
}

/** Throws a ConfigError about every template that does not compile. */
export function checkTemplates(configs: readonly TemplateConfig[]): void {
  eachOf(configs, ({ at, answer, authority, additional }) =>
    eachOf([...answer, ...authority, ...additional], (source) => {
      try {
        compileGoTemplate(source);
      } catch (error) {
        throw new ConfigError(at, `template: ${(error as Error).message}`);
      }
    }),
  );
}

/** The answer of the block's templates. Borrows the question until it returns. */
export function answerFromTemplates(templates: Templates, query: MakeQuery): Made {
  const asked = askedBy(query.question);
  const match = findTemplate(templates, asked);
  if (match === 'next') return { kind: 'next' };
  if ('unmatched' in match) {
    const { file, line } = match.unmatched.at;
    return { kind: 'servfail', text: `template at ${file}:${line}: no match for ${asked.name} and no fallthrough` };
  }
  const labels = { zone: match.zone, class: className(asked.class), type: typeName(asked.type) };
  count(templates.matches, { ...labels, section: '', template: '' });
  const data = templateData(query, asked, match.zone, match.found);
  const { template } = match;
  const { rcode, extendedError, at } = template.config;
  if (rcode > 0x0f) return { kind: 'servfail', text: `template: rcode ${rcode} needs EDNS` };
  // CoreDNS does not execute the records of a template that says SERVFAIL.
  const failed = rcode === rcodeServFail;
  const made = (records: readonly RecordTemplate[]): Uint8Array[] =>
    failed ? [] : records.flatMap((record) => madeRecords(templates, record, data, labels));
  try {
    const answer = made(template.answer);
    const message = encodeAnswerTo(query, {
      authoritative: !failed,
      rcode,
      answer,
      authority: made(template.authority),
      additional: made(template.additional),
    });
    return { kind: 'message', message, by: byTemplate, extendedError, follow: aliasQuestion(query.question, answer) };
  } catch (error) {
    return { kind: 'servfail', text: `template at ${at.file}:${at.line}: ${(error as Error).message}` };
  }
}

function compileTemplate(config: TemplateConfig): CompiledTemplate {
  const compile = (section: RecordTemplate['section']): RecordTemplate[] =>
    config[section].map((source) => {
      try {
        return { section, source, execute: compileGoTemplate(source) };
      } catch (error) {
        throw new Error(`${config.at.file}:${config.at.line}: ${section}: ${(error as Error).message}`);
      }
    });
  return { config, answer: compile('answer'), authority: compile('authority'), additional: compile('additional') };
}

function findTemplate(templates: Templates, asked: AskedQuestion): Match {
  for (const template of templates.compiled) {
    const { config } = template;
    if (!isWanted(config.class, asked.class) || !isWanted(config.type, asked.type)) continue;
    const zone = closestZone(config.zones, asked.name);
    if (zone === undefined) continue;
    if (config.matches.length === 0) return { template, zone, found: { groups: [asked.name], names: noNames } };
    for (const pattern of config.matches) {
      const groups = pattern.exec(asked.name);
      if (groups !== null) return { template, zone, found: { groups, names: pattern.names } };
    }
    if (!fallsThrough(config.fallthrough, asked.name)) return { unmatched: config };
  }
  return 'next';
}

/** A question for ANY fits every template, as in CoreDNS. */
function isWanted(wanted: number, asked: number): boolean {
  return wanted === typeAny || asked === typeAny || wanted === asked;
}

/** The record that the template writes; none when it writes nothing but blanks, as a conditional one may. */
function madeRecords(
  templates: Templates,
  { section, source, execute }: RecordTemplate,
  data: Structure,
  labels: { readonly zone: string; readonly class: string; readonly type: string },
): Uint8Array[] {
  let text: string;
  try {
    text = execute(data);
  } catch (error) {
    count(templates.templateFailures, { ...labels, section, template: source });
    throw error;
  }
  if (/^\s*$/.test(text)) return [];
  try {
    return [parseRecord(text)];
  } catch (error) {
    count(templates.recordFailures, { ...labels, section, template: source });
    throw new Error(`${section} "${text.slice(0, 200)}": ${(error as Error).message}`);
  }
}

/** Adds one under these labels. Clients choose the type, so past a bound everything is counted as `other`. */
function count(counts: Map<string, TemplateCount>, labels: Omit<TemplateCount, 'count'>): void {
  const key = [labels.zone, labels.class, labels.type, labels.section, labels.template].join('\n');
  const known = counts.get(key);
  if (known !== undefined) known.count++;
  else if (counts.size < templateSeriesMax - 1 || labels.type === 'other') counts.set(key, { ...labels, count: 1 });
  else count(counts, { zone: '', class: 'other', type: 'other', section: '', template: '' });
}
