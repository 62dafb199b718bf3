/**
 * Where the configuration comes from, read anew each time it is asked for: the template of -basecorefile with the
 * kube-dns ConfigMap put in, else the file of -conf, else the built-in one. What the template becomes is written to
 * -conf, where node-cache has it too: for people, and as the last one that was right. The program itself works from
 * memory, so a file system that cannot be written is no obstacle. A ConfigMap that is wrong is said and counted, and
 * what was right before it is used.
 */
import path from 'node:path';
import type { Log } from '../os/log.js';
import type { Config } from './config.js';
import { ConfigError } from './error.js';
import type { Written } from './imports.js';
import { type KubeDns, kubeDnsFiles, noKubeDns, readKubeDns } from './kube-dns.js';
import { type LoadOptions, loadCorefile, parsePieces } from './load.js';
import { upstreamServersPlaceholder } from './pillars.js';
import type { ServeOptions } from './serve-options.js';
import { fromBuiltin, fromTemplate, joined, type MakeOptions } from './template-corefile.js';

export type SourceOptions = MakeOptions & Pick<ServeOptions, 'corefileGiven' | 'baseCorefileGiven'>;

export interface SourceDeps {
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

/** Gives the function that reads the configuration; it throws a ConfigError when there is none to serve by. */
export function newSource(options: SourceOptions, deps: SourceDeps): () => Config {
  const { corefilePath, baseCorefilePath: basePath, kubeDnsFolder } = options;
  const { load, log } = deps;
  const { files } = load;
  const kubeDnsPaths = Object.values(kubeDnsFiles(kubeDnsFolder));
  let lastSaid = '';
  /** The last ConfigMap that was right. */
  let lastKubeDns = noKubeDns;
  let lastMade = '';
  let hasServed = false;
  let hasHadTemplate = false;

  function byTemplate(): Config {
    hasHadTemplate = true;
    try {
      const template = { text: readTemplate(basePath, load), file: basePath };
      const { config, text } = withKubeDns(
        (kubeDns) => fromTemplate(template, kubeDns, options, load),
        [basePath, ...kubeDnsPaths],
      );
      tell(template.text, text);
      keep(text);
      return config;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      deps.wrong();
      return lastWritten(error);
    }
  }

  function withoutTemplate(): Config {
    if (hasHadTemplate || options.baseCorefileGiven) {
      const sentence = 'no such file; mount the ConfigMap of the template, or omit -basecorefile.';
      const gone = new ConfigError({ file: basePath, line: 0 }, sentence);
      deps.wrong();
      if (hasServed) throw gone;
      log.error(gone.message);
    }
    // A template that appears takes the place of both.
    if (options.corefileGiven || files.exists(corefilePath)) return loadCorefile(corefilePath, load, [basePath]);
    const { missing } = options.clusterDns;
    if (missing !== null) sayOnce('warn', `no cluster DNS, all queries use /etc/resolv.conf: ${missing}`);
    return withKubeDns((kubeDns) => fromBuiltin(kubeDns, options, load), [corefilePath, basePath, ...kubeDnsPaths])
      .config;
  }

  /** What the pieces mean with the ConfigMap as it is, or else as it last was right. */
  function withKubeDns(piecesWith: (kubeDns: KubeDns) => readonly Written[], from: readonly string[]): Made {
    const make = (kubeDns: KubeDns): Made => {
      const pieces = piecesWith(kubeDns);
      return { config: parsePieces(pieces, from, load), text: joined(pieces) };
    };
    try {
      const kubeDns = readKubeDns(kubeDnsFolder, files);
      const made = make(kubeDns);
      lastKubeDns = kubeDns;
      return made;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      // Where the rest is right without it, it is the ConfigMap that is wrong.
      const made = make(lastKubeDns);
      const instead = lastKubeDns === noKubeDns ? 'ignoring it' : 'keeping the previous one';
      deps.wrong();
      log.error(`invalid kube-dns ConfigMap, ${instead}: ${error.summary}`);
      return made;
    }
  }

  function tell(template: string, text: string): void {
    if (text === lastMade) return;
    lastMade = text;
    const { stubDomains, upstreamNameservers } = lastKubeDns;
    log.info(`Corefile written from ${basePath}`, {
      stubDomains: stubDomains.map(({ domain }) => domain),
      upstreamNameservers,
    });
    if (upstreamNameservers.length > 0 && !template.includes(upstreamServersPlaceholder)) {
      log.warn(`upstreamNameservers has no effect: ${basePath} has no ${upstreamServersPlaceholder}`);
    }
  }

  function keep(text: string): void {
    if (path.resolve(corefilePath) === path.resolve(basePath) || textOf(corefilePath, load) === text) return;
    try {
      deps.write(corefilePath, text);
    } catch (error) {
      sayOnce('info', `${corefilePath} is not writable, using the Corefile from memory: ${(error as Error).message}`);
    }
  }

  /** At start, the Corefile that was made when the template was last right, if it was kept; else there is none. */
  function lastWritten(error: ConfigError): Config {
    if (hasServed || textOf(corefilePath, load) === undefined) throw error;
    let config: Config;
    try {
      config = loadCorefile(corefilePath, load, [basePath, ...kubeDnsPaths]);
    } catch {
      throw error;
    }
    log.error(`invalid template, using ${corefilePath} as it is: ${error.summary}`);
    return config;
  }

  function sayOnce(level: 'info' | 'warn', sentence: string): void {
    if (sentence !== lastSaid) log[level](sentence);
    lastSaid = sentence;
  }

  return () => {
    const config = files.exists(basePath) ? byTemplate() : withoutTemplate();
    hasServed = true;
    return config;
  };
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
