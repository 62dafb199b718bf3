/**
 * The order in which directives have their say about a question, whatever the order in which a Corefile has them: that
 * of CoreDNS's plugin.cfg since July 2026, with `aaaa`, which is new here, before the cache. It is the one place where the
 * order is written down; who judges, changes and makes is sorted by it, and docs/REFERENCE.md shows it. `acl` judges the
 * name that was asked, too, and `rewrite` and `autopath` do their work on misses (docs/decisions/).
 */

/** Directives that see questions or their answers, in that order. */
export const pluginOrder = [
  'nsid',
  'bufsize',
  'prometheus',
  'errors',
  'log',
  'dnstap',
  'local',
  'dns64',
  'rewrite',
  'autopath',
  'acl',
  'aaaa',
  'any',
  'loadbalance',
  'cache',
  'header',
  'minimal',
  'template',
  'hosts',
  'loop',
  'forward',
  'whoami',
] as const;

type Plugin = (typeof pluginOrder)[number];

/** What a block has of some of them, in that order. */
export function inPluginOrder<Part>(parts: { readonly [Name in Plugin]?: Part | undefined }): Part[] {
  return pluginOrder.flatMap((name) => parts[name] ?? []);
}
