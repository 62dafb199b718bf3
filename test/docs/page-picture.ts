/**
 * `npm run page-picture` makes docs/pictures/page.png: the live page of a running zerohop, as Chromium shows it, after six
 * minutes of queries. `-- FOLDER MINUTES` writes pictures of both colour schemes and widths there instead.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { repositoryPath } from '../corpus/repository.js';
import { startBrowser } from '../real/browser.js';
import { startScene } from './page-scene.js';

const [folder, minutes = '6'] = process.argv.slice(2);
/** Where the picture for the pages ends. */
const endOfUpstreams = `Math.ceil(document.getElementById('upstreams').closest('section').getBoundingClientRect().bottom) + 5`;
/** Long enough for the first updates. */
const settleMs = 3_000;

const scene = await startScene(9254);
const browser = await startBrowser();
try {
  const tab = await browser.open();
  await pause(Number(minutes) * 60_000);
  for (const [scheme, width] of [
    ['light', 1400],
    ['dark', 1400],
    ['light', 400],
    ['dark', 400],
  ] as const) {
    if (folder === undefined && (scheme === 'dark' || width === 400)) continue;
    await tab.prefer(scheme);
    await tab.resize({ width, height: 900 });
    await tab.load(scene.url);
    await pause(settleMs);
    if (folder === undefined) await tab.resize({ width, height: await tab.evaluate(endOfUpstreams) });
    const picture = await tab.picture(folder === undefined ? 'window' : 'whole');
    const file =
      folder === undefined ? repositoryPath('docs', 'pictures', 'page.png') : join(folder, `${scheme}-${width}.png`);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, picture);
  }
} finally {
  await browser.close();
  await scene.stop();
}
