/**
 * What serves, behind the command line: passes the real outsides to app.ts, and turns signals into reload and stop. It is
 * most of the program, so commands that only ask a running one do not load it.
 */
import { existsSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { formatEndpoint } from '../config/addresses.js';
import { type Config, ConfigError } from '../config/config.js';
import { type LoadOptions, parseConfig, systemLoadOptions, tooFewOpenFiles } from '../config/load.js';
import { rememberedAddresses } from '../config/returning.js';
import { type ServeOptions, workerCount } from '../config/serve-options.js';
import { Source } from '../config/source.js';
import { programVersion } from '../config/version.js';
import { systemLook } from '../config/watch.js';
import type { HostOptions } from '../host/host.js';
import { configMapPeriodMs, connectionsReadBytesMax, hostAddressesOfHttpMs } from '../limits.js';
import { ListenError } from '../listen/listeners.js';
import { startHttp } from '../observe/http.js';
import { checkLogFormat } from '../observe/log-format.js';
import { type Logger, logLevel, logStyle, newLogger } from '../observe/logger.js';
import { newSetupErrors } from '../observe/process-numbers.js';
import { absentAddresses } from '../os/addresses.js';
import { stayAlive, systemClock } from '../os/clock.js';
import { systemCommands } from '../os/commands.js';
import { systemEventLoop } from '../os/event-loop.js';
import { openTrusted, readPieces, readTextFile, replaceText, replaceWhole } from '../os/files.js';
import type { Log } from '../os/log.js';
import { hostAddresses, nodeNetwork } from '../os/node-network.js';
import { openFilesMax } from '../os/open-files.js';
import { ownSockets, userOfPeer } from '../os/proc.js';
import { systemProfiler } from '../os/profiler.js';
import { type Random, systemRandom } from '../os/random.js';
import { lookAtSockets } from '../os/sock-diag.js';
import { chooseSystemCalls } from '../os/system-calls.js';
import { wantsColor } from '../os/terminal.js';
import { plugins } from '../plugins/registry.js';
import { newSnapshot } from '../takeover/snapshot.js';
import { type App, type Outsides, type Settings, startApp } from './app.js';
import { controlSockets, openControl } from './control-handlers.js';
import { doctorFlags } from './doctor-facts.js';
import type { DoctorSettings } from './doctor-run.js';
import type { EarlySignals } from './early-signals.js';
import { onExceptions, onSignals, writePidFile } from './lifecycle.js';
import type { PageWish } from './live-page.js';
import { networkNamespace, openWorkers, sharedNode } from './shared-sockets.js';

/** How the process ends where it cannot start. */
type Fail = (why: 'usage' | 'failed', sentence: string) => void;

/** Serves until a signal; `early` has the signals so far. */
export async function serve(options: ServeOptions, early: EarlySignals, fail: Fail): Promise<void> {
  const clock = systemClock();
  const format = logStyle(options.logFormat, 1, process.env);
  const log = newLogger({ level: logLevel({ debug: false, quiet: options.quiet }), clock, format });
  const started = onSignals(process, log, early);
  const survives = onExceptions(process, { clock, log });
  const setupErrors = newSetupErrors();
  const random = systemRandom();
  const source = new Source(options, {
    load: loadOptions(options.dnsPort),
    log,
    write: (path, text) => replaceText(path, text, random),
    wrong: () => setupErrors.count('configmap'),
  });
  const settings = {
    load: () => source.read(),
    setupErrors,
    metricsAddress: options.metricsAddress,
    formerMetricNames: options.formerMetricNames,
    version: programVersion(),
    inForce: ({ debug }: Config) => log.setLevel(logLevel({ debug, quiet: options.quiet })),
    host: hostOptions(options),
    lookEveryMs: options.reloadWithSignal ? configMapPeriodMs : null,
    doctor: doctorSettings(options),
  };
  const threads = workerCount(options.workers, availableParallelism());
  const wishes = { ...options, threads, fail };
  const app = await startWith(log, settings, wishes, await pageWishOf(options));
  if (app === null) return;
  const absent = absentAddresses(app.endpoints, hostAddresses());
  if (absent.length > 0) log.warn(`waiting for address ${absent.join(', ')}: it is on no interface yet`);
  const listening = app.endpoints.map(formatEndpoint).join(', ');
  log.info(`zerohop ${programVersion()} serves on ${listening}`, { pid: process.pid });
  process.on('exit', writePidFile(options.pidFilePath, { log, random }));
  started(app);
  survives(app);
}

type LaneFlags = Pick<ServeOptions, 'kernelLane' | 'kernelLaneLingerMs' | 'kernelLaneFolder'>;
type MachineOptions = Pick<ServeOptions, 'handoverPath' | 'controlPath' | 'cacheFilePath'> &
  LaneFlags & { readonly threads: number; readonly fail: Fail };

/** Null after it has reported a failed start. */
async function startWith(
  log: Logger,
  settings: Settings,
  options: MachineOptions,
  pageWish?: PageWish,
): Promise<App | null> {
  stayAlive();
  const { threads, handoverPath: path, controlPath, cacheFilePath, fail } = options;
  const random = systemRandom();
  const clock = systemClock();
  const system = chooseSystemCalls(process.env['ZEROHOP_IO']);
  const node = sharedNode(system, { random, log, path, version: settings.version });
  const workers = node.calls === null ? 0 : threads;
  const addressesOfHost = rememberedAddresses(hostAddresses, () => clock.nowMs(), hostAddressesOfHttpMs);
  const outsides: Outsides = {
    network: (failures) => nodeNetwork(failures, node),
    clock,
    eventLoop: systemEventLoop(),
    random,
    log,
    startHttp: (at, routes, failed) =>
      startHttp(at, routes, { clock, failed, hostAddresses: addressesOfHost, bind: node.bindHttp }),
    profiler: systemProfiler('/process/worker.js'),
    pprofAskers: {
      mayAsk: [0, process.getuid?.() ?? 0],
      userOfPeer: (ends) => userOfPeer(ends, { bytesMax: connectionsReadBytesMax }),
    },
    run: systemCommands(clock),
    sockets: { socketsAt: (at) => lookAtSockets(node.calls)('udp', at), ownSockets },
    readFile: readTextFile,
    readPieces,
    look: systemLook,
    workers: openWorkers({ threads, system: node }),
    kernelLane: await kernelLaneOf(options, node, { random, log }),
    succession: node.succession,
    pageWish,
    control: openControl(controlPath, controlSockets(node.calls, random)),
    snapshot: snapshotAt(cacheFilePath, random),
  };
  try {
    return await startApp(outsides, { ...settings, load: () => checkOpenFiles(settings.load(), workers) });
  } catch (error) {
    if (error instanceof ConfigError) fail('usage', error.summary);
    else if (error instanceof ListenError) fail('failed', error.message);
    else fail('failed', String((error as Error).stack));
    process.exit();
  }
}

/** Returns the configuration; throws a ListenError when it needs more open files than allowed. */
function checkOpenFiles(config: Config, workers: number): Config {
  const tooFew = tooFewOpenFiles(config, workers, openFilesMax());
  if (tooFew !== null) throw new ListenError(tooFew);
  return config;
}

/** Its code is loaded only where it is wanted. */
async function pageWishOf(options: ServeOptions): Promise<PageWish | undefined> {
  if (options.pageAddress === null) return undefined;
  const { newPage } = await import('../page/page.js');
  const { findingsOn } = await import('../config/check.js');
  const load = loadOptions(options.dnsPort);
  return {
    at: options.pageAddress,
    hostName: hostname(),
    newPage,
    findingsOn: (config) => findingsOn(config, load, options),
  };
}

/** Its code is loaded only where it is wanted. */
async function kernelLaneOf(
  { kernelLane: wish, kernelLaneLingerMs: lingerMs, kernelLaneFolder: folder }: LaneFlags,
  node: ReturnType<typeof sharedNode>,
  { random, log }: { readonly random: Random; readonly log: Log },
): Promise<Outsides['kernelLane']> {
  const isWanted = wish === 'on' || wish === 'beside';
  const namespace = networkNamespace().replace(/\D/g, '') || 'unknown';
  if (!isWanted || node.calls === null) await sweepKernelLane(folder, namespace, log);
  if (!isWanted) return undefined;
  const { kernelLane, noKernelLane } = await import('./kernel-lane.js');
  if (node.calls === null) return noKernelLane(node.why);
  return kernelLane({
    calls: node.calls,
    random,
    readFile: readTextFile,
    folder,
    namespace,
    lingerMs,
    isBesideOthers: wish === 'beside',
  });
}

/** What a process with the lane has left is not to answer beside one without it. */
async function sweepKernelLane(folder: string, namespace: string, log: Log): Promise<void> {
  if (!existsSync(`${folder}/${namespace}`)) return;
  const { removeOwnPins } = await import('../lane/pins.js');
  try {
    log.info(
      `kernel lane: removed ${removeOwnPins(folder, namespace)} pins of an earlier process, as this one has no kernel lane`,
    );
  } catch (error) {
    log.warn(`kernel lane: what an earlier process has left cannot be removed: ${(error as Error).message}`);
  }
}

function snapshotAt(path: string | null, random: Random): Outsides['snapshot'] {
  if (path === null) return undefined;
  const bootId = (readTextFile('/proc/sys/kernel/random/boot_id') ?? '').trim();
  const files = { open: openTrusted, replace: (at: string) => replaceWhole(at, random) };
  return (parts) => newSnapshot({ ...parts, path, bootId, ...files });
}

function hostOptions(options: ServeOptions): HostOptions {
  return {
    addresses: options.localAddresses,
    interfaceName: options.setupInterface ? options.interfaceName : null,
    firewall: options.setupRules ? options.firewall : 'none',
    dnsPort: options.dnsPort,
    healthPort: options.healthPort,
    syncIntervalMs: options.syncIntervalMs,
    atExit: options.skipTeardown ? 'left' : 'taken out',
  };
}

function doctorSettings(options: ServeOptions): DoctorSettings {
  const { isDoctorOn: isWatching } = options;
  const here = { environment: process.env, networkNamespace: networkNamespace(), pid: process.pid };
  return { ...doctorFlags(options), ...here, isWatching };
}

/** For the files of `check`, too. */
export function loadOptions(defaultPort: number): LoadOptions {
  return { ...systemLoadOptions(defaultPort, plugins), checkLogFormat };
}

/** `zerohop demo`, whose server is this process. */
export async function serveDemo(print: (line: string) => void, fail: Fail): Promise<void> {
  const { runDemo } = await import('../demo/demo.js');
  const clock = systemClock();
  const network = nodeNetwork({ sendFailed() {}, acceptFailed() {} });
  const log = newLogger({ level: 'error', clock, destination: 2, format: logStyle('auto', 2, process.env) });
  const serveCorefile = async (corefile: string) => {
    const load = () => parseConfig(corefile, '(demo)', loadOptions(53));
    const unwatched = { metricsAddress: null, lookEveryMs: null, setupErrors: newSetupErrors(), host: null };
    const settings = { load, inForce() {}, version: programVersion(), formerMetricNames: false, ...unwatched };
    const app = await startWith(log, settings, {
      threads: 1,
      fail,
      handoverPath: null,
      controlPath: null,
      cacheFilePath: null,
      kernelLane: 'off',
      kernelLaneLingerMs: 0,
      kernelLaneFolder: '',
    });
    onSignals(process, log)(app!);
    return { synthesized: () => app!.total('aaaaSynthesized') };
  };
  await runDemo({ network, clock, write: print, isColored: wantsColor(1, process.env), serve: serveCorefile });
}
