/** A world for configurations under test: two interfaces, three variables, files in memory. */
import path from 'node:path';
import type { Config } from '../../src/config/config.js';
import { type BuiltinOptions, builtinCorefile, builtinSource } from '../../src/config/generated-corefile.js';
import { type LoadOptions, parseConfig } from '../../src/config/load.js';
import { plugins } from '../../src/plugins/registry.js';

const interfaces = new Map([
  ['lo', ['127.0.0.1', '::1']],
  ['eth0', ['10.1.2.3', 'fe80::1%eth0']],
]);

export function testOptions(files: Readonly<Record<string, string>> = {}): LoadOptions {
  const all: Readonly<Record<string, string>> = { '/etc/resolv.conf': 'nameserver 10.0.0.2\n', ...files };
  const read = (file: string): string => {
    if (!Object.hasOwn(all, file)) throw new Error(`no such file: ${file}.`);
    return all[file];
  };
  return {
    defaultPort: 53,
    plugins,
    environment: { LOCAL: '169.254.20.10', CLUSTER_DNS: '10.96.0.10', EMPTY: '' },
    files: {
      read,
      readBytes: (file) => Buffer.from(read(file)),
      exists: (file) => Object.hasOwn(all, file),
      list: (folder) =>
        Object.keys(all)
          .filter((file) => path.dirname(file) === folder)
          .map((file) => path.basename(file)),
    },
    interfaceAddresses: (name) => interfaces.get(name),
    hostName: () => 'node-7',
  };
}

/** The configuration that `text` means in that world. */
export function configOf(text: string, files: Readonly<Record<string, string>> = {}): Config {
  return parseConfig(text, '/etc/Corefile', testOptions(files));
}

/** The block of `.` with these lines in it. */
export function blockOf(...lines: readonly string[]): Config['blocks'][number] {
  return configOf(`. {\n${lines.join('\n')}\n}\n`).blocks[0];
}

/** What the configuration `text` warns of, as `LINE: message`. */
export function warningsOf(text: string, files: Readonly<Record<string, string>> = {}): string[] {
  return configOf(text, files).warnings.map(({ at, message }) => `${at.line}: ${message}`);
}

/** What `zerohop check` prints the built-in configuration with where nothing is known. */
export const builtinExample: BuiltinOptions = {
  ...{ localAddresses: ['169.254.20.10'], port: 53, clusterDns: '10.96.0.10:53' },
};

/** The built-in configuration, understood by the same parser as every other. */
export function builtinConfig(options: BuiltinOptions, load: LoadOptions): Config {
  return parseConfig(builtinCorefile(options), builtinSource, load);
}
