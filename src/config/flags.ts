/**
 * The command line, from arguments to a command; flags are listed and read in flag-reader.ts, and their values in
 * serve-options.ts. yargs lays out the help and is loaded for that alone: it would cost every start 65 ms and 6 MB, of 300
 * and 30 promised, and cannot read Go's flags.
 */
import { nearest } from './arguments.js';
import { type CheckOutput, checkOutputs, type OutputWishes } from './check.js';
import { type Flag, flagTable, isBoolean, type ReadFlags, readFlags, UsageError } from './flag-reader.js';
import { type Environment, type ServeOptions, serveOptions } from './serve-options.js';
import { programVersion } from './version.js';

export type CliCommand =
  | { readonly kind: 'serve'; readonly options: ServeOptions }
  /** Without files: the file that flags name, else the built-in configuration. */
  | {
      readonly kind: 'check';
      readonly files: readonly string[];
      readonly options: ServeOptions;
      readonly wishes: OutputWishes;
    }
  | { readonly kind: 'demo' }
  /** Text for stdout, without the last line end; then exit 0. */
  | { readonly kind: 'help'; readonly text: Promise<string> }
  | { readonly kind: 'version'; readonly text: string }
  | { readonly kind: 'plugins' }
  /** One sentence for stderr, then exit 2. */
  | { readonly kind: 'usage'; readonly message: string };

/** Takes the arguments of the process, without those of Node. Never throws: wrong usage is a command too. */
export function parseFlags(argv: readonly string[], environment: Environment): CliCommand {
  try {
    // `npm start` runs the demo; `zerohop` without arguments serves, like node-cache.
    const { npm_lifecycle_event: npmScript } = environment;
    if (argv.length === 0 && npmScript === 'start') return { kind: 'demo' };
    return commandOf(readFlags(argv), environment);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { kind: 'usage', message: error.message };
  }
}

function commandOf(flags: ReadFlags, environment: Environment): CliCommand {
  if (flags.isSet('help')) return { kind: 'help', text: helpText() };
  if (flags.isSet('version')) return { kind: 'version', text: versionText() };
  if (flags.isSet('plugins')) return { kind: 'plugins' };
  const [word, ...rest] = flags.words;
  switch (word) {
    case undefined:
      for (const name of ['output', 'strict'] as const) {
        if (flags.given.includes(name)) throw new UsageError(`-${name} is only for "zerohop check"; remove it.`);
      }
      return { kind: 'serve', options: serveOptions(flags, environment) };
    case 'check':
      return {
        kind: 'check',
        files: rest,
        options: serveOptions(flags, environment),
        wishes: { output: readOutput(flags.text('output')), isStrict: flags.isSet('strict') },
      };
    case 'demo':
      return demo(flags, rest);
    case 'help':
      return { kind: 'help', text: helpText() };
    case 'version':
      return { kind: 'version', text: versionText() };
    default:
      throw surplusWord(flags, word);
  }
}

function readOutput(text: string): CheckOutput {
  const output = checkOutputs.find((each) => each === text);
  if (output !== undefined) return output;
  throw new UsageError(`-output "${text}" is unknown; write ${checkOutputs.join(' or ')}.`);
}

function demo({ given }: ReadFlags, rest: readonly string[]): CliCommand {
  const surplus = given.length > 0 ? `-${given[0]}` : rest[0];
  if (surplus === undefined) return { kind: 'demo' };
  throw new UsageError(`demo takes no flags or arguments; remove ${surplus}.`);
}

const commands = ['check', 'demo', 'help', 'version'];

function surplusWord({ behindBoolean }: ReadFlags, word: string): UsageError {
  const flag = behindBoolean.get(word);
  if (flag !== undefined) {
    const wanted = isBoolean(word) ? `-${flag}=${word}` : `-${flag}=true or -${flag}=false`;
    return new UsageError(`unexpected "${word}"; write ${wanted}.`);
  }
  const meant = nearest(word, commands);
  const hint = meant === undefined ? 'see zerohop --help.' : `did you mean "${meant}"?`;
  return new UsageError(`unknown command "${word}"; ${hint}`);
}

function versionText(): string {
  return `zerohop-${programVersion()}\n${process.platform}/${process.arch}, Node.js ${process.versions.node}`;
}

/** The directives in CoreDNS's layout, since scripts grep it for `dns.forward`. */
export function pluginsText(directives: readonly string[]): string {
  return ['Server types:', '  dns', '', 'Other plugins:', ...directives.map((name) => `  dns.${name}`)].join('\n');
}

const helpColumns = 100;

async function helpText(): Promise<string> {
  const { default: yargs } = await import('yargs');
  const program = yargs([])
    .scriptName('zerohop')
    .locale('en')
    .usage('A DNS cache for every node of a Kubernetes cluster, with the command line of node-cache.\n\nUsage:')
    .usage('  zerohop [flags]                  serve')
    .usage('  zerohop check [FILE...] [flags]  report errors in Corefiles (-: stdin; no file: the built-in one)')
    .usage('  zerohop demo                     serve a stand-in cluster on 127.0.0.1 and send it a few queries')
    .usage('  zerohop help | version           same as --help, --version')
    .epilogue(
      'Flags: one dash or two, -name value or -name=value; booleans take a value only after =, as in -setupiptables=false. ' +
        'Durations: 60s, 500ms, 1h30m. Exit status: 0 after a clean stop, 1 if the start failed, ' +
        '2 if the command line or the configuration is invalid.',
    )
    .help(false)
    .version(false)
    .wrap(helpColumns);
  for (const [name, flag] of Object.entries<Flag>(flagTable)) {
    program.option(name, {
      alias: flag.aliases,
      group: flag.group,
      describe: flag.about,
      type: flag.kind === 'text' ? 'string' : 'boolean',
      defaultDescription: flag.byDefault === '' ? 'empty' : flag.byDefault,
    });
  }
  return program.getHelp();
}
