/**
 * The charts of the live page, drawn by uPlot: what they show, in which colours, and the same as text. They know points,
 * as the cache sends them, and nothing of the connection.
 */

import { at, clockText, element, msText, none, percentText, rateText } from './texts.js';

/* global uPlot */

export const sources = [
  ['hit', 'cache'],
  ['lane', 'kernel lane'],
  ['stale', 'stale'],
  ['policy', 'policy'],
  ['miss', 'upstream'],
  ['failed', 'failed'],
];
const rcodes = [
  ['NOERROR', 'NOERROR', 'noerror'],
  ['NXDOMAIN', 'NXDOMAIN', 'nxdomain'],
  ['SERVFAIL', 'SERVFAIL', 'failed'],
  ['REFUSED', 'REFUSED', 'refused'],
  ['other', 'other', 'other'],
];

/** Each chart: its series as [column, label, colour]; `stack` draws them on top of each other. */
const charts = [
  {
    id: 'answers',
    title: 'Queries',
    unit: 'a second, by where the answer came from',
    series: sources.map(([column, label]) => [column, label, column]),
    stack: true,
    show: rateText,
  },
  {
    id: 'hits',
    title: 'From the cache',
    unit: 'percent of the answers that a cache can give',
    series: [['hitRatio', 'from the cache', 'hit']],
    range: [0, 1],
    show: (value) => (value === null ? none : `${percentText(value)} %`),
  },
  {
    id: 'times',
    title: 'Time to answer',
    unit: 'milliseconds',
    series: [
      ['p50Ms', 'median', 'p50'],
      ['p99Ms', '99th percentile', 'p99'],
    ],
    log: true,
    show: (value) => (value === null ? none : `${msText(value)} ms`),
  },
  {
    id: 'rcodes',
    title: 'Response codes',
    unit: 'answers a second',
    series: rcodes,
    stack: true,
    show: rateText,
  },
];

/** What is drawn: the columns of all values, the points with the oldest first, and the figures of the last seconds. */
let shown = { columns: [], points: [], present: [] };
const plots = new Map();

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function faded(name, alpha) {
  const value = Number.parseInt(color(name).slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${alpha})`;
}

export function makeCards() {
  for (const chart of charts) {
    const title = element('h2', '', chart.title, ' ', element('span', 'unit', chart.unit));
    chart.legend = element('ul', 'legend');
    chart.values = chart.series.map(([, label, name]) => {
      const swatch = element('span', 'swatch');
      swatch.style.background = `var(--${name})`;
      const value = element('b', '', none);
      chart.legend.append(element('li', '', swatch, `${label} `, value));
      return value;
    });
    chart.when = element('li', 'when');
    chart.legend.append(chart.when);
    chart.plot = element('div', 'plot');
    chart.plot.id = `plot-${chart.id}`;
    chart.plot.tabIndex = 0;
    // For a screen reader: a slider over the points, whose value is what the legend shows.
    describe(chart, {
      role: 'slider',
      'aria-label': chart.title,
      'aria-valuetext': 'no reading yet',
      'aria-valuenow': 0,
    });
    chart.plot.addEventListener('keydown', (event) => moveCursor(chart, event));
    chart.plot.addEventListener('blur', () => placeCursor(chart, null));
    chart.empty = element('p', 'none', 'No reading yet. There is a point for every 10 seconds.');
    chart.plot.append(chart.empty);
    const figure = element('figure', 'card', element('figcaption', '', title, chart.legend), chart.plot);
    at('charts').append(figure);
  }
}

function describe(chart, attributes) {
  for (const [name, value] of Object.entries(attributes)) chart.plot.setAttribute(name, String(value));
}

/** Arrow keys go from point to point, Home to the oldest, End to the present. */
function moveCursor(chart, event) {
  const last = shown.points.length - 1;
  const from = chart.place ?? last;
  const places = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last + 1 };
  if (!Object.hasOwn(places, event.key) || last < 0) return;
  event.preventDefault();
  const place = Math.max(0, places[event.key]);
  placeCursor(chart, place > last ? null : place);
}

/** Null: the present, without a cursor. */
function placeCursor(chart, place) {
  chart.place = place;
  const plot = plots.get(chart.id);
  if (plot === undefined) return;
  const left = place === null ? -10 : plot.valToPos(shown.points[place].time, 'x');
  plot.setCursor({ left, top: place === null ? -10 : plot.bbox.height / devicePixelRatio / 2 });
}

/** The chart's numbers by series, each as they are: for the legend. */
function valuesOf(chart, points) {
  return chart.series.map(([column]) => {
    const place = shown.columns.indexOf(column);
    return points.map(({ values }) => values[place] ?? null);
  });
}

/** What uPlot draws: times, then the series; those of a stack from the top down, each with those below it. */
function drawn(chart, points, values) {
  const times = points.map(({ time }) => time);
  if (!chart.stack) return [times, ...values];
  const sums = [];
  let below = times.map(() => 0);
  for (const series of values) {
    below = series.map((value, index) => (value === null ? null : value + (below[index] ?? 0)));
    sums.unshift(below);
  }
  return [times, ...sums];
}

function seriesOf(chart) {
  const shown = chart.stack ? [...chart.series].reverse() : chart.series;
  return shown.map(([, label, name]) => ({
    label,
    stroke: color(name),
    width: chart.stack ? 1 : 1.75,
    fill: chart.stack ? faded(name, 0.55) : chart.range === undefined ? undefined : faded(name, 0.14),
    points: { show: (plot) => plot.data[0].length < 3, size: 5 },
  }));
}

/** Stacked areas are clipped to what is between them. */
function bandsOf(chart) {
  if (!chart.stack) return [];
  return chart.series.slice(1).map((_, index) => ({ series: [index + 1, index + 2] }));
}

function axesOf(chart) {
  const common = { stroke: color('quiet'), font: '11px system-ui, sans-serif', ticks: { show: false } };
  const grid = { stroke: color('grid'), width: 1 };
  const label = chart.range === undefined ? axisText : (value) => `${Math.round(100 * value)} %`;
  return [
    { ...common, grid: { show: false }, space: 50, size: 24, values: (_, ticks) => ticks.map(minuteText) },
    {
      ...common,
      grid,
      size: 52,
      space: 34,
      ...(chart.log && { splits: decades, filter: (_, ticks) => ticks }),
      values: (_, ticks) => ticks.map((tick) => (tick === null ? null : label(tick))),
    },
  ];
}

/** The labels of a logarithmic axis. */
function decades(plot) {
  const [least, most] = [plot.scales.y.min, plot.scales.y.max].map((value) => Math.round(Math.log10(value)));
  return Array.from({ length: most - least + 1 }, (_, index) => 10 ** (least + index));
}

function minuteText(seconds) {
  return new Date(1000 * seconds).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}

function axisText(value) {
  if (value >= 1_000_000) return `${Number((value / 1_000_000).toPrecision(3))}M`;
  if (value >= 1_000) return `${Number((value / 1_000).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}

/** The last hour, or as much of it as there is, five minutes at least. */
function timeRange(_, first, last) {
  const end = last ?? Date.now() / 1000;
  return [Math.max(end - 3600, Math.min(first ?? end, end - 300)), end];
}

function scaleOf(chart) {
  if (chart.range !== undefined) return { range: chart.range };
  if (!chart.log) return { range: (_, _least, most) => [0, Math.max(1, (most ?? 0) * 1.08)] };
  return {
    distr: 3,
    log: 10,
    range: (_, least, most) => [
      10 ** Math.floor(Math.log10(Math.max(0.01, least ?? 0.1))),
      10 ** Math.ceil(Math.log10(Math.max(1, (most ?? 1) * 1.01))),
    ],
  };
}

function makePlot(chart) {
  const { width, height } = chart.plot.getBoundingClientRect();
  const options = {
    width: Math.max(200, width),
    height,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: 'hour' }, drag: { setScale: false, x: false, y: false }, points: { show: !chart.stack } },
    scales: { x: { time: true, range: timeRange }, y: scaleOf(chart) },
    series: [{}, ...seriesOf(chart)],
    bands: bandsOf(chart),
    axes: axesOf(chart),
    hooks: { setCursor: [(plot) => showLegend(chart, plot.cursor.idx ?? null)] },
  };
  const points = shown.points;
  return new uPlot(options, drawn(chart, points, valuesOf(chart, points)), chart.plot);
}

