/** `autopath [ZONE...] RESOLV-CONF`: walks search paths on the server, by the list in a file read with the Corefile. */

import { type DirectiveContext, fail, noBlock, warn, warnOfForeignZones, words } from '../../config/arguments.js';
import type { Directive } from '../../config/corefile.js';
import type { Token } from '../../config/lexer.js';
import { parseSearchPath } from '../../config/resolv-conf.js';
import { readName, readZones } from '../../config/zones.js';
import { searchDomainsMax } from '../../limits.js';
import { counter, labelText, sumsOf } from '../../observe/exposition.js';
import type { Plugin } from '../plugin.js';
import { type Autopath, type AutopathConfig, newAutopath } from './walk.js';

export const autopath: Plugin<AutopathConfig, Autopath> = {
  name: 'autopath',
  repeats: 'last',
  read: ([directive], context) => readAutopath(directive, context),
  traits: (settings) => ({ asksOtherNames: true, cachedBy: { autopath: settings } }),
  start: newAutopath,
  metrics: [
    counter('coredns_autopath_success_total', 'Counter of requests that did autopath.', ({ atWork, serverOf }) => {
      const counts = atWork.flatMap(({ atWork: { found } }) =>
        [...found].map(([ordinal, count]) => ({ server: serverOf(ordinal), count })),
      );
      return sumsOf(counts, ({ server }) => labelText({ server }));
    }),
  ],
};

function readAutopath(directive: Directive, context: DirectiveContext): AutopathConfig {
  noBlock(directive);
  const all = words(directive, 1, Number.POSITIVE_INFINITY, '[ZONE…] and a file like resolv.conf');
  const file = all[all.length - 1];
  const zones = all.slice(0, -1).flatMap((token) => readZones(token, directive.path));
  warnOfForeignZones(context, directive, zones);
  if (file.text.startsWith('@')) {
    fail(
      directive,
      `"${file.text}" needs the list of all pods, which zerohop does not have; name a file with ` +
        'one line such as "search default.svc.cluster.local svc.cluster.local cluster.local".',
      file.at,
    );
  }
  const search = parseSearchPath(fileText(directive, file, context)).map((domain) =>
    readName(domain, file.at, directive.path),
  );
  if (search.length === 0)
    warn(context, directive, `${file.text} has no line "search DOMAIN…", so autopath has no effect.`);
  if (search.length > searchDomainsMax) {
    fail(directive, `${file.text} has more than ${searchDomainsMax} search domains; each may cost a query.`, file.at);
  }
  return { at: directive.at, zones: zones.length === 0 ? context.zones : zones, file: file.text, search };
}

function fileText(directive: Directive, { text, at }: Token, { files }: DirectiveContext): string {
  try {
    return files.read(text);
  } catch (error) {
    const why = (error as Error).message.replace(/\.$/u, '');
    return fail(directive, `${text} cannot be read (${why}); name a file with a line "search DOMAIN…".`, at);
  }
}
