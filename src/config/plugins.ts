/**
 * A plugin as the Corefile knows it: a directive with its settings, and facts that follow from them. The list of plugins is
 * a parameter (plugins/registry.ts); none is known by name here.
 */
import type { BlockRule } from './advice.js';
import type { DirectiveContext } from './arguments.js';
import type { AaaaPolicy, BlockConfig, BlockTraits, Position } from './config.js';
import type { Directive } from './corefile.js';

/** The directives of one plugin in a block, at least one. */
export type WrittenDirectives = readonly [Directive, ...Directive[]];

export interface PluginReader<Settings = unknown> {
  readonly name: string;
  /** A second directive in a block is an error as in CoreDNS, or all count, or only one, with a warning. */
  readonly repeats: 'refused' | 'all' | 'first' | 'last';
  /**
   * Cached answers of a block with it are the same for every client and every time, but for their TTLs, and nobody is to
   * hear of each: so the kernel may give them (lane/). By default they are not.
   */
  readonly leavesHits?: true;
  /**
   * Which names a block with it denies, its upstream alone says, to every client: so a name below a denied one is denied
   * too (RFC 8020), whatever is asked of it but HINFO. By default it is not known to be.
   */
  leavesDenials?(settings: Settings): boolean;
  /** Reads all directives that count. Throws a ConfigError. */
  read(written: WrittenDirectives, context: DirectiveContext): Settings;
  traits?(settings: Settings, block: Pick<BlockConfig, 'aaaa' | 'zones'>): Partial<BlockTraits>;
  /** Splits off settings with the meaning of the directive `aaaa`; null: there are none. */
  splitAaaa?(settings: Settings, zones: readonly string[]): AaaaMeaning<Settings> | null;
  /** Rules between directives, after all of the block is read: warns, or throws a ConfigError. */
  check?(settings: Settings, block: BlockConfig, context: DirectiveContext): void;
  /** Rules of `zerohop check`, by code. */
  readonly advice?: Readonly<Record<string, BlockRule>>;
}

interface AaaaMeaning<Settings> {
  readonly policy: AaaaPolicy;
  readonly at: Position;
  /** The other settings; null: none. */
  readonly rest: Settings | null;
}

/** The block's settings of this plugin, if it has the directive. */
export function settingsOf<Settings>(
  { settings }: Pick<BlockConfig, 'settings'>,
  { name }: PluginReader<Settings>,
): Settings | undefined {
  return settings[name] as Settings | undefined;
}

/** The traits of all plugins of a block as one. */
export function joinTraits(all: readonly Partial<BlockTraits>[]): BlockTraits {
  return {
    answersAll: null,
    responseFlags: null,
    serverId: null,
    prefers: null,
    translation: null,
    ...Object.assign({}, ...all),
    sees: all.reduce((bits, { sees = 0 }) => bits | sees, 0),
    judges: all.some(({ judges }) => judges),
    access: all.flatMap(({ access = [] }) => access),
    asksOtherNames: all.some(({ asksOtherNames }) => asksOtherNames),
    makesAnswers: all.some(({ makesAnswers }) => makesAnswers),
    onward: all.flatMap(({ onward = [] }) => onward),
    cachedBy: Object.assign({}, ...all.map(({ cachedBy }) => cachedBy)),
  };
}
