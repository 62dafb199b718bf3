/**
 * Where the configuration comes from, read anew each time it is asked for: the template of -basecorefile with the
 * kube-dns ConfigMap put in, else the file of -conf, else the built-in one. What the template becomes is written to
 * -conf, where node-cache has it too: for people, and as the last one that was right. The program itself works from
 * memory, so a file system that cannot be written is no obstacle. A ConfigMap that is wrong is said and counted, and
 * what was right before it is used.
 */
import path from 'node:path';
import type { Log } from '../os/log.js';
import { type Config, ConfigError } from './config.js';
import {
  fromBuiltin,
  fromTemplate,
  joined,
  type MakeOptions,
  upstreamServersPlaceholder,
} from './generated-corefile.js';
import type { Written } from './imports.js';
import { type KubeDns, kubeDnsFiles, noKubeDns, readKubeDns } from './kube-dns.js';
import { type LoadOptions, loadCorefile, parsePieces } from './load.js';
import type { ServeOptions } from './serve-options.js';

export type SourceOptions = MakeOptions & Pick<ServeOptions, 'corefileGiven' | 'baseCorefileGiven'>;

interface SourceDeps {
  readonly load: LoadOptions;
  readonly log: Log;
  /** Puts the text at this path, whole or not at all; throws when it cannot. */
  write(path: string, text: string): void;
  /** A ConfigMap is wrong; the log says how, or the ConfigError that follows. */
  wrong(): void;
}

interface Made {
  readonly config: Config;
  readonly text: string;
}

/** Reads the configuration, and knows what was said of it and which ConfigMap was right last. */
export class Source {
  readonly #options: SourceOptions;
  readonly #deps: SourceDeps;
  readonly #kubeDnsPaths: readonly string[];
  #lastSaid = '';
  /** The last ConfigMap that was right. */
  #lastKubeDns = noKubeDns;
  #lastMade = '';
  #hasServed = false;
  #hasHadTemplate = false;

  constructor(options: SourceOptions, deps: SourceDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#kubeDnsPaths = Object.values(kubeDnsFiles(options.kubeDnsFolder));
  }

  /** The configuration as it is written now. Throws a ConfigError when there is none to serve by. */
  read(): Config {
    const { baseCorefilePath } = this.#options;
    const config = this.#deps.load.files.exists(baseCorefilePath) ? this.#byTemplate() : this.#withoutTemplate();
    this.#hasServed = true;
    return config;
  }

  #byTemplate(): Config {
    const { baseCorefilePath: basePath } = this.#options;
    this.#hasHadTemplate = true;
    try {
      const template = { text: readTemplate(basePath, this.#deps.load), file: basePath };
      const { config, text } = this.#withKubeDns(
        (kubeDns) => fromTemplate(template, kubeDns, this.#options, this.#deps.load),
        [basePath, ...this.#kubeDnsPaths],
      );
      this.#tell(template.text, text);
      this.#keep(text);
      return config;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#deps.wrong();
      return this.#lastWritten(error);
    }
  }

  #withoutTemplate(): Config {
    const { load, log } = this.#deps;
    const { corefilePath, baseCorefilePath: basePath, clusterDns } = this.#options;
    if (this.#hasHadTemplate || this.#options.baseCorefileGiven) {
      const sentence = 'no such file; mount the ConfigMap of the template, or omit -basecorefile.';
      const gone = new ConfigError({ file: basePath, line: 0 }, sentence);
      this.#deps.wrong();
      if (this.#hasServed) throw gone;
      log.error(gone.message);
    }
    // A template that appears takes the place of both.
    if (this.#options.corefileGiven || load.files.exists(corefilePath))
      return loadCorefile(corefilePath, load, [basePath]);
    const { missing } = clusterDns;
    if (missing !== null) this.#sayOnce('warn', `no cluster DNS, all queries use /etc/resolv.conf: ${missing}`);
    return this.#withKubeDns(
      (kubeDns) => fromBuiltin(kubeDns, this.#options, load),
      [corefilePath, basePath, ...this.#kubeDnsPaths],
    ).config;
  }

  /** What the pieces mean with the ConfigMap as it is, or else as it last was right. */
  #withKubeDns(piecesWith: (kubeDns: KubeDns) => readonly Written[], from: readonly string[]): Made {
    const make = (kubeDns: KubeDns): Made => {
      const pieces = piecesWith(kubeDns);
      return { config: parsePieces(pieces, from, this.#deps.load), text: joined(pieces) };
    };
    try {
      const kubeDns = readKubeDns(this.#options.kubeDnsFolder, this.#deps.load.files);
      const made = make(kubeDns);
      this.#lastKubeDns = kubeDns;
      return made;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      // Where the rest is right without it, it is the ConfigMap that is wrong.
      const made = make(this.#lastKubeDns);
      const instead = this.#lastKubeDns === noKubeDns ? 'ignoring it' : 'keeping the previous one';
      this.#deps.wrong();
      this.#deps.log.error(`invalid kube-dns ConfigMap, ${instead}: ${error.summary}`);
      return made;
    }
  }

  #tell(template: string, text: string): void {
    const { baseCorefilePath: basePath } = this.#options;
    if (text === this.#lastMade) return;
    this.#lastMade = text;
    const { stubDomains, upstreamNameservers } = this.#lastKubeDns;
    this.#deps.log.info(`Corefile written from ${basePath}`, {
      stubDomains: stubDomains.map(({ domain }) => domain),
      upstreamNameservers,
    });
    if (upstreamNameservers.length > 0 && !template.includes(upstreamServersPlaceholder)) {
      this.#deps.log.warn(`upstreamNameservers has no effect: ${basePath} has no ${upstreamServersPlaceholder}`);
    }
  }

  #keep(text: string): void {
    const { corefilePath, baseCorefilePath: basePath } = this.#options;
    if (path.resolve(corefilePath) === path.resolve(basePath) || textOf(corefilePath, this.#deps.load) === text) return;
    try {
      this.#deps.write(corefilePath, text);
    } catch (error) {
      this.#sayOnce(
        'info',
        `${corefilePath} is not writable, using the Corefile from memory: ${(error as Error).message}`,
      );
    }
  }

  /** At start, the Corefile that was made when the template was last right, if it was kept; else there is none. */
  #lastWritten(error: ConfigError): Config {
    const { corefilePath, baseCorefilePath: basePath } = this.#options;
    if (this.#hasServed || textOf(corefilePath, this.#deps.load) === undefined) throw error;
    let config: Config;
    try {
      config = loadCorefile(corefilePath, this.#deps.load, [basePath, ...this.#kubeDnsPaths]);
    } catch {
      throw error;
    }
    this.#deps.log.error(`invalid template, using ${corefilePath} as it is: ${error.summary}`);
    return config;
  }

  #sayOnce(level: 'info' | 'warn', sentence: string): void {
    if (sentence !== this.#lastSaid) this.#deps.log[level](sentence);
    this.#lastSaid = sentence;
  }
}

function readTemplate(file: string, { files }: LoadOptions): string {
  try {
    return files.read(file);
  } catch (error) {
    const why = (error as Error).message.replace(/\.$/u, '');
    const sentence = `${why}; give -basecorefile a file that this user can read.`;
    throw new ConfigError({ file, line: 0 }, sentence);
  }
}

function textOf(file: string, { files }: LoadOptions): string | undefined {
  try {
    return files.exists(file) ? files.read(file) : undefined;
  } catch {
    return undefined;
  }
}
