/** The pictures show what the program prints, and are files that a browser shows without asking anybody. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { repositoryPath } from '../corpus/repository.js';
import { runDemo, withoutNumbers } from './demo-run.js';
import { linesOfPicture, terminalPicture } from './picture.js';

const svg = readFileSync(repositoryPath('docs', 'pictures', 'demo.svg'), 'utf8');

test('docs/pictures/demo.svg shows what the demo prints; if not, npm run pictures makes it again', async () => {
  const { printed, exitCode } = await runDemo({ NO_COLOR: '1' });
  assert.equal(exitCode, 0);
  const [wanted] = printed.split('\nzerohop serves until Ctrl-C.');
  const [prompt, ...shown] = linesOfPicture(svg);
  assert.equal(prompt, '$ zerohop demo');
  assert.deepEqual(
    withoutNumbers(shown.join('\n')),
    withoutNumbers(wanted).filter((line) => line !== ''),
  );
});

test('a picture needs nothing from elsewhere, runs nothing, and is small', () => {
  assert(svg.length < 30_000, `${svg.length} bytes`);
  assert.deepEqual(
    [...svg.matchAll(/https?:[^"]*/g)].map(([address]) => address),
    ['http://www.w3.org/2000/svg'],
  );
  assert.doesNotMatch(svg, /<script|@import|@font-face|href|url\(|\bon\w+=/);
  assert.match(svg, /prefers-color-scheme: light/);
});

test('what is written in a picture is what was printed, also characters that XML has for itself', () => {
  const lines = ['\u001b[1ma <b> & "c"\u001b[0m', '', '  \u00b5s'];
  const picture = terminalPicture(lines, 'a & b', 'c < d');
  assert.deepEqual(linesOfPicture(picture), ['a <b> & "c"', '  \u00b5s']);
  assert.match(picture, /<text class="bold" /);
  assert.match(picture, /<title>a &amp; b<\/title>/);
  assert.throws(() => terminalPicture(['a \u001b[1mb\u001b[0m'], '', ''), /escapes within a line/);
});
