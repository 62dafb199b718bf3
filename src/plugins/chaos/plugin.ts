/**
 * `chaos [VERSION [AUTHORS…]]`: answers TXT queries of class CH that ask which server this is, as BIND and CoreDNS do
 * (RFC 4892): version.bind. and version.server., hostname.bind. and id.server., authors.bind. with the authors given.
 */
import { fail, noBlock } from '../../config/arguments.js';
import { programVersion } from '../../config/version.js';
import { newAnswerer } from '../../counters.js';
import { askedBy } from '../../dns/query.js';
import { typeTxt } from '../../dns/wire.js';
import type { Made, MakeQuery } from '../../resolve/route.js';
import { madeAnswer, type Plugin } from '../plugin.js';

const by = newAnswerer('chaos');

const classChaos = 3;
/** As CoreDNS answers: a cache may not keep who answered. */
const chaosTtlSeconds = 0;
/** One character string of a TXT record (RFC 1035 3.3). */
const textBytesMax = 255;

interface ChaosConfig {
  readonly version: string;
  readonly authors: readonly string[];
  readonly hostName: string;
}

export const chaos: Plugin<ChaosConfig> = {
  name: 'chaos',
  repeats: 'last',
  leavesHits: true,
  leavesDenials: () => true,
  read([directive], { hostName }) {
    noBlock(directive);
    for (const { text, at } of directive.arguments) {
      if (Buffer.byteLength(text) <= textBytesMax) continue;
      fail(directive, `"${text.slice(0, 20)}…" is too long; write ${textBytesMax} bytes at most.`, at);
    }
    const [version = `zerohop-${programVersion()}`, ...authors] = directive.arguments.map(({ text }) => text);
    return { version, authors, hostName: hostName?.() ?? 'localhost' };
  },
  start: (settings) => ({ maker: (query) => answerChaos(settings, query) }),
};

function answerChaos(settings: ChaosConfig, query: MakeQuery): Made {
  const { name, type, class: questionClass } = askedBy(query.question);
  const texts = questionClass === classChaos && type === typeTxt ? textsFor(settings, name) : [];
  if (texts.length === 0) return { kind: 'next' };
  return madeAnswer(query, by, { answer: texts.map((text) => `${name} ${chaosTtlSeconds} CH TXT ${quoted(text)}`) });
}

function textsFor({ version, authors, hostName }: ChaosConfig, name: string): readonly string[] {
  switch (name) {
    case 'version.bind.':
    case 'version.server.':
      return [version];
    case 'hostname.bind.':
    case 'id.server.':
      return [hostName];
    case 'authors.bind.':
      return authors;
    default:
      return [];
  }
}

/** As a zone file writes it (RFC 1035 5.1). */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/gu, (character) => `\\${character}`)}"`;
}
