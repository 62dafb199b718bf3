/**
 * Scripts that complete command lines in bash, zsh and fish, made from the lists of commands and flags. They follow the
 * grammar of flag-reader.ts: one dash or two, a value behind a blank or `=`, the value of a boolean only behind `=`, and the
 * command anywhere between flags.
 */
import { type CommandSpec, commands, operandChoices, type Shell } from './commands.js';
import { choicesIn, type FlagName, flagOf, flagTable } from './flag-reader.js';

/** Without the last line end. */
export function completionScript(shell: Shell): string {
  const note = `# Completion of zerohop in ${shell}, made by "zerohop completion ${shell}".`;
  switch (shell) {
    case 'bash':
      return `${note}\n${bashScript()}`;
    case 'zsh':
      return `#compdef zerohop\n${note}\n${zshScript()}`;
    case 'fish':
      return `${note}\n${fishScript()}`;
  }
}

/** What a word is completed from; an empty list for a value that nobody can guess. */
type Completed = 'files' | 'directories' | readonly string[];

interface CompletedFlag {
  /** Its name and aliases, without dash. */
  readonly words: readonly string[];
  readonly isBoolean: boolean;
  readonly about: string;
  readonly values: Completed;
}

function completedFlag(name: FlagName): CompletedFlag {
  const { aliases, kind, value, about } = flagOf(name);
  const places: Readonly<Record<string, Completed>> = { FILE: 'files', DIRECTORY: 'directories' };
  return { words: [name, ...aliases], isBoolean: kind === 'boolean', about, values: places[value] ?? choicesIn(value) };
}

const allFlags = (Object.keys(flagTable) as FlagName[]).map(completedFlag);

interface CompletedCommand {
  readonly name: string;
  readonly about: string;
  readonly flags: readonly CompletedFlag[];
  readonly operands: Completed;
}

function completedCommand(command: CommandSpec): CompletedCommand {
  const { name, about, flags, operands } = command;
  const words = name === '' ? commandWords : operandChoices(command);
  return { name, about, flags: flags.map(completedFlag), operands: operands === '[FILE...]' ? 'files' : words };
}

const commandWords = commands.map(({ name }) => name).filter((name) => name !== '');
const allCommands = commands.map(completedCommand);

/** `-conf | -corefile`: a pattern of `case`. */
function casePattern(flags: readonly CompletedFlag[]): string {
  return flags.flatMap(({ words }) => words.map((word) => `-${word}`)).join(' | ');
}

/** Both dialects find the command in the same way: the first word that is neither a flag nor the value of one. */
function findCommand(word: string, next: string): string {
  const texts = casePattern(allFlags.filter(({ isBoolean }) => !isBoolean));
  return `    case "${word}" in
      ${texts}) ${next} ;;
      ${commandWords.join(' | ')}) command="${word}" && break ;;
    esac`;
}

function bashScript(): string {
  const complete = (values: Completed): string => {
    if (values === 'files') return '_zerohop_paths -f';
    return values === 'directories' ? '_zerohop_paths -d' : `_zerohop_words "${values.join(' ')}"`;
  };
  const values = allFlags.map((flag) => {
    const only = flag.isBoolean ? '[[ -z $equals ]] || { ' : '';
    return `    ${casePattern([flag])}) ${only}${complete(flag.values)}; return${only === '' ? '' : '; }'} ;;`;
  });
  const ofCommands = allCommands.map(({ name, flags, operands }) => {
    const words = flags.flatMap((flag) => flag.words.map((word) => `-${word}`)).join(' ');
    return `    '${name}') flags="${words}"; [[ $word == -* ]] || { ${complete(operands)}; return; } ;;`;
  });
  return `_zerohop_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word")
}

_zerohop_paths() {
  mapfile -t COMPREPLY < <(compgen "$1" -- "$word")
  compopt -o filenames 2>/dev/null
}

_zerohop() {
  local word="\${COMP_WORDS[COMP_CWORD]}" flag="\${COMP_WORDS[COMP_CWORD - 1]}" equals='' command='' flags='' at seen
  COMPREPLY=()
  # Bash makes a word of its own of each =.
  if [[ $word == = ]]; then
    equals=yes word=''
  elif [[ $flag == = ]]; then
    equals=yes flag="\${COMP_WORDS[COMP_CWORD - 2]}"
  fi
  for ((at = 1; at < COMP_CWORD; at++)); do
    seen="\${COMP_WORDS[at]}"
    [[ \${COMP_WORDS[at + 1]} != = ]] || { ((at += 2)); continue; }
    [[ $seen != --* ]] || seen="\${seen#-}"
${findCommand('$seen', '((at++))')}
  done
  [[ $flag != --* ]] || flag="\${flag#-}"
  case "$flag" in
${values.join('\n')}
  esac
  case "$command" in
${ofCommands.join('\n')}
  esac
  [[ $word != --* ]] || flags="-\${flags// -/ --}"
  _zerohop_words "$flags"
}

complete -F _zerohop zerohop`;
}

