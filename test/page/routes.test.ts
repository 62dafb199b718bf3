import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Asked } from '../../src/observe/http.js';
import { pageRoutes, plainAnswer } from '../../src/page/routes.js';

const loopback = { address: '127.0.0.1', port: 9254 };
const good: Asked = {
  method: 'GET',
  host: 'localhost:9254',
  query: new URLSearchParams(),
  isLocal: true,
  remote: { address: '127.0.0.1', port: 40_000 },
  local: loopback,
};
const routes = pageRoutes(() => plainAnswer(200, 'events'));
const paths = [
  '/',
  '/page.css',
  '/charts.js',
  '/texts.js',
  '/page.js',
  '/icon.svg',
  '/uplot.js',
  '/uplot.css',
  '/events',
];

async function statusOf(path: string, parts: Partial<Asked>): Promise<number> {
  return (await routes[path]({ ...good, ...parts })).status;
}

describe('the routes of the page', () => {
  it('are these', () => {
    assert.deepEqual(Object.keys(routes), paths);
  });

  it('have a file for each of them, of the type that browsers insist on', async () => {
    const types: Record<string, string | undefined> = {};
    for (const path of paths) {
      const { status, body, contentType } = await routes[path](good);
      assert.equal(status, 200, path);
      assert.ok(body.length > 5, path);
      types[path] = contentType?.replace(/;.*/, '');
    }
    const [css, script] = ['text/css', 'text/javascript'];
    assert.deepEqual(types, {
      '/': 'text/html',
      '/page.css': css,
      '/charts.js': script,
      '/texts.js': script,
      '/page.js': script,
      '/icon.svg': 'image/svg+xml',
      '/uplot.js': script,
      '/uplot.css': css,
      '/events': undefined,
    });
  });

  for (const path of paths) {
    it(`${path}: only GET and HEAD`, async () => {
      for (const method of ['GET', 'HEAD']) assert.equal(await statusOf(path, { method }), 200, method);
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'get', '']) {
        const { status, headers } = await routes[path]({ ...good, method });
        assert.deepEqual([status, headers?.['Allow']], [405, 'GET, HEAD'], method);
      }
    });

    it(`${path}: only by the names of the address that was connected to`, async () => {
      for (const name of ['localhost', 'LOCALHOST', '127.0.0.1', '[::1]', '10.0.0.7', '[fd00::7]']) {
        const local = { ...loopback, address: name.includes('fd00') ? 'fd00::7' : '10.0.0.7' };
        for (const port of ['', ':9254', ':8080', ':']) {
          assert.equal(await statusOf(path, { host: name + port, local }), 200, name + port);
        }
      }
      const others = [
        'evil.example',
        'localhost.evil.example',
        '127.0.0.1.evil.example',
        '',
        'localhost.',
        '[::1',
        '::1',
      ];
      for (const host of [...others, '10.0.0.8', '[fd00::8]', '0.0.0.0', 'localhost:80:80', 'a@localhost', '127.1']) {
        assert.equal(await statusOf(path, { host }), 421, host);
        assert.equal(await statusOf(path, { host: `${host}:9254` }), 421, host);
      }
    });

    it(`${path}: only for programs of this node`, async () => {
      assert.equal(await statusOf(path, { isLocal: false }), 403);
    });

    it(`${path}: with headers that let nothing come from elsewhere, refusals too`, async () => {
      for (const parts of [{}, { method: 'POST' }, { host: 'evil.example' }, { isLocal: false }]) {
        const { headers = {} } = await routes[path]({ ...good, ...parts });
        const policy = headers['Content-Security-Policy'];
        assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; /);
        assert.doesNotMatch(policy, /unsafe|data:|https?:|\*/);
        assert.match(policy, /frame-ancestors 'none'/);
        assert.equal(headers['X-Content-Type-Options'], 'nosniff');
        assert.equal(headers['Referrer-Policy'], 'no-referrer');
      }
    });
  }

  it('name nothing of another origin, and have no inline script or style', async () => {
    const { body: html } = await routes['/'](good);
    const { body: css } = await routes['/page.css'](good);
    const scripts = await Promise.all(['/page.js', '/charts.js', '/texts.js'].map((path) => routes[path](good)));
    const script = scripts.map(({ body }) => body).join('');
    assert.doesNotMatch(html, /(?:https?:)?\/\/[a-z]|<style|\son\w+=|style=|javascript:/);
    assert.deepEqual(html.match(/<script[^>]*>[^<]/g), null);
    assert.doesNotMatch(css, /url\(|@import/);
    const addresses = [...script.matchAll(/https?:[^'"`\s]*/g)].map(([address]) => address);
    assert.deepEqual([...new Set(addresses)], ['http://www.w3.org/2000/svg'], 'the name of a kind of element');
    assert.doesNotMatch(script, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/);
  });
});
