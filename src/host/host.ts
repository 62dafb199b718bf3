/**
 * Maintains the link with our addresses and the firewall rules on the node. It checks both every -syncinterval, repairs
 * them, and removes them at the end unless another program serves. Failures are counted, logged once and retried; they
 * never stop the program from answering.
 *
 *     prepare()    addresses, before the listeners open
 *     keep()       the listeners answer: rules, and from now on both are looked after; the host is ours
 *     release()    a successor looks after the host; nothing is touched any more
 *     stepAside()  the listeners still answer, but not for long: rules that bring questions here out
 *     leave()      the listeners are closed: all rules out, then addresses; neither if somebody else serves
 *
 * Addresses come before rules and go after them, and rules exist only while the listeners answer: with a ClusterIP in
 * -localip kube-proxy sends tracked packets to the cluster DNS, so no query waits between two instances.
 */
import type { Firewall } from '../config/serve-options.js';
import { hostRetryMs, syncIntervalMsMax } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { RunCommand } from '../os/commands.js';
import type { Log } from '../os/log.js';
import type { Endpoint } from '../os/network.js';
import { newRules, type Rules } from './firewall.js';
import { type InterfaceLink, newLink } from './interface.js';
import { nodeAddresses } from './rules.js';
import { HostError, type SetupError } from './tools.js';

export interface HostOptions {
  /** `-localip`; addresses that every host has are ignored. */
  readonly addresses: readonly string[];
  /** Null: another program manages the addresses. */
  readonly interfaceName: string | null;
  readonly firewall: Firewall;
  readonly dnsPort: number;
  readonly healthPort: number;
  readonly syncIntervalMs: number;
  readonly atExit: 'taken out' | 'left';
}

export interface HostDeps extends SocketsOfHost {
  readonly clock: Clock;
  readonly log: Log;
  readonly run: RunCommand;
  readonly readFile: (path: string) => string | undefined;
  failed(errortype: SetupError): void;
  met(condition: HostCondition): void;
  lost(condition: HostCondition): void;
}

type HostCondition = 'interface' | 'rules';

const noWork: HostOptions = {
  addresses: [],
  interfaceName: null,
  firewall: 'none',
  dnsPort: 53,
  healthPort: 8080,
  syncIntervalMs: syncIntervalMsMax,
  atExit: 'left',
};

/** Without options it touches nothing and reports both conditions as met. */
export class Host {
  readonly #deps: HostDeps;
  readonly #options: HostOptions;
  readonly #addresses: readonly string[];
  readonly #link: InterfaceLink | null;
  readonly #rules: Rules | null;
  readonly #said = new Map<HostCondition, string>();
  /** `released`: nothing is touched; `leaving`: nothing is repaired. */
  #state: 'ours' | 'released' | 'leaving' = 'ours';
  #timer: Timer | null = null;
  #failuresInARow = 0;
  /** Serialises checks and changes. */
  #busy: Promise<unknown> = Promise.resolve();

  constructor(deps: HostDeps, wanted: HostOptions | null) {
    const options = wanted ?? noWork;
    const { interfaceName, firewall } = options;
    const addresses = nodeAddresses(options.addresses);
    const hasLink = interfaceName !== null && addresses.length > 0;
    const hasRules = firewall !== 'none' && addresses.length > 0;
    this.#deps = deps;
    this.#options = options;
    this.#addresses = addresses;
    this.#link = hasLink ? newLink(deps.run, { name: interfaceName, addresses }, deps.log) : null;
    this.#rules = hasRules ? newRules(deps, { ...options, firewall, addresses }) : null;
    if (this.#link === null) deps.met('interface');
    if (this.#rules === null) deps.met('rules');
  }

  async prepare(): Promise<void> {
    await this.#next(() => this.#repairLink());
  }

  keep(): void {
    this.#state = 'ours';
    if (this.#link !== null || this.#rules !== null) void this.#next(() => this.#look());
  }

  release(): void {
    this.#stopLooking('released');
  }

  /** This and `leave` resolve within `withinMs`; unfinished work continues, or is lost at exit. */
  stepAside(withinMs: number): Promise<void> {
    return this.#atTheEnd(withinMs, async () => {
      const rules = this.#rules;
      if (rules !== null && this.#elsewhere() === undefined) await this.#attempt('rules', rules.divert);
    });
  }

  leave(withinMs: number): Promise<void> {
    return this.#atTheEnd(withinMs, () => this.#takeAllOut());
  }

  #next<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#busy.then(work);
    this.#busy = result.catch(() => {});
    return result;
  }

  /** Undefined after a failure, which is counted, and logged unless it repeats the last one. */
  async #attempt<Result>(condition: HostCondition, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      const { errortype, sentence } = readFailure(error, condition);
      this.#deps.failed(errortype);
      this.#deps.lost(condition);
      if (this.#said.get(condition) !== sentence) this.#deps.log.error(`${condition}: ${sentence}`);
      this.#said.set(condition, sentence);
      return undefined;
    }
  }

