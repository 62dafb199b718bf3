/**
 * Samples of a page in Prometheus' text format (exposition format 0.0.4), those that are wanted: a parser for pages of
 * others, which leaves out what it does not understand.
 */

export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of these metrics, in order. */
export function samplesOf(text: string, names: readonly string[]): MetricSample[] {
  const wanted = new Set(names);
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] =
      /^([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? ([-+.\w]+)(?: \d+)?\r?$/u.exec(line) ?? [];
    if (name === undefined || !wanted.has(name)) return [];
    const number = Number(value);
    return Number.isFinite(number) ? [{ name, labels: labelsIn(labels), value: number }] : [];
  });
}

/** The sum of all samples of the metric whose labels are as wished; null without any. */
export function sampleSum(
  samples: readonly MetricSample[],
  name: string,
  wish: Readonly<Record<string, string>> = {},
): number | null {
  const meant = samples.filter(
    (sample) => sample.name === name && Object.entries(wish).every(([label, value]) => sample.labels[label] === value),
  );
  return meant.length === 0 ? null : meant.reduce((sum, { value }) => sum + value, 0);
}

const escapes: Readonly<Record<string, string>> = { n: '\n', '"': '"', '\\': '\\' };

function labelsIn(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/gu)) {
    labels[name] = value.replace(/\\(.)/gu, (_, character: string) => escapes[character] ?? character);
  }
  return labels;
}
