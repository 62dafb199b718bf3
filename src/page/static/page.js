/**
 * The live page's script. It reads server-sent events of the cache that serves it (`hello`: history and configuration;
 * `present`: the numbers of each second; `lists`: what changes less) and draws them. Text that comes from packets, logs
 * or files becomes text nodes, never markup.
 */

import { drawCharts, fitCharts, makeCards, remakeCharts, sources } from './charts.js';
import {
  at,
  broken,
  cell,
  clockText,
  countText,
  durationText,
  element,
  figures,
  fill,
  momentText,
  msText,
  none,
  percentText,
  put,
  rateText,
  rttText,
} from './texts.js';

/** No update for so long, where one is due every second: the connection is dead although nobody has closed it. */
const silenceMs = 5_000;
/** After a refusal, when the browser does not try by itself. */
const retryMs = 3_000;
const sparkWidth = 160;
const sparkHeight = 22;

const state = {
  /** Complete points, oldest first: { time, values, rtts }. */
  points: [],
  /** The point that is not complete yet. */
  partial: null,
  /** The figures of the last seconds, by column. */
  present: [],
  columns: [],
  pointSeconds: 10,
  pointsMax: 360,
  startedAtMs: 0,
  sha512: '',
  heardMs: 0,
  isLost: false,
};

function allPoints() {
  return state.partial === null ? state.points : [...state.points, state.partial];
}

// Tables.