/** In single quotes, for bash, zsh and fish. */
function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`;
}

function zshScript(): string {
  const complete = (values: Completed): string => {
    if (values === 'files') return '_files';
    if (values === 'directories') return '_files -/';
    return values.length === 0 ? ':' : `compadd -- ${values.join(' ')}`;
  };
  const values = allFlags.map((flag) => {
    const only = flag.isBoolean ? '[[ -z $equals ]] || { ' : '';
    return `    (${casePattern([flag])}) ${only}${complete(flag.values)}; return${only === '' ? '' : '; }'} ;;`;
  });
  const described = (word: string, about: string): string => shellQuoted(`${word.replaceAll(':', '\\:')}:${about}`);
  const ofCommands = allCommands.map(({ name, flags, operands }) => {
    const words = flags.flatMap(({ words, about }) => words.map((word) => described(`-${word}`, about)));
    const operand = name === '' ? '_describe command commands' : complete(operands);
    return `    ('${name}')
      [[ $word == -* ]] || { ${operand}; return; }
      flags=(\n${words.map((word) => `        ${word}`).join('\n')}\n      ) ;;`;
  });
  const listed = allCommands.filter(({ name }) => name !== '').map(({ name, about }) => described(name, about));
  return `_zerohop() {
  local word="$words[CURRENT]" flag="$words[CURRENT-1]" equals='' command='' at seen
  local -a flags commands
  commands=(\n${listed.map((one) => `    ${one}`).join('\n')}\n  )
  if [[ $word == -*=* ]]; then
    equals=yes flag="\${word%%=*}"
    compset -P '*='
  fi
  for ((at = 2; at < CURRENT; at++)); do
    seen="$words[at]"
    [[ $seen != --* ]] || seen="\${seen#-}"
${findCommand('$seen', '((at++))')}
  done
  [[ $flag != --* ]] || flag="\${flag#-}"
  case "$flag" in
${values.join('\n')}
  esac
  case "$command" in
${ofCommands.join('\n')}
  esac
  [[ $word != --* ]] || flags=(-$^flags)
  _describe -o flag flags
}

if [[ $funcstack[1] == _zerohop ]]; then
  _zerohop "$@"
else
  compdef _zerohop zerohop
fi`;
}

function fishScript(): string {
  const argumentsOf = (values: Completed): string => {
    if (values === 'files') return '-r -F';
    if (values === 'directories') return `-x -a '(__fish_complete_directories)'`;
    return values.length === 0 ? '-x' : `-x -a '${values.join(' ')}'`;
  };
  const spelled = (word: string): string => (word.length === 1 ? `-s ${word}` : `-o ${word} -l ${word}`);
  const lines = allCommands.flatMap(({ name, flags, operands }) => {
    const isHere = name === '' ? '__zerohop_has_no_command' : `__fish_seen_subcommand_from ${name}`;
    const line = (rest: string): string => `complete -c zerohop -n '${isHere}' ${rest}`;
    const ofFlags = flags.map(({ words, isBoolean, about, values }) =>
      line(`${words.map(spelled).join(' ')} ${isBoolean ? '' : `${argumentsOf(values)} `}-d ${shellQuoted(about)}`),
    );
    if (operands === 'files') return [line('-F'), ...ofFlags];
    const listed = allCommands.filter((one) => one.name !== '');
    const ofWords =
      name === ''
        ? listed.map((one) => line(`-a ${one.name} -d ${shellQuoted(one.about)}`))
        : operands.length === 0
          ? []
          : [line(`-a '${[...operands].join(' ')}'`)];
    return [...ofWords, ...ofFlags];
  });
  return `function __zerohop_has_no_command
  not __fish_seen_subcommand_from ${commandWords.join(' ')}
end

complete -c zerohop -f
${lines.join('\n')}`;
}
