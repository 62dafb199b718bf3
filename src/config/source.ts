/**
 * The source of the configuration, read anew at each call: the template of -basecorefile with the kube-dns ConfigMap, else
 * the file of -conf, else the built-in one. The Corefile made from a template is written to -conf, as by node-cache: for
 * people, and as the last valid one. The program itself works from memory, so a read-only file system does no harm. An
 * invalid ConfigMap is logged and counted, and the last valid one is used.
 */
import path from 'node:path';
import type { Log } from '../os/log.js';
import { type Config, ConfigError, type Written } from './config.js';
import {
  fromBuiltin,
  fromTemplate,
  joined,
  type KubeDns,
  kubeDnsFiles,
  type MakeOptions,
  noKubeDns,
  readKubeDns,
  upstreamServersPlaceholder,
} from './generated-corefile.js';
import { type LoadOptions, loadCorefile, parsePieces, readNamed } from './load.js';
import type { ServeOptions } from './serve-options.js';

export type SourceOptions = MakeOptions & Pick<ServeOptions, 'corefileGiven' | 'baseCorefileGiven'>;

interface SourceDeps {
  readonly load: LoadOptions;
  readonly log: Log;
  /** Replaces the file atomically; throws if it cannot. */
  write(path: string, text: string): void;
  /** Counts an invalid ConfigMap; the log or the ConfigError that follows has the reason. */
  wrong(): void;
}

export class Source {
  readonly #options: SourceOptions;
  readonly #deps: SourceDeps;
  readonly #kubeDnsPaths: readonly string[];
  #lastSaid = '';
  /** The last valid ConfigMap. */
  #lastKubeDns = noKubeDns;
  #lastMade = '';
  #hasServed = false;
  #hasHadTemplate = false;

  constructor(options: SourceOptions, deps: SourceDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#kubeDnsPaths = Object.values(kubeDnsFiles(options.kubeDnsFolder));
  }

  /** Throws a ConfigError if there is no valid configuration. */
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
      const remedy = '; give -basecorefile a file that this user can read.';
      const template = { text: readNamed(basePath, this.#deps.load, remedy), file: basePath };
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

  /** The configuration of the pieces with the ConfigMap as it is, or else with the last valid one. */
  #withKubeDns(piecesWith: (kubeDns: KubeDns) => readonly Written[], from: readonly string[]) {
    const make = (kubeDns: KubeDns) => {
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
      // If the rest is valid without the present ConfigMap, that is the cause.
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
      const why = (error as Error).message;
      this.#sayOnce('info', `${corefilePath} is not writable, using the Corefile from memory: ${why}`);
    }
  }

  /** At start, the Corefile that was made of the last valid template, if it was written; otherwise throws `error`. */
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

function textOf(file: string, { files }: LoadOptions): string | undefined {
  try {
    return files.exists(file) ? files.read(file) : undefined;
  } catch {
    return undefined;
  }
}
