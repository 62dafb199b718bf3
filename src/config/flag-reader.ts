/**
 * The grammar of a command line as Go's flag package has it, because the command lines that people have were written
 * for that: one dash or two, `-name value` or `-name=value`, booleans without a value or with one after `=`, the last
 * of repeated flags counts, `--` ends the flags. Words that are no flags may stand anywhere.
 */
import { type Flag, type FlagName, flagTable } from './flag-table.js';
import { nearest } from './nearest.js';

/** Wrong usage; the message is one sentence, on one line, that says what to change. */
export class UsageError extends Error {
  constructor(message: string) {
    // It quotes what was written, which may hold line ends and terminal escapes.
    super(message.replace(/\p{Cc}/gu, '?'));
  }
}

export interface ReadFlags {
  /** The text of every flag, given or by default. */
  text(name: FlagName): string;
  isSet(name: FlagName): boolean;
  /** Flags that were written, in that order, without repetitions. */
  readonly given: readonly FlagName[];
  /** What is no flag: the command and its files. */
  readonly words: readonly string[];
  /** Words right behind a boolean that was written without a value, and that boolean: perhaps meant as its value. */
  readonly behindBoolean: ReadonlyMap<string, FlagName>;
}

/** Reads the arguments of a process, without those of Node. Throws a UsageError. */
export function readFlags(argv: readonly string[]): ReadFlags {
  const values = new Map<FlagName, string>();
  const words: string[] = [];
  const behindBoolean = new Map<string, FlagName>();
  let at = 0;
  while (at < argv.length) {
    const argument = argv[at++];
    if (argument === '--') {
      words.push(...argv.slice(at));
      break;
    }
    if (!isFlag(argument)) {
      words.push(argument);
      continue;
    }
    const { name, value } = splitFlag(argument);
    if (flagOf(name).kind === 'boolean') {
      values.set(name, booleanText(name, value ?? 'true'));
      if (value === undefined && at < argv.length) behindBoolean.set(argv[at], name);
    } else if (value !== undefined) {
      values.set(name, value);
    } else {
      values.set(name, nextValue(name, argv[at++]));
    }
  }
  const text = (name: FlagName): string => values.get(name) ?? flagOf(name).byDefault;
  return { text, isSet: (name) => text(name) === 'true', given: [...values.keys()], words, behindBoolean };
}

const flagNames = Object.keys(flagTable) as FlagName[];
const namesByAlias = new Map<string, FlagName>(
  flagNames.flatMap((name) => [name, ...flagOf(name).aliases].map((alias) => [alias, name])),
);

function flagOf(name: FlagName): Flag {
  return flagTable[name];
}

/** A lone dash is a word, as in Go. */
function isFlag(argument: string): boolean {
  return argument.startsWith('-') && argument.length > 1;
}

function splitFlag(argument: string): { name: FlagName; value: string | undefined } {
  const [, dashes, written, value] = /^(--?)([^=]*)(?:=(.*))?$/su.exec(argument) ?? [];
  const name = namesByAlias.get(written);
  if (name === undefined) throw unknownFlag(dashes, written);
  return { name, value };
}

function unknownFlag(dashes: string, written: string): UsageError {
  const word = written.replace(/^no-/u, '');
  const meant = nearest(word, namesByAlias.keys()) ?? beginningLike(word);
  const hint = meant === undefined ? 'see zerohop --help.' : `did you mean ${dashes}${meant}?`;
  return new UsageError(`unknown flag ${dashes}${written}; ${hint}`);
}

/** `conf` for `config`, `metrics-listen-address` for `metrics`. */
function beginningLike(word: string): FlagName | undefined {
  if (word.length < 3) return undefined;
  return flagNames.find((name) => name.startsWith(word) || word.startsWith(name));
}

/** What Go's strconv.ParseBool takes. */
const trueTexts = /^(?:1|t|T|TRUE|true|True)$/u;
const falseTexts = /^(?:0|f|F|FALSE|false|False)$/u;

/** Whether a flag would take this word as its value. */
export function isBoolean(value: string): boolean {
  return trueTexts.test(value) || falseTexts.test(value);
}

function booleanText(name: FlagName, value: string): 'true' | 'false' {
  if (trueTexts.test(value)) return 'true';
  if (falseTexts.test(value)) return 'false';
  throw new UsageError(`-${name}=${value} is neither true nor false; write -${name}=true or -${name}=false.`);
}

/** A known flag where a value should be is a value that was forgotten: none of ours begins with a dash. */
function nextValue(name: FlagName, next: string | undefined): string {
  const written = next === undefined ? undefined : /^--?([^=]+)/u.exec(next)?.[1];
  if (next !== undefined && !(written !== undefined && namesByAlias.has(written))) return next;
  throw new UsageError(`-${name} needs a value; write -${name}=VALUE.`);
}
