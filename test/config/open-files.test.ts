import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { openFilesFor, tooFewOpenFiles } from '../../src/config/open-files.js';
import { openFilesPerWorker, openFilesSpare, openFilesToLoad } from '../../src/limits.js';
import { loadOptions } from '../resolve/lane-fixture.js';

const read = (corefile: string) => parseConfig(corefile, 'Corefile', loadOptions);
const many = Array.from({ length: 50 }, (_, index) => `10.0.0.${index + 1}`).join(' ');

describe('openFilesFor', () => {
  it('counts a socket for each listener and thread, once where several blocks share it, and those of HTTP', () => {
    const one = read(`. {\n bind ${many}\n forward . 192.0.2.9\n}\n`);
    assert.equal(openFilesFor(one, 4), 50 * 5 + 4 * openFilesPerWorker + openFilesSpare);
    assert.equal(openFilesFor(one, 0), 50 * 2 + openFilesSpare, 'the event loop has one socket, too');
    const block = ` bind ${many}\n prometheus :9253\n forward . 192.0.2.9\n`;
    const two = read(`. {\n${block} health\n ready\n pprof\n}\nexample.org {\n${block}}\n`);
    assert.equal(openFilesFor(two, 4), openFilesFor(one, 4) + 4);
  });

  it('is at least what reading the program takes', () => {
    assert.equal(openFilesFor(read('. {\n forward . 192.0.2.9\n}\n'), 1), openFilesToLoad);
  });
});

describe('tooFewOpenFiles', () => {
  const config = read(`. {\n bind ${many}\n forward . 192.0.2.9\n}\n`);
  const needed = openFilesFor(config, 2);

  it('is silent where there may be enough, or nobody knows', () => {
    for (const limit of [needed, Number.POSITIVE_INFINITY, null]) {
      assert.equal(tooFewOpenFiles(config, 2, limit), null);
    }
  });

  it('says how many there may be, how many it takes, and what to change', () => {
    const sentence = tooFewOpenFiles(config, 2, needed - 1);
    assert.ok(sentence?.startsWith(`open file limit ${needed - 1} is too low: this configuration needs ${needed};`));
    assert.match(sentence ?? '', /ulimit -n.*fewer -workers\.$/u);
    assert.doesNotMatch(tooFewOpenFiles(config, 1, 9) ?? '', /workers/u);
  });
});
