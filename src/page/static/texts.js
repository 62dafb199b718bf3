/** What numbers and times look like on the live page, and elements made of text: nothing here makes markup. */

/** For a number that there is not. */
export const none = '–';

export const at = (id) => document.getElementById(id);

export function figures(value, digits) {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function rateText(value) {
  if (value === null) return none;
  if (value === 0) return '0';
  return figures(value, value < 10 ? 1 : 0);
}

export function percentText(ratio) {
  return ratio === null ? none : figures(100 * ratio, ratio > 0.9995 || ratio === 0 ? 0 : 1);
}

/** The first bucket of the histogram ends at a quarter of a millisecond: within it nothing is known. */
export function msText(ms) {
  if (ms === null) return none;
  if (ms <= 0.25) return '< 0.25';
  return figures(ms, ms < 10 ? 2 : ms < 100 ? 1 : 0);
}

export function rttText(ms) {
  return ms === null ? none : figures(ms, ms < 10 ? 2 : ms < 100 ? 1 : 0);
}

export function countText(count) {
  return figures(count, 0);
}

export function clockText(ms) {
  return new Date(ms).toLocaleTimeString('en-GB');
}

export function durationText(ms) {
  const minutes = Math.floor(ms / 60_000);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.max(0, Math.floor(ms / 1000))} s`;
}

export function momentText(ms, nowMs) {
  const date = new Date(ms);
  return nowMs - ms < 43_200_000 ? clockText(ms) : `${date.toLocaleDateString('en-CA')} ${clockText(ms)}`;
}

/** Children are nodes, or texts that become text nodes. */
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  made.append(...children);
  return made;
}

/** Sets the text of the element with this id, if it is another. */
export function put(id, text) {
  const there = at(id);
  if (there.textContent !== text) there.textContent = text;
}

/** A name that may be broken behind its dots. */
export function broken(name) {
  return name.split(/(?<=[.:])(?=.)/).flatMap((label, index) => (index === 0 ? [label] : [element('wbr', ''), label]));
}

export function cell(label, className, ...children) {
  const made = element('td', className, ...children);
  made.setAttribute('role', 'cell');
  made.dataset.label = label;
  return made;
}

/** Shows the rows in the table `id`, or the sentence beside it if there are none. */
export function fill(id, rows) {
  at(`${id}-none`).hidden = rows.length > 0;
  at(id).hidden = rows.length === 0;
  const body = at(id).tBodies[0];
  body.replaceChildren(
    ...rows.map((cells) => {
      const row = element('tr', '', ...cells);
      row.setAttribute('role', 'row');
      return row;
    }),
  );
}