/** A line of the last hour's round-trip times: an SVG path. */
function spark(to) {
  const rtts = allPoints().map(({ rtts }) => rtts[to] ?? null);
  const known = rtts.filter((ms) => ms !== null);
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('viewBox', `0 0 ${sparkWidth} ${sparkHeight}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img');
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const text =
    known.length === 0 ? 'no answer in the last hour' : `round trips of ${rttText(least)} to ${rttText(most)} ms`;
  svg.setAttribute('aria-label', text);
  const step = sparkWidth / Math.max(1, rtts.length - 1);
  const high = sparkHeight - 4;
  let path = '';
  let isDrawing = false;
  for (const [index, ms] of rtts.entries()) {
    if (ms === null) {
      isDrawing = false;
      continue;
    }
    const y = most === 0 ? high : 2 + high * (1 - ms / most);
    path += `${isDrawing ? 'L' : 'M'}${(index * step).toFixed(1)} ${y.toFixed(1)}`;
    if (!isDrawing) path += 'h.01';
    isDrawing = true;
  }
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

const stateClasses = { up: 'good', down: 'bad', looping: 'bad' };

function showUpstreams(upstreams, troubles) {
  const rows = upstreams.map((one) => [
    cell('Address', 'name', ...broken(one.to)),
    cell('State', '', element('span', `badge ${stateClasses[one.state]}`, one.state)),
    cell('Round trip', 'number', one.rttMs === null ? none : `${rttText(one.rttMs)} ms`),
    cell('Last hour', '', spark(one.to)),
    cell('Answers', 'number', `${rateText(one.answersPerSecond)} /s`),
    cell('Bad answers', 'number', countText(one.badAnswers)),
    cell('Failed checks', 'number', countText(one.failedChecks)),
    cell('Connections', 'number', countText(one.open)),
    cell('Suspect', 'number', countText(one.suspects)),
  ]);
  if (rows.length === 0) put('upstreams-none', 'The configuration names no upstream.');
  fill('upstreams', rows);
  const { upstreamTimeouts, upstreamConnectFailures, upstreamRetries, upstreamHedges } = troubles;
  put(
    'troubles',
    `Since the start, over all upstreams: ${countText(upstreamTimeouts)} queries without an answer in time, ` +
      `${countText(upstreamConnectFailures)} failed connects, ${countText(upstreamRetries)} retries after an error, ` +
      `${countText(upstreamHedges)} beside a silent try.`,
  );
}

function shareCell(label, count, most) {
  const made = cell(label, 'number bar', countText(count));
  made.style.setProperty('--share', `${most === 0 ? 0 : Math.round((100 * count) / most)}%`);
  return made;
}

function showTop({ names, clients, seconds }) {
  const most = (rows) => rows[0]?.count ?? 0;
  fill(
    'names',
    names.map(({ name, type, count }) => [
      cell('Name', 'name', ...broken(name)),
      cell('Type', 'plain', type),
      shareCell('Queries', count, most(names)),
    ]),
  );
  fill(
    'clients',
    clients.map(({ client, count }) => [cell('Address', 'name', client), shareCell('Queries', count, most(clients))]),
  );
  const note = `Of the last ${durationText(1000 * seconds)}, estimated from samples.`;
  put('names-note', names.length === 0 ? '' : note);
  put('clients-note', clients.length === 0 ? '' : note);
}

function showFailures(failures, unnoted, nowMs) {
  fill(
    'failures',
    failures.map(({ atMs, count, name, type, rcode, reason }) => [
      cell('Last', 'plain', momentText(atMs, nowMs)),
      cell('Times', 'number', countText(count)),
      cell('Name', 'name', ...broken(name)),
      cell('Type', 'plain', type),
      cell('Answer', '', element('span', 'badge bad', rcode)),
      cell('Reason', '', reason),
    ]),
  );
  put('failures-note', unnoted === 0 ? '' : `${countText(unnoted)} more came too fast to be listed.`);
}

function ended(text) {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

const verdicts = { fail: ['bad', 'fails'], warn: ['warn', 'warning'], info: ['', 'info'], skipped: ['', 'skipped'] };

function showFindings(findings) {
  const list = at('doctor');
  const told = (findings ?? []).filter(({ verdict }) => verdict !== 'ok' && verdict !== 'skipped');
  const order = Object.keys(verdicts);
  told.sort((one, other) => order.indexOf(one.verdict) - order.indexOf(other.verdict));
  list.hidden = told.length === 0;
  at('doctor-none').hidden = told.length > 0;
  if (findings === null)
    put('doctor-none', 'The checks of the minute have not run here. zerohop doctor runs all of them.');
  else put('doctor-none', `All ${countText(findings.length)} checks of the last minute are in order.`);
  list.replaceChildren(
    ...told.map(({ code, verdict, seen, meaning, command }) => {
      const [className, word] = verdicts[verdict];
      const head = element('div', '', element('span', `badge ${className}`, word), element('span', 'mono', code));
      const item = element('li', '', head, element('p', '', `${ended(seen)} ${meaning}`));
      if (command !== null) item.append(element('code', 'command', command));
      return item;
    }),
  );
}

// The configuration.

function sentence({ message, remedy }) {
  return ended(remedy === null ? message : `${message}; ${remedy}`);
}

function showPiece({ file, text }, findings) {
  const lines = text.replace(/^\ufeff|\r?\n$/g, '').split(/\r?\n/);
  const list = element('ol', 'corefile');
  for (const [index, line] of lines.entries()) {
    const here = findings.filter((finding) => finding.line === index + 1);
    const item = element('li', here.length > 0 ? 'found' : '', element('code', '', line));
    for (const finding of here) item.append(element('span', 'finding', `${finding.code}: ${sentence(finding)}`));
    list.append(item);
  }
  list.tabIndex = 0;
  list.setAttribute('aria-label', `Text of ${file}`);
  const details = element('details', '', element('summary', 'mono', file), list);
  details.open = true;
  return details;
}

function showCorefile({ source, pieces, findings, isCut }) {
  const files = pieces.map(({ file }) => file);
  const shown = pieces.map((piece) =>
    showPiece(
      piece,
      findings.filter(({ file }) => file === piece.file),
    ),
  );
  const elsewhere = findings.filter(({ file, line }) => line === null || !files.includes(file));
  const list = element('ul', 'findings');
  for (const finding of elsewhere) {
    const place = finding.line === null ? finding.file : `${finding.file}:${finding.line}`;
    list.append(
      element(
        'li',
        '',
        element('span', 'badge warn', 'warning'),
        element('span', 'mono', place),
        element('p', '', sentence(finding)),
      ),
    );
  }
  if (elsewhere.length > 0) shown.unshift(list);
  at('corefile').replaceChildren(...shown);
  const count = findings.length === 1 ? '1 warning' : `${findings.length === 0 ? 'no' : findings.length} warnings`;
  put(
    'corefile-note',
    `From ${source}, with ${count} of zerohop check.${isCut ? ' The text is too long to be shown in full.' : ''}`,
  );
}

// Events.

function showInstance({ role, standBys, lane, corefile, atMs }) {
  put('role', role);
  put('standbys', standBys === 0 ? 'none' : countText(standBys));
  put('uptime', durationText(atMs - state.startedAtMs));
  put('since', momentText(corefile.sinceMs, atMs));
  put('lane', lane === null ? 'off' : lane.isOn ? `on, ${countText(lane.entries)} answers` : `off: ${lane.why}`);
  at('refused').hidden = !corefile.isLastRefused;
}

function showTiles({ values, gauges }) {
  const value = (column) => values[state.columns.indexOf(column)] ?? null;
  put('rate', rateText(sources.reduce((sum, [column]) => sum + (value(column) ?? 0), 0)));
  put('ratio', percentText(value('hitRatio')));
  put('p50', msText(value('p50Ms')));
  put('p99', msText(value('p99Ms')));
  put('failed', rateText(value('failed')));
  at('failed-tile').classList.toggle('bad', (value('failed') ?? 0) > 0);
  put('waiting', countText(gauges.waitingClients ?? 0));
  put('pending', `for ${countText(gauges.pendingQuestions ?? 0)} questions`);
  const mib = (bytes) => figures((bytes ?? 0) / 2 ** 20, (bytes ?? 0) < 10 * 2 ** 20 ? 1 : 0);
  put('cuts', countText(gauges.nxdomainCuts ?? 0));
  put('cache', mib(gauges.cacheUsedBytes));
  put('cache-max', `of ${mib(gauges.cacheBytesMax)} MiB`);
}

/** Keeps what an earlier process has told of the last hour, with a gap. */
function useHistory({ columns, times, values, upstreams }) {
  const news = times.map((time, index) => ({
    time,
    values: values.map((column) => column[index]),
    rtts: Object.fromEntries(Object.entries(upstreams).map(([to, rtts]) => [to, rtts[index]])),
  }));
  const isSame = columns.join() === state.columns.join();
  const before = news[0]?.time ?? Number.POSITIVE_INFINITY;
  const olds = isSame ? state.points.filter(({ time }) => time < before - state.pointSeconds / 2) : [];
  const last = olds.at(-1);
  if (last !== undefined && !news.some(({ time }) => time <= last.time + 1.5 * state.pointSeconds)) {
    olds.push({ time: last.time + 1, values: columns.map(() => null), rtts: {} });
  }
  state.columns = columns;
  state.points = [...olds, ...news].slice(-state.pointsMax);
}

function takePoints({ complete, partial }) {
  const last = state.points.at(-1);
  if (complete !== null && (last === undefined || complete.time > last.time + 1)) {
    state.points = [...state.points, complete].slice(-state.pointsMax);
  }
  state.partial = partial;
}

function onHello(hello) {
  Object.assign(state, { startedAtMs: hello.startedAtMs, pointSeconds: hello.pointSeconds });
  state.pointsMax = hello.pointsMax;
  state.partial = null;
  state.sha512 = hello.corefile.sha512;
  put('host', hello.hostName);
  document.title = `zerohop ${hello.hostName}`;
  put('version', hello.version);
  useHistory(hello.history);
  showCorefile(hello.corefile);
}

function onPresent(present) {
  // Another configuration is in force: a new connection brings it.
  if (present.corefile.sha512 !== state.sha512) return connect();
  state.nowMs = present.atMs;
  takePoints(present);
  state.present = present.values;
  showInstance(present);
  showTiles(present);
  showUpstreams(present.upstreams, present.troubles);
  drawCharts({ columns: state.columns, points: allPoints(), present: state.present });
  heard();
}

function onLists({ top, failures, unnoted, findings }) {
  showTop(top);
  showFailures(failures, unnoted, state.nowMs);
  showFindings(findings);
}

// The connection.

let events = null;
let retrying = null;

function heard() {
  state.heardMs = Date.now();
  state.isLost = false;
  at('gone').hidden = true;
  const contact = at('contact');
  contact.classList.remove('lost');
  put('contact', 'live');
  contact.classList.remove('fresh');
  requestAnimationFrame(() => contact.classList.add('fresh'));
}

function lost() {
  if (state.isLost) return;
  state.isLost = true;
  at('contact').classList.add('lost');
  put('contact', 'no contact');
  const since = state.heardMs === 0 ? 'No contact' : `No contact since ${clockText(state.heardMs)}`;
  put('gone', `${since}; trying again. What is shown is from then.`);
  at('gone').hidden = false;
}

function connect() {
  clearTimeout(retrying);
  events?.close();
  events = new EventSource('events');
  const on = (name, take) => events.addEventListener(name, ({ data }) => take(JSON.parse(data)));
  on('hello', onHello);
  on('present', onPresent);
  on('lists', onLists);
  events.onerror = () => {
    lost();
    if (events.readyState !== EventSource.CLOSED) return;
    clearTimeout(retrying);
    retrying = setTimeout(connect, retryMs);
  };
}

function watchSilence() {
  if (state.isLost || state.heardMs === 0 || Date.now() - state.heardMs < silenceMs) return;
  lost();
  connect();
}

/** A table that a narrow window shows as blocks is still one to a screen reader. */
function keepTables() {
  const roles = { table: 'table', thead: 'rowgroup', tbody: 'rowgroup', tr: 'row', th: 'columnheader' };
  for (const [tag, role] of Object.entries(roles)) {
    for (const part of document.querySelectorAll(tag)) part.setAttribute('role', role);
  }
}

keepTables();
makeCards();
connect();
setInterval(watchSilence, 1_000);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', remakeCharts);
new ResizeObserver(fitCharts).observe(at('charts'));
