/**
 * The page's addresses, and who gets an answer: programs of this node, by GET or HEAD, that name the address they have
 * connected to. A page of another origin cannot pass for ours by a name that it lets resolve to a loopback address (DNS
 * rebinding), because the browser sends that name as Host. Nothing of the page comes from elsewhere or runs inline, which
 * browsers enforce by its Content-Security-Policy.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Asked, HttpAnswer, HttpRoutes } from '../observe/http.js';

interface PageFile {
  readonly url: () => URL | string;
  readonly contentType: string;
}

const html = 'text/html; charset=utf-8';
const css = 'text/css; charset=utf-8';
const script = 'text/javascript; charset=utf-8';

/** What a browser fetches, by path. */
const files: Readonly<Record<string, PageFile>> = {
  '/': { url: () => new URL('../page/static/page.html', import.meta.url), contentType: html },
  '/page.css': { url: () => new URL('../page/static/page.css', import.meta.url), contentType: css },
  '/charts.js': { url: () => new URL('../page/static/charts.js', import.meta.url), contentType: script },
  '/texts.js': { url: () => new URL('../page/static/texts.js', import.meta.url), contentType: script },
  '/page.js': { url: () => new URL('../page/static/page.js', import.meta.url), contentType: script },
  '/icon.svg': { url: () => new URL('../page/static/icon.svg', import.meta.url), contentType: 'image/svg+xml' },
  '/uplot.js': { url: () => import.meta.resolve('uplot/dist/uPlot.iife.min.js'), contentType: script },
  '/uplot.css': { url: () => import.meta.resolve('uplot/dist/uPlot.min.css'), contentType: css },
};

const own = "'self'";
const policy = {
  'default-src': "'none'",
  'script-src': own,
  'style-src': own,
  'connect-src': own,
  'img-src': own,
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
  // No text becomes markup, whatever a script is given.
  'require-trusted-types-for': "'script'",
  'trusted-types': "'none'",
};

const headers = {
  'Content-Security-Policy': Object.entries(policy)
    .map((rule) => rule.join(' '))
    .join('; '),
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

/** `events` answers `/events`. A file is read when it is first asked for. */
export function pageRoutes(events: (asked: Asked) => HttpAnswer): HttpRoutes {
  const texts = new Map<string, string>();
  const fileAt =
    (path: string, { url, contentType }: PageFile) =>
    (): HttpAnswer => {
      const body = texts.get(path) ?? readFileSync(fileURLToPath(url()), 'utf8');
      texts.set(path, body);
      return { status: 200, body, contentType };
    };
  const routes = Object.entries(files).map(([path, file]) => [path, forThisNode(fileAt(path, file))]);
  return Object.fromEntries([...routes, ['/events', forThisNode(events)]]);
}

function forThisNode(route: (asked: Asked) => HttpAnswer): HttpRoutes[string] {
  return async (asked) => {
    const answer = pageRefusal(asked) ?? route(asked);
    return { ...answer, headers: { ...headers, ...answer.headers } };
  };
}

function pageRefusal(asked: Asked): HttpAnswer | null {
  const { method, isLocal, local, host } = asked;
  if (!isLocal) return plainAnswer(403, 'only for programs on this node; use kubectl port-forward.\n');
  if (!isOwnHost(host, local.address)) {
    return plainAnswer(421, 'not an address of this page; ask for localhost, 127.0.0.1 or [::1].\n');
  }
  if (method === 'GET' || method === 'HEAD') return null;
  return { ...plainAnswer(405, 'this page is only read; use GET.\n'), headers: { Allow: 'GET, HEAD' } };
}

/** Any port is right, as `kubectl port-forward` may listen on another one. */
function isOwnHost(host: string, address: string): boolean {
  const name = /^(\[[^\]]*\]|[^:[\]]*)(?::\d{0,5})?$/u.exec(host)?.[1].toLowerCase();
  if (name === undefined) return false;
  return ['localhost', '127.0.0.1', '[::1]', address, `[${address}]`].includes(name);
}

export function plainAnswer(status: number, body: string): HttpAnswer {
  return { status, body };
}
