/**
 * Panels as Grafana 10.4 and later reads them, and their places on the page: made of what a person has to say about a
 * panel, so that contents.ts has that and nothing else.
 */

/** A query and the name of its line; `{{label}}` is a label's value. */
export interface Query {
  readonly expr: string;
  readonly legend: string;
}

interface Said {
  readonly title: string;
  readonly description: string;
  /** The heading in docs/OPERATIONS.md that says what to do. */
  readonly runbook?: string;
}

/** A color from this value on; the first begins at minus infinity. */
export type Steps = readonly (readonly [from: number | null, color: 'green' | 'orange' | 'red' | 'text'])[];

interface Stat extends Said {
  readonly unit: string;
  readonly steps: Steps;
  readonly queries: readonly Query[];
  /** Units of queries that have another one, and no color, by their legend. */
  readonly units?: Readonly<Record<string, string>>;
  /** The title of the panel that opens when the value is clicked. */
  readonly details: string;
}

interface Graph extends Said {
  readonly unit: string;
  readonly queries: readonly Query[];
  readonly stacked?: boolean;
  readonly max?: number;
}

/** A column that a query gives; without `unit` it is text. */
export interface Column {
  readonly name: string;
  readonly expr: string;
  readonly unit?: string;
  readonly steps?: Steps;
  readonly decimals?: number;
  /** Words in place of numbers. */
  readonly words?: Readonly<Record<string, string>>;
  /** The rows are sorted by it, largest first, and it is not shown. */
  readonly sorts?: boolean;
}

interface Table extends Said {
  readonly columns: readonly Column[];
  /** Links of the column of this label, to this dashboard with only its value chosen. */
  readonly link?: { readonly label: string; readonly title: string };
}

/** A panel without its place: `make` is told the ids of all panels by title. */
interface Draft {
  readonly title: string;
  readonly make: (idOf: (title: string) => number) => object;
}

interface Row {
  readonly title: string;
  readonly panels: readonly Draft[];
}

const datasource = { type: 'prometheus', uid: '$datasource' };
const here = `/d/zerohop?\${__url_time_range}`;
const overTime = { lineWidth: 1, showPoints: 'never', spanNulls: false };

export function stat({ unit, steps, queries, units = {}, details, ...said }: Stat): Draft {
  return {
    title: said.title,
    make: (idOf) => ({
      type: 'stat',
      ...opening(said),
      targets: queries.map((query, index) => ({ ...target(query, index), range: true, instant: false })),
      fieldConfig: {
        defaults: {
          unit,
          thresholds: thresholds(steps),
          links: [{ title: details, url: `${here}&\${__all_variables}&viewPanel=${idOf(details)}` }],
        },
        overrides: Object.entries(units).map(([name, other]) => ({
          matcher: { id: 'byName', options: name },
          properties: [
            { id: 'unit', value: other },
            { id: 'thresholds', value: thresholds([[null, 'text']]) },
          ],
        })),
      },
      options: {
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        colorMode: 'value',
        graphMode: 'area',
        justifyMode: 'auto',
        textMode: queries.length > 1 ? 'value_and_name' : 'value',
        orientation: 'auto',
      },
    }),
  };
}

export function graph({ unit, queries, stacked = false, max, ...said }: Graph): Draft {
  const custom = stacked
    ? { ...overTime, fillOpacity: 30, stacking: { mode: 'normal', group: 'A' } }
    : { ...overTime, fillOpacity: 10 };
  return {
    title: said.title,
    make: () => ({
      type: 'timeseries',
      ...opening(said),
      targets: queries.map((query, index) => ({ ...target(query, index), range: true, instant: false })),
      fieldConfig: { defaults: { unit, min: 0, max, custom }, overrides: [] },
      options: {
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
        tooltip: { mode: 'multi', sort: 'desc' },
      },
    }),
  };
}

/** Durations over time; the query gives buckets, by `le`. */
export function heatmap({ expr, ...said }: Said & { readonly expr: string }): Draft {
  return {
    title: said.title,
    make: () => ({
      type: 'heatmap',
      ...opening(said),
      targets: [{ ...target({ expr, legend: '{{le}}' }, 0), range: true, instant: false, format: 'heatmap' }],
      fieldConfig: { defaults: { custom: { scaleDistribution: { type: 'linear' } } }, overrides: [] },
      options: {
        calculate: false,
        cellGap: 1,
        yAxis: { unit: 's', axisPlacement: 'left', reverse: false },
        rowsFrame: { layout: 'auto' },
        color: {
          mode: 'scheme',
          scheme: 'Oranges',
          fill: 'dark-orange',
          exponent: 0.5,
          steps: 64,
          scale: 'exponential',
        },
        tooltip: { mode: 'single', yHistogram: false, showColorScale: false },
        legend: { show: true },
        exemplars: { color: 'rgba(255,0,255,0.7)' },
        filterValues: { le: 1e-9 },
      },
    }),
  };
}

