/**
 * `zerohop explain`: the queries that a pod sends for a name along its search path, in glibc's order, and what each costs,
 * as a value and as text. Nothing is asked: where the cache does not know whether a name exists, the walk goes on as if it
 * did not, and says so.
 */
import { endsInDot, rcodeName } from '../dns/names.js';
import { rcodeNoError, rcodeNxDomain, typeA, typeAaaa } from '../dns/wire.js';
import { ControlError, type ControlRequest } from './protocol.js';
import {
  blockItem,
  type KnownOfName,
  type Outlook,
  prospectOf,
  type Serving,
  upstreamsFor,
  wireQuestion,
} from './serving.js';
import { type Color, colored, columnsOf, printable, quantity, type TextStyle, wrappedText } from './text.js';

interface ExplainArguments {
  /** Ends in a dot only if the pod writes one. */
  readonly name: string;
  readonly search: readonly string[];
  readonly ndots: number;
}

/** Throws a ControlError for anything else. */
export function readExplain({ name, search, ndots }: ControlRequest['arguments']): ExplainArguments {
  const isWalk = typeof name === 'string' && Array.isArray(search) && Number.isSafeInteger(ndots);
  if (!isWalk || !search.every((domain) => typeof domain === 'string')) {
    throw new ControlError('usage', 'explain needs a name, search domains and ndots.');
  }
  return { name: name.toLowerCase(), search: search.map((domain) => domain.toLowerCase()), ndots: ndots as number };
}

interface StepQuestionItem {
  readonly type: 'A' | 'AAAA';
  readonly outlook: Outlook;
  readonly known: KnownOfName;
  /** Of what is known: `NOERROR`, `NXDOMAIN`; null: it is not. */
  readonly rcode: string | null;
  /** Left of the cached answer; null: there is none. */
  readonly ttlSeconds: number | null;
}

/** A and AAAA of one name, which glibc asks for at once. */
interface StepItem {
  readonly name: string;
  /** Whether the pod comes to it: `yes`; `maybe`, if a name before it, which nobody knows here, does not exist; `no`. */
  readonly isReached: 'yes' | 'maybe' | 'no';
  /** `Corefile:3`; null: no server block has it. */
  readonly block: string | null;
  /** The block walks the search path for the pod. */
  readonly isWalkedHere: boolean;
  /** Addresses, where it goes upstream. */
  readonly upstreams: readonly string[];
  readonly questions: readonly StepQuestionItem[];
}

/** What the whole walk takes; `least` if the first unknown name exists, `most` if none does. */
interface WalkCost {
  /** Of the pod. */
  readonly queries: Span;
  readonly upstreamQueries: Span;
  /** One after the other: between pod and cache, and between cache and upstream. */
  readonly roundTrips: Span;
  readonly upstreamRoundTrips: Span;
}

interface Span {
  readonly least: number;
  readonly most: number;
}

export interface ExplainItem {
  readonly name: string;
  readonly search: readonly string[];
  readonly ndots: number;
  /** The listeners where a pod asks so; none: nothing is served. */
  readonly servers: readonly string[];
  readonly steps: readonly StepItem[];
  readonly cost: WalkCost;
  /** The name that is found; null: none, or nobody knows yet. */
  readonly found: string | null;
  readonly advice: readonly string[];
}

/** The walk at each listener, those that are the same as one; a single one in the configurations that are shipped. */
export function explainItems(serving: Serving, wanted: ExplainArguments): ExplainItem[] {
  const { listeners } = serving;
  if (listeners.length === 0) return [explainItem(serving, undefined, wanted)];
  const walks = new Map<string, ExplainItem>();
  for (const listener of listeners) {
    const item = explainItem(serving, listener, wanted);
    const key = JSON.stringify(item.steps);
    const servers = [...(walks.get(key)?.servers ?? []), listener.server];
    walks.set(key, { ...item, servers });
  }
  return [...walks.values()];
}

function explainItem(
  serving: Serving,
  listener: Serving['listeners'][number] | undefined,
  wanted: ExplainArguments,
): ExplainItem {
  const { name, search, ndots } = wanted;
  const steps: StepItem[] = [];
  let reached: StepItem['isReached'] = 'yes';
  let found: string | null = null;
  for (const candidate of listener === undefined ? [] : searchedNames(wanted)) {
    const step = stepItem(serving, listener!.table, candidate, reached);
    if (step === null) continue;
    steps.push(step);
    const fate = fateOf(step);
    if (fate === 'exists' && reached === 'yes') found = step.name;
    if (fate === 'exists') reached = 'no';
    else if (fate === 'unknown' && reached === 'yes') reached = 'maybe';
  }
  const cost = costOf(steps);
  const advice = walkAdvice(wanted, { steps, found, cost });
  return { name, search, ndots, servers: listener === undefined ? [] : [listener.server], steps, cost, found, advice };
}

