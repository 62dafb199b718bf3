/** PromQL as the dashboard writes it: every selector has the chosen job, cluster, node and instance. */

/** The value `.*` of "All" also matches series without the label, so a fleet without `cluster` or `node` is shown too. */
const chosen = 'job=~"$job",cluster=~"$cluster",node=~"$node",instance=~"$instance"';

/** The metric's series of the chosen instances; `labels` select further: `state!="up"`. */
export function series(metric: string, ...labels: readonly string[]): string {
  return `${metric}{${[chosen, ...labels].join(',')}}`;
}

export function rate(metric: string, ...labels: readonly string[]): string {
  return `rate(${series(metric, ...labels)}[$__rate_interval])`;
}

export function increase(metric: string, ...labels: readonly string[]): string {
  return `increase(${series(metric, ...labels)}[$__rate_interval])`;
}

/** The sum over all series, or one for each value of the labels `by`. */
export function sum(expr: string, ...by: readonly string[]): string {
  return `sum${grouping(by)}(${expr})`;
}

export function count(expr: string, ...by: readonly string[]): string {
  return `count${grouping(by)}(${expr})`;
}

/** The sum, and 0 where there is no series: a counter that CoreDNS creates with its first event. */
export function sumOrZero(expr: string): string {
  return `(${sum(expr)} or vector(0))`;
}

/** The quantile of a histogram, over all instances, or for each value of the labels `by`. */
export function quantile(of: number, metric: string, ...by: readonly string[]): string {
  return `histogram_quantile(${of}, ${sum(rate(`${metric}_bucket`), 'le', ...by)})`;
}

export function topTen(expr: string): string {
  return `topk(10, ${expr})`;
}

function grouping(by: readonly string[]): string {
  return by.length === 0 ? '' : ` by (${by.join(', ')}) `;
}
