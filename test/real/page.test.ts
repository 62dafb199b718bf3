/** The live page in a real browser, while the cache behind it answers queries: what it shows, and what it must not do. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type Browser, startBrowser, type Tab } from './browser.js';
import { eventually, needs } from './commands.js';
import { type LoopbackZerohop, question, startOnLoopback } from './loopback.js';
import { type Client, freePort, openUdp } from './packets.js';
import { newSpot } from './several.js';
import { goodAnswer, type StandIn, startStandIn } from './stand-in.js';
import { ioPath } from './zerohop.js';

const aType = 1;
const servfail = 2;
const markup = '<script>alert(1)</script>';
/** The same as the DNS writes it: a master file has other uses for parentheses. */
const markupShown = '<script>alert\\(1\\)</script>';
const escapes = '\u001b[31mred\u001b[0m';
const wide = { width: 1400, height: 900 };
const narrow = { width: 400, height: 800 };

/** Answers well, and to names with `broken` SERVFAIL. */
function answer(query: Buffer): Buffer[] {
  const good = goodAnswer(query);
  if (!query.includes('broken')) return [good];
  good[3] = (good[3] & 0xf0) | servfail;
  return [good];
}

/** Asks for names of all kinds, a hundred times a second each, until it is stopped. */
async function startLoad({ place }: LoopbackZerohop): Promise<{ stop(): void }> {
  const client: Client = await openUdp(place);
  let round = 0;
  const timer = setInterval(() => {
    round++;
    for (const label of ['good', 'better', 'best', markup, escapes])
      client.send(question(round & 0xffff, label, aType));
    client.send(question(round & 0xffff, `miss-${round}`, aType));
    if (round % 50 === 0) client.send(question(round & 0xffff, `broken${markup}`, aType));
    client.forget();
  }, 10);
  return {
    stop() {
      clearInterval(timer);
      client.close();
    },
  };
}

