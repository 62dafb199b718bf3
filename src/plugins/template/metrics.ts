/** coredns_template_*: what the templates of the Corefile matched, and where they failed. */
import { counter, type Family, joinLabels, type Labels, labelText, sumsOf } from '../../observe/exposition.js';
import type { PluginAtWork } from '../../resolve/route.js';
import type { PluginScrape } from '../plugin.js';
import type { TemplateCount, Templates } from './templates.js';

type ServedTemplate = TemplateCount & { readonly server: string };

export interface TemplatesAtWork extends PluginAtWork {
  readonly templates: Templates;
}

export const templateFamilies: readonly Family<PluginScrape<TemplatesAtWork>>[] = [
  templateFamily('matches_total', 'Counter of template regex matches.', 'matches', matchLabels),
  templateFamily('template_failures_total', 'Counter of go template failures.', 'templateFailures', failureLabels),
  templateFamily('rr_failures_total', 'Counter of mis-templated RRs.', 'recordFailures', failureLabels),
];

function matchLabels({ server, zone, class: className, type }: ServedTemplate): Labels {
  return labelText({ server, zone, view: '', class: className, type });
}

function failureLabels(series: ServedTemplate): Labels {
  return joinLabels(matchLabels(series), labelText({ section: series.section, template: series.template }));
}

function templateFamily(
  suffix: string,
  help: string,
  which: 'matches' | 'templateFailures' | 'recordFailures',
  labelsOf: (count: ServedTemplate) => Labels,
): Family<PluginScrape<TemplatesAtWork>> {
  return counter(`coredns_template_${suffix}`, help, ({ atWork }) => {
    const all = atWork.flatMap(({ atWork: { templates }, servers }) =>
      servers.flatMap((server) => [...templates[which].values()].map((count) => ({ ...count, server }))),
    );
    return sumsOf(all, labelsOf);
  });
}
