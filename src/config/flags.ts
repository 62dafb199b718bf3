/**
 * The command line, from arguments to a command. Flags are listed and read in flag-reader.ts, their values in
 * serve-options.ts, commands in commands.ts; help, completion and the man page are made from those lists.
 */
import { listed, nearest } from './arguments.js';
import {
  type CliCommand,
  type CommandSpec,
  calledName,
  commandNamed,
  commands,
  freeOperands,
  type Machine,
  operandChoices,
  takes,
  usageOf,
  versionText,
} from './commands.js';
import { type Environment, type FlagName, isBoolean, type ReadFlags, readFlags, UsageError } from './flag-reader.js';

/**
 * Takes the arguments of the process, without those of Node; `addressesBeside` gives the addresses of this machine's
 * interfaces but the named ones. Never throws: wrong usage is a command too.
 */
export function parseFlags(
  argv: readonly string[],
  environment: Environment,
  addressesBeside: Machine['addressesBeside'] = () => [],
): CliCommand {
  try {
    // `npm start` runs the demo; `zerohop` without arguments serves, like node-cache.
    const { npm_lifecycle_event: npmScript } = environment;
    if (argv.length === 0 && npmScript === 'start') return { kind: 'demo' };
    return commandOf(readFlags(argv), { environment, addressesBeside });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { kind: 'usage', message: error.message };
  }
}

function commandOf(flags: ReadFlags, machine: Machine): CliCommand {
  const [word = '', ...words] = flags.words;
  const command = commandNamed(word);
  if (flags.isSet('help')) return { kind: 'help', command: command ?? commands[0] };
  if (flags.isSet('version')) return { kind: 'version', text: versionText() };
  if (flags.isSet('plugins')) return { kind: 'plugins' };
  if (command === undefined || (word === '' && flags.words.length > 0)) throw unknownCommand(flags, word);
  for (const name of flags.given) if (!takes(command, name)) throw strangeFlag(name);
  refuseOperands(command, words);
  return command.read({ flags, words, machine });
}

function unknownCommand({ behindBoolean }: ReadFlags, word: string): UsageError {
  const flag = behindBoolean.get(word);
  if (flag !== undefined) {
    const wanted = isBoolean(word) ? `-${flag}=${word}` : `-${flag}=true or -${flag}=false`;
    return new UsageError(`unexpected "${word}"; write ${wanted}.`);
  }
  const names = commands.map(({ name }) => name).filter((name) => name !== '');
  const meant = nearest(word, names);
  const hint = meant === undefined ? 'see zerohop --help.' : `did you mean "${meant}"?`;
  return new UsageError(`unknown command "${word}"; ${hint}`);
}

function strangeFlag(name: FlagName): UsageError {
  const takers = commands.filter((command) => takes(command, name)).map((command) => `"${calledName(command)}"`);
  const last = takers.pop();
  const all = takers.length === 0 ? last : `${takers.join(', ')} and ${last}`;
  return new UsageError(`-${name} is only for ${all}; remove it.`);
}

function refuseOperands(command: CommandSpec, words: readonly string[]): void {
  if (command.operands === '[FILE...]') return;
  const choices = operandChoices(command);
  const free = freeOperands(command);
  const [word] = words;
  const most = choices.length === 0 ? free.most : 1;
  const surplus = words[most];
  if (surplus !== undefined) {
    const allowed = ['no arguments', 'one argument', 'two arguments'][most];
    throw new UsageError(`"${calledName(command)}" takes ${allowed}; remove ${surplus}.`);
  }
  if (words.length < free.least) {
    throw new UsageError(`"${calledName(command)}" needs one more word; write ${usageOf(command)}.`);
  }
  if (choices.length === 0) return;
  const isOptional = command.operands.startsWith('[');
  if (word === undefined ? isOptional : choices.includes(word)) return;
  const wrong = word === undefined ? 'needs one more word' : `does not know "${word}"`;
  throw new UsageError(`"${calledName(command)}" ${wrong}; write ${listed(choices)}.`);
}

/** The directives in CoreDNS's layout, since scripts grep it for `dns.forward`. */
export function pluginsText(directives: readonly string[]): string {
  return ['Server types:', '  dns', '', 'Other plugins:', ...directives.map((name) => `  dns.${name}`)].join('\n');
}