/** The numbers under the cursor, or else the present ones. */
function showLegend(chart, index) {
  const point = index === null ? undefined : shown.points[index];
  const values = point?.values ?? shown.present;
  for (const [series, [column]] of chart.series.entries()) {
    chart.values[series].textContent = chart.show(values[shown.columns.indexOf(column)] ?? null);
  }
  const when = point === undefined ? '' : `at ${clockText(1000 * point.time)}`;
  chart.when.textContent = when;
  // A screen reader says each change where the focus is: there only moves are changes, not seconds.
  if (document.activeElement === chart.plot && chart.saidIndex === index) return;
  chart.saidIndex = index;
  const texts = chart.series.map(([, label], series) => `${label} ${chart.values[series].textContent}`);
  const last = Math.max(0, shown.points.length - 1);
  describe(chart, {
    'aria-valuemin': 0,
    'aria-valuemax': last,
    'aria-valuenow': point === undefined ? last : index,
    'aria-valuetext': `${when || 'now'}: ${texts.join(', ')}`,
  });
}

export function drawCharts(next) {
  shown = next;
  const { points } = shown;
  for (const chart of charts) {
    chart.empty.hidden = points.length > 0;
    showLegend(chart, plots.get(chart.id)?.cursor.idx ?? null);
    if (points.length === 0) continue;
    const plot = plots.get(chart.id);
    const values = valuesOf(chart, points);
    if (plot === undefined) plots.set(chart.id, makePlot(chart));
    else plot.setData(drawn(chart, points, values));
    const minutes = Math.max(1, Math.round((points.at(-1).time - points[0].time) / 60));
    describe(chart, { 'aria-label': `${chart.title}, ${chart.unit}, over the last ${minutes} min` });
    chart.plot.dataset.points = String(points.length);
  }
}

/** Colours are drawn into a canvas, so another scheme needs other charts. */
export function remakeCharts() {
  for (const plot of plots.values()) plot.destroy();
  plots.clear();
  drawCharts(shown);
}

export function fitCharts() {
  for (const chart of charts) {
    const { width, height } = chart.plot.getBoundingClientRect();
    const plot = plots.get(chart.id);
    if (plot !== undefined && Math.abs(plot.width - width) > 1) plot.setSize({ width, height });
  }
}