/** A row for each set of labels that the queries share, as it is now. */
export function table({ columns, link, ...said }: Table): Draft {
  const valueName = (index: number): string => (columns.length === 1 ? 'Value' : `Value #${refId(index)}`);
  const sorting = columns.findIndex(({ sorts = false }) => sorts);
  const shown = columns.map(({ name }, index) => [valueName(index), name] as const);
  const excluded = ['Time', ...(sorting < 0 ? [] : [valueName(sorting)])];
  return {
    title: said.title,
    make: () => ({
      type: 'table',
      ...opening(said),
      targets: columns.map(({ expr }, index) => ({
        ...target({ expr, legend: '' }, index),
        range: false,
        instant: true,
        format: 'table',
      })),
      fieldConfig: {
        defaults: { custom: { align: 'auto', cellOptions: { type: 'auto' } } },
        overrides: [...(link === undefined ? [] : [linked(link)]), ...columns.flatMap(looks)],
      },
      options: { showHeader: true, cellHeight: 'sm', footer: { show: false } },
      transformations: [
        { id: 'merge', options: {} },
        ...(sorting < 0 ? [] : [{ id: 'sortBy', options: { sort: [{ field: valueName(sorting), desc: true }] } }]),
        {
          id: 'organize',
          options: {
            excludeByName: Object.fromEntries(excluded.map((name) => [name, true])),
            renameByName: Object.fromEntries(shown.filter(([value]) => !excluded.includes(value))),
          },
        },
      ],
    }),
  };
}

function linked({ label, title }: { readonly label: string; readonly title: string }): object {
  const others = ['datasource', 'job', 'runbook'].map((name) => `\${${name}:queryparam}`).join('&');
  const url = `${here}&${others}&var-${label}=\${__data.fields.${label}}`;
  return { matcher: { id: 'byName', options: label }, properties: [{ id: 'links', value: [{ title, url }] }] };
}

function looks({ name, unit, steps, decimals, words, sorts = false }: Column): object[] {
  const properties = [
    ...(unit === undefined ? [] : [{ id: 'unit', value: unit }]),
    ...(decimals === undefined ? [] : [{ id: 'decimals', value: decimals }]),
    ...(words === undefined ? [] : [{ id: 'mappings', value: [{ type: 'value', options: texts(words) }] }]),
    ...(steps === undefined
      ? []
      : [
          { id: 'thresholds', value: thresholds(steps) },
          { id: 'custom.cellOptions', value: { type: 'color-text' } },
        ]),
  ];
  return sorts || properties.length === 0 ? [] : [{ matcher: { id: 'byName', options: name }, properties }];
}

function texts(words: Readonly<Record<string, string>>): object {
  return Object.fromEntries(Object.entries(words).map(([value, text], index) => [value, { text, index }]));
}

function opening({ title, description, runbook }: Said): object {
  const links = [{ title: 'What to do', url: `\${runbook}#${runbook}`, targetBlank: true }];
  return { title, description, datasource, ...(runbook === undefined ? {} : { links }) };
}

function thresholds(steps: Steps): object {
  return { mode: 'absolute', steps: steps.map(([value, color]) => ({ color, value })) };
}

function target({ expr, legend }: Query, index: number): object {
  return { datasource, refId: refId(index), expr, legendFormat: legend, editorMode: 'code' };
}

function refId(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}

const columnsOfPage = 24;
const statHeight = 4;
const tableHeight = 12;
const panelWidth = 8;
const panelHeight = 8;

interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

interface Page {
  readonly stats: readonly Draft[];
  readonly table: Draft;
  readonly rows: readonly Row[];
}

/** The stats side by side, the table below them, and collapsed rows with three panels beside each other. */
export function panelsOf({ stats, table: wide, rows }: Page): object[] {
  const drafts = [...stats, wide, ...rows.flatMap((row) => [row, ...row.panels])];
  const idOf = (title: string): number => {
    const index = drafts.findIndex((draft) => draft.title === title);
    if (index < 0) throw new Error(`no panel is called "${title}"`);
    return index + 1;
  };
  const put = (draft: Draft, gridPos: Place): object => ({ id: idOf(draft.title), gridPos, ...draft.make(idOf) });
  const w = columnsOfPage / stats.length;
  const below = statHeight + tableHeight;
  return [
    ...stats.map((draft, index) => put(draft, { x: index * w, y: 0, w, h: statHeight })),
    put(wide, { x: 0, y: statHeight, w: columnsOfPage, h: tableHeight }),
    ...rows.map(({ title, panels }, index) => ({
      id: idOf(title),
      type: 'row',
      title,
      collapsed: true,
      gridPos: { x: 0, y: below + index, w: columnsOfPage, h: 1 },
      panels: panels.map((draft, at) => put(draft, inRow(at, below + index + 1))),
    })),
  ];
}

function inRow(index: number, top: number): Place {
  const across = columnsOfPage / panelWidth;
  const line = Math.floor(index / across);
  return { x: (index % across) * panelWidth, y: top + line * panelHeight, w: panelWidth, h: panelHeight };
}
