/**
 * The keeper of what the node has for us: the link with our addresses, and the firewall's rules. It looks at both
 * every -syncinterval, puts right what is not, and takes them out when this instance ends and nobody else serves.
 * What fails is counted, logged once, and tried again; nothing of it keeps the program from answering.
 *
 *     prepare()    addresses, before the listeners open
 *     keep()       the listeners answer: rules, and from now on both are looked after; the host is ours
 *     release()    a successor looks after the host; nothing is touched any more
 *     stepAside()  the listeners still answer, but not for long: rules that bring questions here out
 *     leave()      the listeners are closed: all rules out, then addresses; neither if somebody else serves
 *
 * Addresses come before rules and go after them, and rules are there only while the listeners answer: with a ClusterIP
 * in -localip, packets that are tracked go to the cluster DNS, by kube-proxy, so between two instances nobody waits.
 */
import type { Firewall } from '../config/serve-options.js';
import { hostRetryMs, syncIntervalMsMax } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { RunCommand } from '../os/commands.js';
import type { Log } from '../os/log.js';
import { nodeAddresses } from './addresses.js';
import { type Link, newLink } from './interface.js';
import { newRules } from './rule-keeper.js';
import { type SocketsOfHost, servedElsewhere } from './served-elsewhere.js';
import { HostError, type SetupError } from './tools.js';

export interface HostOptions {
  /** `-localip`; those that every host has are left out here. */
  readonly addresses: readonly string[];
  /** Null leaves the addresses to somebody else. */
  readonly interfaceName: string | null;
  readonly firewall: Firewall;
  readonly dnsPort: number;
  readonly healthPort: number;
  readonly syncIntervalMs: number;
  /** What becomes of link and rules when we end. */
  readonly atExit: 'taken out' | 'left';
}

export interface HostDeps extends SocketsOfHost {
  readonly clock: Clock;
  readonly log: Log;
  readonly run: RunCommand;
  readonly readFile: (path: string) => string | undefined;
  failed(errortype: SetupError): void;
  /** Link or rules are as they should be, or are not. */
  met(condition: HostCondition): void;
  lost(condition: HostCondition): void;
}

export type HostCondition = 'interface' | 'rules';

const nothing: HostOptions = {
  ...{ addresses: [], interfaceName: null, firewall: 'none', dnsPort: 53, healthPort: 8080 },
  ...{ syncIntervalMs: syncIntervalMsMax, atExit: 'left' },
};

export interface Host {
  prepare(): Promise<void>;
  keep(): void;
  release(): void;
  /** Both resolve after `withinMs` at the latest; what is not done then goes on, or is left when the process ends. */
  stepAside(withinMs: number): Promise<void>;
  leave(withinMs: number): Promise<void>;
}