/** A name that does not exist has no records of any type; a policy's NXDOMAIN for AAAA says nothing of the name. */
function fateOf({ questions }: StepItem): 'exists' | 'missing' | 'unknown' {
  if (questions.some(({ known }) => known === 'exists')) return 'exists';
  if (questions.some(({ known, outlook }) => known === 'no name' && outlook !== 'policy')) return 'missing';
  return questions.some(({ known }) => known === 'unknown') ? 'unknown' : 'missing';
}

/**
 * The names in the order of glibc's res_search: as it is first if it has `ndots` dots or ends in one, else last; each
 * search domain in between. All end in a dot.
 */
export function searchedNames({ name, search, ndots }: ExplainArguments): string[] {
  if (endsInDot(name)) return [name];
  const own = `${name}.`;
  const searched = search.map((domain) => (domain === '.' ? own : `${own}${domain}`));
  const dots = (name.match(/(?<!\\)(?:\\\\)*\./gu) ?? []).length;
  return [...new Set(dots >= ndots ? [own, ...searched] : [...searched, own])];
}

/** Null for what is too long for a name, which glibc skips. */
function stepItem(
  serving: Serving,
  table: Serving['listeners'][number]['table'],
  name: string,
  isReached: StepItem['isReached'],
): StepItem | null {
  const wires = [typeA, typeAaaa].map((type) => wireQuestion(name, type));
  if (wires[0] === null || wires[1] === null) return null;
  const prospects = (wires as Uint8Array[]).map((question) => prospectOf(serving, table, question, 0));
  const zone = prospects[0].zone;
  const block = zone === null ? null : serving.blocks[zone.block];
  const isUpstream = prospects.some(({ outlook }) => outlook === 'upstream' || outlook === 'stale');
  return {
    name,
    isReached,
    block: block === null ? null : blockItem(block.config).at,
    isWalkedHere: block?.config.directives.includes('autopath') ?? false,
    upstreams: block === null || !isUpstream ? [] : upstreamsFor(block, wires[0]).map(({ address }) => address),
    questions: prospects.map(({ outlook, known, entry }, at) => ({
      type: at === 0 ? 'A' : 'AAAA',
      outlook,
      known,
      rcode: prospectRcode(serving, outlook, known, entry),
      ttlSeconds:
        entry === 0 ? null : Math.max(0, Math.ceil((serving.cached.expiresAtMs(entry) - serving.nowMs) / 1_000)),
    })),
  };
}

function prospectRcode({ cached }: Serving, outlook: Outlook, known: KnownOfName, entry: number): string | null {
  if (outlook === 'refused') return 'REFUSED';
  if (outlook === 'policy') return rcodeName(known === 'no name' ? rcodeNxDomain : rcodeNoError);
  const isGiven = outlook === 'cache' || outlook === 'stale' || outlook === 'cut';
  return isGiven ? rcodeName(cached.rcode(entry)) : null;
}

function costOf(steps: readonly StepItem[]): WalkCost {
  const [least, most] = [['yes'], ['yes', 'maybe']].map((reached) =>
    sumOf(steps.filter(({ isReached }) => reached.includes(isReached))),
  );
  const span = (of: (sum: ReturnType<typeof sumOf>) => number): Span => ({ least: of(least), most: of(most) });
  return {
    queries: span(({ queries }) => queries),
    upstreamQueries: span(({ upstreamQueries }) => upstreamQueries),
    roundTrips: span(({ roundTrips }) => roundTrips),
    upstreamRoundTrips: span(({ upstreamRoundTrips }) => upstreamRoundTrips),
  };
}

function sumOf(steps: readonly StepItem[]) {
  const upstream = steps.map(({ questions }) => questions.filter(({ outlook }) => outlook === 'upstream').length);
  return {
    queries: 2 * steps.length,
    upstreamQueries: upstream.reduce((sum, count) => sum + count, 0),
    roundTrips: steps.length,
    upstreamRoundTrips: upstream.filter((count) => count > 0).length,
  };
}

