/** Every file of broken/ is refused at the line, and with the words, that its first line expects. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../../src/config/error.js';
import { type LoadOptions, loadCorefile, systemFiles } from '../../src/config/load.js';
import { testOptions } from './options.js';

const folder = fileURLToPath(new URL('../../../test/config/broken', import.meta.url));
const options: LoadOptions = { ...testOptions(), files: systemFiles };
const names = readdirSync(folder).filter((name) => name.endsWith('.corefile'));

test('there are broken Corefiles to walk', () => assert.ok(names.length >= 40));

for (const name of names) {
  test(`${name.replace('.corefile', '').replaceAll('-', ' ')} is refused`, () => {
    const file = path.join(folder, name);
    const [, line, text] = /^# expect: (\d+): (.+)\n/u.exec(readFileSync(file, 'utf8')) ?? [];
    assert.ok(text, 'the first line says what to expect');
    assert.throws(
      () => loadCorefile(file, options),
      (error) => {
        assert.ok(error instanceof ConfigError, String(error));
        const place = line === '0' ? file : `${file}:${line}`;
        assert.equal(error.message.slice(0, place.length + 2 + text.length), `${place}: ${text}`);
        assert.match(error.sentence, /[.?]$/u, 'it is a sentence');
        return true;
      },
    );
  });
}
