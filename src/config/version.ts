/** The version of this zerohop: package.json contains it, and no other file does. */
import { readFileSync } from 'node:fs';

/** `1.2.3`. */
export function programVersion(): string {
  // From OUT/src/config/version.js.
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
