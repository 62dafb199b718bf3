/** Which zerohop this is: the version that package.json names, which is therefore written nowhere else. */
import { readFileSync } from 'node:fs';

/** The package's version, such as `1.2.3`. */
export function programVersion(): string {
  // From OUT/src/config/version.js, wherever the build was put.
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
