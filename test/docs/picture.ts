/**
 * A terminal window as SVG: lines with the escapes that zerohop writes, in the reader's own fonts and, where the browser
 * tells, in light or dark. Every line is given its length, so columns stay columns whatever font there is.
 */
import { stripVTControlCharacters } from 'node:util';

const columnPixels = 8.4;
const linePixels = 20;
const margin = 20;
const barPixels = 36;

/** The parameter of an escape, and the class of the text behind it. */
const classes: Readonly<Record<string, string>> = {
  '1': 'bold',
  '2': 'title',
  '31': 'red',
  '32': 'green',
  '33': 'yellow',
  '36': 'cyan',
};

const style = `
    text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre; fill: #d1d7e0; }
    .window { fill: #161b22; stroke: #3d444d; } .title { fill: #9198a1; } .bold { font-weight: 700; fill: #f0f6fc; }
    .red { fill: #f47067; } .green { fill: #57ab5a; } .yellow { fill: #d4a72c; } .cyan { fill: #39c5cf; }
    @media (prefers-color-scheme: light) {
      text { fill: #1f2328; } .window { fill: #f6f8fa; stroke: #d1d9e0; } .title { fill: #59636e; } .bold { fill: #010409; }
      .red { fill: #b3261e; } .green { fill: #116329; } .yellow { fill: #7d4e00; } .cyan { fill: #0b6775; }
    }`;

/** `description` is for readers who do not see the picture. */
export function terminalPicture(lines: readonly string[], title: string, description: string): string {
  const width = 2 * margin + Math.ceil(80 * columnPixels);
  const height = barPixels + lines.length * linePixels + margin;
  const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
    (color, index) => `<circle cx="${margin + 20 * index}" cy="18" r="6" fill="${color}"/>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
  <title>${escapedXml(title)}</title>
  <desc>${escapedXml(description)}</desc>
  <style>${style}
  </style>
  <rect class="window" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
  ${dots.join('')}
  <text class="title" x="${width / 2}" y="23" text-anchor="middle">${escapedXml(title)}</text>
  <g xml:space="preserve">
${lines.flatMap((line, index) => (line === '' ? [] : [textElement(line, index)])).join('\n')}
  </g>
</svg>
`;
}

const escapeStart = '\u001b';
/** Text in one style: an escape, the text, and the escape that ends it; or text without any. */
const styledPart = new RegExp(
  `${escapeStart}\\[(\\d+)m([^${escapeStart}]*)${escapeStart}\\[0m|([^${escapeStart}]+)`,
  'gu',
);

function textElement(line: string, index: number): string {
  const text = stripVTControlCharacters(line);
  const parts = [...line.matchAll(styledPart)];
  if (parts.map(([written]) => written).join('') !== line) {
    throw new Error(`escapes within escapes: ${JSON.stringify(line)}`);
  }
  const inside = parts.map(([, code, colored = '', plain = '']) =>
    code === undefined || parts.length === 1
      ? escapedXml(`${colored}${plain}`)
      : `<tspan class="${classes[code]}">${escapedXml(colored)}</tspan>`,
  );
  const [, whole] = parts.length === 1 ? parts[0] : [];
  const kind = whole === undefined ? '' : ` class="${classes[whole]}"`;
  const y = barPixels + (index + 1) * linePixels;
  const length = (text.length * columnPixels).toFixed(1);
  return `<text${kind} x="${margin}" y="${y}" textLength="${length}" lengthAdjust="spacingAndGlyphs">${inside.join('')}</text>`;
}

function escapedXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** The lines that a picture shows, without the empty ones. */
export function linesOfPicture(svg: string): string[] {
  const [, shown] = /<g xml:space="preserve">([\s\S]*)<\/g>/.exec(svg) ?? [];
  return [...shown.matchAll(/<text[^>]*>(.*)<\/text>/g)].map(([, text]) =>
    text
      .replace(/<[^>]*>/g, '')
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&amp;', '&'),
  );
}