describe('the live page', { skip: needs('chromium') }, () => {
  let upstream: StandIn;
  let browser: Browser;
  let zerohop: LoopbackZerohop;
  let load: { stop(): void };
  let tab: Tab;
  let port: number;
  const origin = () => `http://127.0.0.1:${port}`;

  async function startCache(): Promise<void> {
    const lines = `cache 30\n    forward . ${upstream.address}:${upstream.port} {\n        force_tcp\n    }`;
    zerohop = await startOnLoopback(lines, question(1, 'good', aType), {}, [], ['-page', `127.0.0.1:${port}`]);
    load = await startLoad(zerohop);
  }

  const text = (id: string) => tab.evaluate<string>(`document.getElementById('${id}').textContent`);

  before(async () => {
    port = await freePort();
    [upstream, browser] = await Promise.all([startStandIn(answer), startBrowser()]);
    await startCache();
    tab = await browser.open();
    await tab.resize(wide);
  });
  after(async () => {
    load?.stop();
    await browser?.close();
    await zerohop?.stop();
    upstream?.close();
  });

  test('it loads in under a second under load, numbers included', async (context) => {
    const rounds: number[] = [];
    for (let round = 0; round < 5; round++) {
      const started = performance.now();
      await tab.load(origin());
      await eventually('numbers', async () => ((await text('rate')) === '–' ? undefined : true));
      rounds.push(Math.round(performance.now() - started));
    }
    context.diagnostic(`until the first numbers: ${rounds.join(', ')} ms`);
    assert.ok(Math.min(...rounds) < 1_000, `${rounds}`);
  });

  test('every chart has data, says the same in words, and goes on', async () => {
    await eventually('two points', async () => (await pointsDrawn(tab)) || undefined, 40_000);
    const charts = await tab.evaluate<{ label: string; said: string; legend: string[]; colours: number }[]>(`
      [...document.querySelectorAll('figure')].map((figure) => {
        const canvas = figure.querySelector('canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const colours = new Set();
        for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 100) colours.add(data.slice(at, at + 3).join());
        const legend = [...figure.querySelectorAll('b')].map((value) => value.textContent);
        const [label, said] = ['aria-label', 'aria-valuetext'].map((name) => figure.querySelector('.plot').getAttribute(name));
        return { label, said, legend, colours: colours.size };
      })`);
    assert.equal(charts.length, 4);
    for (const { label, said, legend, colours } of charts) {
      assert.match(said, /^now: /);
      assert.match(label, /over the last \d+ min$/);
      assert.ok(legend.length > 0 && legend.every((value) => value !== '–'), `${label}: ${legend}`);
      assert.ok(colours > 3, `${label}: ${colours} colours`);
    }
    assert.match(charts[0].said, /cache [1-9]\d*.*upstream [1-9]\d*/);
    const before = await text('uptime');
    await eventually('another second', async () => ((await text('uptime')) === before ? undefined : true));
  });

  test('it shows upstreams, names, clients, failures and the configuration', async () => {
    const upstreams = await rowsOf(tab, 'upstreams');
    assert.equal(upstreams.length, 1);
    assert.deepEqual(upstreams[0].slice(0, 2), [`${upstream.address}:${upstream.port}`, 'up']);
    assert.match(upstreams[0][2], /^[\d.]+ ms$/);
    await eventually('names', async () => ((await rowsOf(tab, 'names')).length > 4 ? true : undefined));
    const clients = await rowsOf(tab, 'clients');
    assert.equal(clients[0][0], '127.0.0.1');
    await eventually('a failure', async () => ((await rowsOf(tab, 'failures')).length > 0 ? true : undefined));
    const [failure] = await rowsOf(tab, 'failures');
    assert.deepEqual([failure[3], failure[4]], ['A', 'SERVFAIL']);
    assert.match(failure[5], /^upstream 127\.0\.0\.1:\d+ answered SERVFAIL$/);
    assert.match(await text('corefile'), /forward \. 127\.0\.0\.1/);
    assert.match(await text('corefile-note'), /warning/);
    assert.equal(await text('role'), 'serving');
  });

  test('names are text, in the presentation format, and nothing in them runs', async () => {
    const names = (await rowsOf(tab, 'names')).map(([name]) => name);
    assert.ok(names.includes(`${markupShown}.corpus.test.`), `${names}`);
    assert.ok(names.includes('\\027[31mred\\027[0m.corpus.test.'), `${names}`);
    const [failure] = await rowsOf(tab, 'failures');
    assert.equal(failure[2], `broken${markupShown}.corpus.test.`);
    assert.equal(await tab.evaluate(`document.querySelectorAll('script').length`), 2, 'its own');
    assert.deepEqual(
      await tab.evaluate(`[...document.body.querySelectorAll('script, iframe, object, style')].length`),
      0,
    );
  });

  for (const [name, viewport] of Object.entries({ wide, narrow })) {
    for (const scheme of ['light', 'dark'] as const) {
      test(`axe finds nothing, ${name} and ${scheme}`, async () => {
        await tab.resize(viewport);
        await tab.prefer(scheme);
        const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
        await tab.evaluate(`${axe}; 0`);
        const found = await tab.evaluate<string[]>(
          `axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))`,
        );
        assert.deepEqual(found, []);
        const scrolls = await tab.evaluate<number>('document.documentElement.scrollWidth');
        assert.ok(scrolls <= viewport.width, `${scrolls} pixels wide`);
      });
    }
  }

  test('the keyboard reaches what can be used, and shows where it is', async () => {
    await tab.resize(wide);
    await tab.evaluate('document.activeElement.blur()');
    const walk: string[] = [];
    for (let step = 0; step < 7; step++) {
      await tab.press('Tab');
      const [what, outline] = await tab.evaluate<string[]>(
        `[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]`,
      );
      assert.equal(outline, 'solid', what);
      walk.push(what);
    }
    assert.deepEqual(walk, ['A', 'DIV', 'DIV', 'DIV', 'DIV', 'SUMMARY', 'OL']);
  });

  test('the keyboard goes through the hour of a chart, and the legend says what was then', async () => {
    const said = () => tab.evaluate<string>(`document.getElementById('plot-answers').getAttribute('aria-valuetext')`);
    const when = () => tab.evaluate<string>(`document.querySelector('figure .when').textContent`);
    await tab.evaluate(`document.getElementById('plot-answers').focus()`);
    await tab.press('Home');
    const first = await said();
    assert.match(first, /^at \d\d:\d\d:\d\d: cache [\d,.]+, kernel lane /);
    assert.equal(await when(), first.slice(0, 'at 00:00:00'.length));
    await tab.press('ArrowRight');
    assert.notEqual(await said(), first);
    await tab.press('ArrowLeft');
    assert.equal(await said(), first);
    await tab.press('End');
    assert.match(await said(), /^now: /);
    assert.equal(await when(), '');
  });

  test('it survives a restart: says that there is no contact, and goes on by itself', async () => {
    load.stop();
    await zerohop.stop();
    await eventually('the banner', async () => {
      const isShown = await tab.evaluate<boolean>(`!document.getElementById('gone').hidden`);
      return isShown || undefined;
    });
    assert.match(await text('gone'), /^No contact since \d\d:\d\d:\d\d; trying again/);
    const pointsBefore = await pointsOf(tab);
    await startCache();
    await eventually('contact', async () => ((await text('contact')) === 'live' ? true : undefined), 20_000);
    assert.equal(await tab.evaluate(`document.getElementById('gone').hidden`), true);
    assert.ok((await pointsOf(tab)) >= pointsBefore, 'what the earlier process has told stays');
  });

  test('no request has left the origin, and the browser has refused nothing', () => {
    const elsewhere = tab.requests.filter((url) => !url.startsWith(`${origin()}/`) && url !== 'about:blank');
    assert.deepEqual(elsewhere, []);
    // While the cache was away.
    const others = tab.complaints.filter((complaint) => !/ERR_(?:CONNECTION_REFUSED|INCOMPLETE|EMPTY)/.test(complaint));
    assert.deepEqual(others, []);
  });

  test('another name in Host is refused, and another method', async () => {
    assert.equal(await statusOf(port, 'GET', 'rebound.example'), 421);
    assert.equal(await statusOf(port, 'POST', 'localhost'), 405);
    assert.equal(await statusOf(port, 'GET', `localhost:${port}`), 200);
  });
});

