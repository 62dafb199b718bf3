/**
 * Debian's Prometheus on a free port of 127.0.0.1, scraping one target twice a second for each job and evaluating the rules of
 * deploy/monitoring/ as often. A minute of the rules is a second here, an hour a minute: every `for` and every range,
 * and nothing else, is written so. 5m stays ten scrapes long, which is what an operator with 30 s between them has.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, start } from './commands.js';
import { freePort, type Place } from './packets.js';

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** Seconds since 1970, and the number as text. */
  readonly value: readonly [number, string];
}

export interface Prometheus {
  /** What an expression gives now; throws where it is none. */
  query(expression: string): Promise<readonly Series[]>;
  /** What Grafana's label_values(metric, label) gives. */
  labelValues(metric: string, label: string): Promise<readonly string[]>;
  /** The names of the alerts that fire, sorted, each once. */
  firing(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** The rules' text with minutes as seconds and hours as minutes. */
export function hurried(rules: string): string {
  return rules.replace(
    /(\[|^ *for: )(\d+)([mh])\b/gm,
    (_, before, count, unit) => `${before}${count}${unit === 'm' ? 's' : 'm'}`,
  );
}

export interface Job {
  readonly name: string;
  /** What relabelling puts on every series: node, cluster. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Starts it with these rules; it is up, but has scraped nothing yet, when this returns. */
export async function startPrometheus(jobs: readonly Job[], target: Place, rules: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-prometheus-'));
  const configuration = join(folder, 'prometheus.yml');
  writeFileSync(join(folder, 'rules.yaml'), rules);
  writeFileSync(
    configuration,
    `global: { scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }
rule_files: [rules.yaml]
scrape_configs:
${jobs.map(scraping).join('')}`,
  );
  function scraping({ name, labels }: Job): string {
    const fixed = JSON.stringify({ targets: [`${target.address}:${target.port}`], labels });
    return `  - { job_name: ${name}, static_configs: [${fixed}] }\n`;
  }
  const address = `127.0.0.1:${await freePort()}`;
  const flags = [`--config.file=${configuration}`, `--storage.tsdb.path=${folder}`, '--log.level=warn'];
  const program = start(['prometheus', ...flags, `--web.listen-address=${address}`]);
  const stop = async (): Promise<void> => {
    await program.stop();
    rmSync(folder, { recursive: true });
  };
  const ask = async (path: string, parameters: Record<string, string> = {}): Promise<unknown> => {
    const answer = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { data, error } = (await answer.json()) as { data?: unknown; error?: string };
    if (error !== undefined) throw new Error(`${JSON.stringify(parameters)}: ${error}`);
    return data;
  };
  try {
    await eventually('Prometheus is ready', async () => {
      const ready = await fetch(`http://${address}/-/ready`).catch(() => null);
      return ready?.status === 200 ? true : undefined;
    });
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}\n${program.stderr()}`);
  }
  return {
    stop,
    async query(expression) {
      return ((await ask('query', { query: expression })) as { result: readonly Series[] }).result;
    },
    async labelValues(metric, label) {
      return (await ask(`label/${label}/values`, { 'match[]': metric })) as readonly string[];
    },
    async firing() {
      const { alerts } = (await ask('alerts')) as {
        alerts: readonly { readonly state: string; readonly labels: Readonly<Record<string, string>> }[];
      };
      const names = alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels['alertname']);
      return [...new Set(names)].sort();
    },
  };
}
