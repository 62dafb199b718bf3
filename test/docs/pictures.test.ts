/** The pictures show what the program prints, and are files that a browser shows without asking anybody. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { repositoryPath } from '../corpus/repository.js';
import { needs } from '../real/commands.js';
import { clusterNeeds } from '../real/doctor/cluster.js';
import { ioPath } from '../real/zerohop.js';
import { runDemo, withoutNumbers } from './demo-run.js';
import { doctorCommand, runDoctorOfSilentEndpoint, withoutCounts } from './doctor-run.js';
import { linesOfPicture, terminalPicture } from './picture.js';

const [svg, doctorSvg] = ['demo.svg', 'doctor.svg'].map((file) => {
  return readFileSync(repositoryPath('docs', 'pictures', file), 'utf8');
});

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

const skip = needs(...clusterNeeds) || (ioPath !== 'threads' && 'once is enough');

test('docs/pictures/doctor.svg shows what the doctor prints of a silent endpoint', { skip }, async () => {
  const printed = await runDoctorOfSilentEndpoint({ NO_COLOR: '1' });
  const [prompt, ...shown] = linesOfPicture(doctorSvg);
  assert.equal(prompt, doctorCommand);
  assert.equal(withoutCounts(shown), withoutCounts(printed).trim());
});

test('docs/pictures/page.png is a picture of a size that a page can carry; npm run page-picture makes it', () => {
  const png = readFileSync(repositoryPath('docs', 'pictures', 'page.png'));
  assert.equal(png.toString('latin1', 1, 4), 'PNG');
  assert.equal(png.readUInt32BE(16), 1400);
  assert(png.length < 150_000, `${png.length} bytes`);
});

test('a picture needs nothing from elsewhere, runs nothing, and is small', () => {
  for (const picture of [svg, doctorSvg]) {
    assert(picture.length < 30_000, `${picture.length} bytes`);
    assert.deepEqual(
      [...picture.matchAll(/https?:[^"]*/g)].map(([address]) => address),
      ['http://www.w3.org/2000/svg'],
    );
    assert.doesNotMatch(picture, /<script|@import|@font-face|href|url\(|\bon\w+=/);
    assert.match(picture, /prefers-color-scheme: light/);
  }
});

test('what is written in a picture is what was printed, also characters that XML has for itself', () => {
  const lines = ['\u001b[1ma <b> & "c"\u001b[0m', '', '  \u00b5s', '\u001b[31mFAIL\u001b[0m  <d>'];
  const picture = terminalPicture(lines, 'a & b', 'c < d');
  assert.deepEqual(linesOfPicture(picture), ['a <b> & "c"', '  \u00b5s', 'FAIL  <d>']);
  assert.match(picture, /<tspan class="red">FAIL<\/tspan> {2}&lt;d&gt;<\/text>/);
  assert.match(picture, /<text class="bold" /);
  assert.match(picture, /<title>a &amp; b<\/title>/);
  assert.throws(() => terminalPicture(['\u001b[1ma \u001b[31mb\u001b[0m'], '', ''), /escapes within escapes/);
});