describe('the port of the page', () => {
  test('is shared by the instances of a node: the one that serves answers, before and after a takeover', {
    skip: ioPath === 'portable' && 'ports are shared by system calls',
  }, async () => {
    const spot = await newSpot();
    const port = await freePort();
    const flags = ['-page', `127.0.0.1:${port}`];
    try {
      const first = await spot.start(flags);
      const before = await helloFrom(port);
      const second = await spot.start(flags);
      await eventually('the second one answers', async () => {
        const hello = await helloFrom(port);
        return hello.startedAtMs > before.startedAtMs || undefined;
      });
      await first.stop();
      for (let look = 0; look < 20; look++) assert.ok((await helloFrom(port)).startedAtMs > before.startedAtMs);
      assert.equal(second.count('-page'), 0);
    } finally {
      await spot.remove();
    }
  });

  test('that another program has is a line in the log', async () => {
    const taken = createServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const upstream = await startStandIn(answer);
    const forward = `forward . ${upstream.address}:${upstream.port} {\n        force_tcp\n    }`;
    const flags = ['-page', `127.0.0.1:${port}`];
    const zerohop = await startOnLoopback(forward, question(1, 'good', aType), {}, [], flags);
    try {
      await eventually(
        'the line',
        () => zerohop.program.stdout().includes('-page: cannot listen for HTTP') || undefined,
      );
    } finally {
      await zerohop.stop();
      upstream.close();
      taken.close();
    }
  });
});

/** What the page's stream begins with. */
async function helloFrom(port: number): Promise<{ readonly startedAtMs: number }> {
  const { body } = await fetch(`http://127.0.0.1:${port}/events`);
  const reader = body!.getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    assert.ok(!done, 'the stream ended before it began');
    text += Buffer.from(value).toString();
    const [, hello] = /^event: hello\ndata: (.*)\n/m.exec(text) ?? [];
    if (hello === undefined) continue;
    await reader.cancel();
    return JSON.parse(hello);
  }
}

/** Points of the chart of queries. */
function pointsOf(tab: Tab): Promise<number> {
  return tab.evaluate(`document.getElementById('plot-answers').dataset.points * 1`);
}

async function pointsDrawn(tab: Tab): Promise<boolean> {
  return (await pointsOf(tab)) >= 2;
}

function rowsOf(tab: Tab, id: string): Promise<string[][]> {
  return tab.evaluate(
    `[...document.querySelectorAll('#${id} tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))`,
  );
}

function statusOf(port: number, method: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port, path: '/', method, agent: false, headers: { host } });
    asking.once('response', (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asking.once('error', reject);
    asking.end();
  });
}
