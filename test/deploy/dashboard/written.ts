/** deploy/monitoring/dashboard/zerohop.json as tests read it. */
import { deployed } from '../kubernetes.js';

export interface Target {
  readonly datasource: unknown;
  readonly refId: string;
  readonly expr: string;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: unknown;
  readonly collapsed?: boolean;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
  readonly links?: readonly { readonly url: string }[];
  readonly fieldConfig?: {
    readonly defaults: {
      readonly thresholds?: { readonly steps: readonly { readonly value: number | null }[] };
      readonly links?: readonly { readonly title: string; readonly url: string }[];
    };
  };
  /** Of a row. */
  readonly panels?: readonly Panel[];
}

export interface Dashboard {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      readonly hide: number;
      readonly definition?: string;
      readonly allValue?: string;
    }[];
  };
  readonly panels: readonly Panel[];
}

export const dashboard: Dashboard = JSON.parse(deployed('monitoring', 'dashboard', 'zerohop.json'));

export const rows: readonly Panel[] = dashboard.panels.filter(({ type }) => type === 'row');

/** What is seen before a row is opened. */
export const overview: readonly Panel[] = dashboard.panels.filter(({ type }) => type !== 'row');

/** All but the rows. */
export const panels: readonly Panel[] = [...overview, ...rows.flatMap(({ panels = [] }) => panels)];
