/** coredns_template_*: what the templates of the Corefile matched, and where they failed. */
import { type Labels, sumsOf } from '../../observe/exposition.js';
import type { PluginAtWork } from '../../resolve/route.js';
import type { PluginFamily } from '../plugin.js';
import type { TemplateCount, Templates } from './templates.js';

type ServedTemplate = TemplateCount & { readonly server: string };

export interface TemplatesAtWork extends PluginAtWork {
  readonly templates: Templates;
}

export const templateFamilies: readonly PluginFamily<TemplatesAtWork>[] = [
  templateFamily('matches_total', 'Counter of template regex matches.', 'matches', matchLabels),
  templateFamily('template_failures_total', 'Counter of go template failures.', 'templateFailures', failureLabels),
  templateFamily('rr_failures_total', 'Counter of mis-templated RRs.', 'recordFailures', failureLabels),
];

function matchLabels({ server, zone, class: className, type }: ServedTemplate): Labels {
  return { server, zone, view: '', class: className, type };
}

function failureLabels(series: ServedTemplate): Labels {
  return { ...matchLabels(series), section: series.section, template: series.template };
}

function templateFamily(
  suffix: string,
  help: string,
  which: 'matches' | 'templateFailures' | 'recordFailures',
  labelsOf: (count: ServedTemplate) => Labels,
): PluginFamily<TemplatesAtWork> {
  return {
    name: `coredns_template_${suffix}`,
    help,
    type: 'counter',
    samples: ({ atWork }) => {
      const all = atWork.flatMap(({ atWork: { templates }, servers }) =>
        servers.flatMap((server) => [...templates[which].values()].map((count) => ({ ...count, server }))),
      );
      return sumsOf(all, labelsOf);
    },
  };
}
