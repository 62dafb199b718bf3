/** The dashboard of deploy/monitoring/ as tests read it. */
import { deployed } from './kubernetes.js';

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
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
  readonly links?: readonly { readonly url: string }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
  readonly panels: readonly Panel[];
}

export const dashboard: Dashboard = JSON.parse(deployed('monitoring', 'dashboard', 'zerohop.json'));

/** Without rows. */
export const panels: readonly Panel[] = dashboard.panels.filter(({ type }) => type !== 'row');