/** The keeper; without a wish it touches nothing, and everything is as it should be. */
export function newHost(deps: HostDeps, wanted: HostOptions | null): Host {
  const wish = wanted ?? nothing;
  const { clock, log } = deps;
  const addresses = nodeAddresses(wish.addresses);
  const hasLink = wish.interfaceName !== null && addresses.length > 0;
  const hasRules = wish.firewall !== 'none' && addresses.length > 0;
  const link = hasLink ? newLink(deps.run, { name: wish.interfaceName, addresses }, log) : null;
  const rules = hasRules ? newRules(deps, { ...wish, firewall: wish.firewall, addresses }) : null;
  const said = new Map<HostCondition, string>();
  /** Released, nothing is touched; leaving, nothing is mended. */
  let state: 'ours' | 'released' | 'leaving' = 'ours';
  let timer: Timer | null = null;
  let failuresInARow = 0;
  /** Looks and changes come one after another. */
  let busy: Promise<unknown> = Promise.resolve();

  function next<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = busy.then(work);
    busy = result.catch(() => {});
    return result;
  }

  /** Runs what may fail; undefined when it did. A failure is counted, and logged unless the last one was the same. */
  async function attempt<Result>(condition: HostCondition, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      const { errortype, sentence } = readFailure(error, condition);
      deps.failed(errortype);
      deps.lost(condition);
      if (said.get(condition) !== sentence) log.error(`${condition}: ${sentence}`);
      said.set(condition, sentence);
      return undefined;
    }
  }

  /** Whether all is as it should be now. `work` gives a line for the log when it had to change something. */
  async function mend(condition: HostCondition, work: () => Promise<string | null>): Promise<boolean> {
    const change = await attempt(condition, work);
    if (change === undefined) return false;
    if (change !== null) log.info(change);
    else if (said.has(condition)) log.info(`${condition}: recovered`);
    said.delete(condition);
    deps.met(condition);
    return true;
  }

  async function mendLink(): Promise<boolean> {
    return link === null || mend('interface', () => mendAddresses(link));
  }

  async function look(): Promise<void> {
    if (state !== 'ours') return;
    let isRight = false;
    try {
      const isLinkRight = await mendLink();
      const areRulesRight = rules === null || (await mend('rules', rules.mend));
      isRight = isLinkRight && areRulesRight;
    } finally {
      failuresInARow = isRight ? 0 : failuresInARow + 1;
      lookLater();
    }
  }

  function lookLater(): void {
    if (state !== 'ours') return;
    const retryMs = hostRetryMs * 2 ** Math.min(failuresInARow - 1, 20);
    const waitMs = failuresInARow === 0 ? wish.syncIntervalMs : Math.min(retryMs, wish.syncIntervalMs);
    timer?.stop();
    timer = clock.after(waitMs, () => void next(look));
  }

  function stopLooking(then: 'released' | 'leaving'): void {
    state = then;
    timer?.stop();
  }

  /** Does this part of the end unless the node is not ours to tidy up. */
  async function atTheEnd(withinMs: number, part: () => Promise<void>): Promise<void> {
    if (state === 'released' || wish.atExit === 'left' || (link === null && rules === null)) return;
    stopLooking('leaving');
    await Promise.race([next(part), new Promise<void>((resolve) => clock.after(withinMs, resolve))]);
  }

  const elsewhere = (): string | undefined => servedElsewhere(deps, addresses, wish.dnsPort);

  async function takeAllOut(): Promise<void> {
    const other = elsewhere();
    if (other !== undefined) {
      log.info(`leaving interface and firewall rules in place: another program serves ${other}`);
      return;
    }
    const areRulesOut = rules === null || (await attempt('rules', rules.remove)) === 'removed';
    const isLinkOut = link === null || (await attempt('interface', link.remove)) === 'removed';
    if (areRulesOut && isLinkOut) log.info('removed interface and firewall rules');
  }

  if (link === null) deps.met('interface');
  if (rules === null) deps.met('rules');

  return {
    async prepare() {
      await next(mendLink);
    },
    keep() {
      state = 'ours';
      if (link !== null || rules !== null) void next(look);
    },
    release: () => stopLooking('released'),
    stepAside: (withinMs) =>
      atTheEnd(withinMs, async () => {
        if (rules !== null && elsewhere() === undefined) await attempt('rules', rules.divert);
      }),
    leave: (withinMs) => atTheEnd(withinMs, takeAllOut),
  };
}

async function mendAddresses(link: Link): Promise<string | null> {
  const { missing, on } = await link.mend();
  return missing.length === 0 ? null : `added ${missing.join(', ')} to ${on}`;
}

interface Failure {
  readonly errortype: SetupError;
  readonly sentence: string;
}

/** An error of any other kind is a bug of ours, which is no reason to stop answering. */
function readFailure(error: unknown, condition: HostCondition): Failure {
  if (!(error instanceof HostError)) {
    const errortype = condition === 'interface' ? 'interface_check' : 'iptables';
    return { errortype, sentence: String((error as Error).stack) };
  }
  const { errortype, message } = error;
  if (!/not permitted|Permission denied|must be root/u.test(message)) return { errortype, sentence: message };
  const flag = condition === 'interface' ? '-setupinterface=false' : '-setupiptables=false';
  const capability = `needs the capability NET_ADMIN${message.includes('-legacy') ? ' and, for iptables-legacy, NET_RAW' : ''}`;
  return { errortype, sentence: `${message}; ${capability}, or ${flag} if another program does this` };
}