  /** Whether the condition is met now. `work` returns a log line when it changed something. */
  async #repair(condition: HostCondition, work: () => Promise<string | null>): Promise<boolean> {
    const change = await this.#attempt(condition, work);
    if (change === undefined) return false;
    if (change !== null) this.#deps.log.info(change);
    else if (this.#said.has(condition)) this.#deps.log.info(`${condition}: recovered`);
    this.#said.delete(condition);
    this.#deps.met(condition);
    return true;
  }

  async #repairLink(): Promise<boolean> {
    const link = this.#link;
    return link === null || this.#repair('interface', () => repairAddresses(link));
  }

  async #look(): Promise<void> {
    if (this.#state !== 'ours') return;
    let isRight = false;
    try {
      const isLinkRight = await this.#repairLink();
      const areRulesRight = this.#rules === null || (await this.#repair('rules', this.#rules.repair));
      isRight = isLinkRight && areRulesRight;
    } finally {
      this.#failuresInARow = isRight ? 0 : this.#failuresInARow + 1;
      this.#lookLater();
    }
  }

  #lookLater(): void {
    if (this.#state !== 'ours') return;
    const retryMs = hostRetryMs * 2 ** Math.min(this.#failuresInARow - 1, 20);
    const { syncIntervalMs } = this.#options;
    const waitMs = this.#failuresInARow === 0 ? syncIntervalMs : Math.min(retryMs, syncIntervalMs);
    this.#timer?.stop();
    this.#timer = this.#deps.clock.after(waitMs, () => void this.#next(() => this.#look()));
  }

  #stopLooking(then: 'released' | 'leaving'): void {
    this.#state = then;
    this.#timer?.stop();
  }

  /** Skipped unless link and rules are ours to remove. */
  async #atTheEnd(withinMs: number, part: () => Promise<void>): Promise<void> {
    const isEmpty = this.#link === null && this.#rules === null;
    if (this.#state === 'released' || this.#options.atExit === 'left' || isEmpty) return;
    this.#stopLooking('leaving');
    await Promise.race([this.#next(part), new Promise<void>((resolve) => this.#deps.clock.after(withinMs, resolve))]);
  }

  #elsewhere(): string | undefined {
    return servedElsewhere(this.#deps, this.#addresses, this.#options.dnsPort);
  }

  async #takeAllOut(): Promise<void> {
    const other = this.#elsewhere();
    if (other !== undefined) {
      this.#deps.log.info(`leaving interface and firewall rules in place: another program serves ${other}`);
      return;
    }
    const areRulesOut = this.#rules === null || (await this.#attempt('rules', this.#rules.remove)) === 'removed';
    const isLinkOut = this.#link === null || (await this.#attempt('interface', this.#link.remove)) === 'removed';
    if (areRulesOut && isLinkOut) this.#deps.log.info('removed interface and firewall rules');
  }
}

async function repairAddresses(link: InterfaceLink): Promise<string | null> {
  const { missing, on } = await link.repair();
  return missing.length === 0 ? null : `added ${missing.join(', ')} to ${on}`;
}

interface HostFailure {
  readonly errortype: SetupError;
  readonly sentence: string;
}

/** Other errors are bugs of ours, but no reason to stop answering. */
function readFailure(error: unknown, condition: HostCondition): HostFailure {
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

export interface SocketsOfHost {
  /** The inodes of the UDP sockets at an endpoint; undefined when unknown. */
  readonly socketsAt: (at: Endpoint) => readonly number[] | undefined;
  readonly ownSockets: () => ReadonlySet<number>;
}

/** The first address with a UDP socket of another process (successor, standby, node-cache), wildcards aside. */
export function servedElsewhere(
  { socketsAt, ownSockets }: SocketsOfHost,
  addresses: readonly string[],
  port: number,
): string | undefined {
  const own = ownSockets();
  return addresses.find((address) => socketsAt({ address, port })?.some((inode) => !own.has(inode)));
}
