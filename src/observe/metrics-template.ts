/** coredns_template_*: what the templates of the Corefile matched, and where they failed. */
import { type Family, groupByLabels, type Labels, sample } from './exposition.js';
import type { Scrape, TemplateNumbers, TemplateSeries } from './metrics-source.js';

type Served = TemplateSeries & { readonly server: string };

export const templateFamilies: readonly Family<Scrape>[] = [
  family('matches_total', 'Counter of template regex matches.', 'matches', matchLabels),
  family('template_failures_total', 'Counter of go template failures.', 'templateFailures', failureLabels),
  family('rr_failures_total', 'Counter of mis-templated RRs.', 'recordFailures', failureLabels),
];

function matchLabels({ server, zone, class: className, type }: Served): Labels {
  return { server, zone, view: '', class: className, type };
}

function failureLabels(series: Served): Labels {
  return { ...matchLabels(series), section: series.section, template: series.template };
}

function family(
  suffix: string,
  help: string,
  which: Exclude<keyof TemplateNumbers, 'server'>,
  labelsOf: (series: Served) => Labels,
): Family<Scrape> {
  const all = ({ source }: Scrape): Served[] =>
    source.templates().flatMap((block) => Array.from(block[which], (series) => ({ ...series, server: block.server })));
  return {
    name: `coredns_template_${suffix}`,
    help,
    type: 'counter',
    samples: (scrape) =>
      groupByLabels(all(scrape), labelsOf).map(({ labels, members }) =>
        sample(
          labels,
          members.reduce((sum, { count }) => sum + count, 0),
        ),
      ),
  };
}