/** For the author of the program that asks. */
function walkAdvice(
  { name, ndots }: ExplainArguments,
  { steps, found, cost }: Pick<ExplainItem, 'steps' | 'found' | 'cost'>,
): string[] {
  if (steps.length === 0) return ['No listener is open, so nothing is answered: see zerohop status.'];
  if (steps[0].isWalkedHere && steps.length > 1) {
    return [
      'The server block walks the search path by itself (autopath), so the pod usually sends the first query only.',
    ];
  }
  const closed = endsInDot(name) ? name : `${name}.`;
  const existing = found ?? steps.find((step) => fateOf(step) === 'exists')?.name ?? null;
  if (cost.queries.most <= 2 || existing === steps[0].name) return ['Nothing to save: the first name is the one.'];
  const saving = `2 queries instead of ${cost.queries.most}`;
  if (existing === null) {
    return [
      `Write the name that exists with a closing dot, ${closed} for example: ${saving} at most.`,
      'The cache does not know now which of them exists; zerohop lookup -ask NAME asks.',
    ];
  }
  if (existing !== closed) return [`Write the whole name, ${existing} with its closing dot: ${saving}.`];
  const dots = closed.split('.').length - 2;
  const isSaved = dots > 0 && dots < ndots;
  const first = `Write the name with a closing dot, ${closed}: ${saving}.`;
  return isSaved
    ? [first, `Or set the option ndots of the pod to ${dots} (dnsConfig): the name itself comes first then.`]
    : [first];
}

const outlookWords: Readonly<Record<Outlook, readonly [text: string, color: Color]>> = {
  cache: ['cached', 'green'],
  stale: ['expired, given', 'green'],
  policy: ['policy', 'green'],
  cut: ['cut', 'green'],
  upstream: ['upstream', 'yellow'],
  plugins: ['plugins', 'yellow'],
  refused: ['refused', 'red'],
};

/** For people; without the last line end. */
export function explainText(item: ExplainItem, style: TextStyle): string {
  const { name, search, ndots, servers, steps, cost, advice } = item;
  const path = search.length === 0 ? 'no search path' : `search ${search.join(' ')}`;
  const heading = `${printable(name)} as a pod asks for it${servers.length === 0 ? '' : ` at ${printable(servers.join(', '))}`}`;
  return [
    colored(wrappedText(heading, { indent: 2 }), 'bold', style),
    wrappedText(printable(`${path}, ndots ${ndots}`), { indent: 2 }),
    '',
    ...steps.flatMap((step, index) => stepLines(step, index, style)),
    '',
    wrappedText(costText(cost), { indent: 2 }),
    ...advice.map((sentence) => wrappedText(printable(sentence), { indent: 2 })),
  ].join('\n');
}

function stepLines(
  { name, isReached, block, upstreams, questions }: StepItem,
  index: number,
  style: TextStyle,
): string[] {
  const number = `${index + 1}.`.padStart(3);
  const when = { yes: '', maybe: ' (if none before exists)', no: ' (not reached)' }[isReached];
  const where = block === null ? 'no server block' : block;
  const to = upstreams.length === 0 ? '' : ` to ${upstreams.join(', ')}`;
  const head = wrappedText(`${number} ${printable(name)}${when}`, { indent: 4 }).split('\n');
  if (isReached === 'no') return head.map((line) => colored(line, 'dim', style));
  const rows = questions.map(({ type, outlook, rcode, ttlSeconds, known }) => [
    type,
    outlookWords[outlook][0],
    [rcode ?? '', known === 'no record' && rcode === 'NOERROR' ? 'without records' : ''].filter(Boolean).join(' '),
    ttlSeconds === null || rcode === null ? '' : `${ttlSeconds} s left`,
  ]);
  const lines = columnsOf(rows, 6).map((line, at) => colored(line, outlookWords[questions[at].outlook][1], style));
  return [...head, ...lines, ...wrappedText(`      ${printable(`${where}${to}`)}`, { indent: 8 }).split('\n')];
}

function costText({ queries, upstreamQueries, roundTrips, upstreamRoundTrips }: WalkCost): string {
  const text = ({ least, most }: Span, one: string, several: string): string =>
    least === most ? quantity(most, one, several) : `${least} to ${quantity(most, one, several)}`;
  const pod = `${text(queries, 'query', 'queries')} of the pod in ${text(roundTrips, 'round trip', 'round trips')}`;
  const upstream = `${text(upstreamQueries, 'query', 'queries')} upstream in ${text(upstreamRoundTrips, 'round trip', 'round trips')}`;
  return `Costs ${pod}; ${upstream}.`;
}
