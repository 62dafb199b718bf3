/**
 * A real browser without a screen, for tests of the live page: Chromium, spoken to by the DevTools protocol over two pipes
 * (JSON, each message with a zero byte behind it). It starts with an empty profile and asks nobody by itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

export interface Viewport {
  readonly width: number;
  readonly height: number;
}

const keyCodes = { Tab: 9, End: 35, Home: 36, ArrowLeft: 37, ArrowRight: 39 };
type Key = keyof typeof keyCodes;

export interface Tab {
  /** Loads the page; resolves when its `load` event has come. Returns how long that took. */
  load(url: string): Promise<number>;
  /** The value of a JavaScript expression in the page, or of its promise. Throws what it throws. */
  evaluate<Value>(expression: string): Promise<Value>;
  resize(viewport: Viewport): Promise<void>;
  prefer(scheme: 'light' | 'dark'): Promise<void>;
  press(key: Key): Promise<void>;
  /** A PNG; `whole`: of all of the page, not only of what is in the window. */
  picture(what: 'window' | 'whole'): Promise<Buffer>;
  /** Addresses of all requests so far. */
  readonly requests: readonly string[];
  /** What the browser or the page has complained about: errors, refused content, exceptions, dialogs. */
  readonly complaints: readonly string[];
}

export interface Browser {
  open(): Promise<Tab>;
  close(): Promise<void>;
}

const flags = [
  '--headless=new',
  '--no-sandbox',
  '--remote-debugging-pipe',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--no-proxy-server',
  '--hide-scrollbars',
  '--force-color-profile=srgb',
  '--font-render-hinting=none',
];

type Parameters = Readonly<Record<string, unknown>>;
// biome-ignore lint/suspicious/noExplicitAny: the protocol's own types are larger than what they would check here
type Answer = any;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export async function startBrowser(): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'zerohop-browser-'));
  const child = spawn('chromium', [...flags, `--user-data-dir=${profile}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const wire = new Wire(child.stdio[3] as Writable, child.stdio[4] as Readable);
  return {
    open: () => openTab(wire),
    async close() {
      // In order, so that none of its processes writes to the profile any more.
      await wire.ask('Browser.close').catch(() => child.kill('SIGTERM'));
      await ended;
      running.delete(child);
      rmSync(profile, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

class Wire {
  readonly #to: Writable;
  readonly #waiting = new Map<number, { resolve(value: Answer): void; reject(error: Error): void }>();
  readonly #listeners: ((sessionId: string, method: string, parameters: Answer) => void)[] = [];
  #nextId = 1;
  #received = '';

  constructor(to: Writable, from: Readable) {
    this.#to = to;
    from.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    from.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the browser has ended'));
    });
    to.on('error', () => {});
  }

  ask(method: string, parameters: Parameters = {}, sessionId?: string): Promise<Answer> {
    const id = this.#nextId++;
    this.#to.write(`${JSON.stringify({ id, method, params: parameters, ...(sessionId && { sessionId }) })}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  listen(heard: (sessionId: string, method: string, parameters: Answer) => void): void {
    this.#listeners.push(heard);
  }

  #take(text: string): void {
    const messages = (this.#received + text).split('\0');
    this.#received = messages.pop()!;
    for (const message of messages) {
      const { id, result, error, method, params, sessionId = '' } = JSON.parse(message);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (method !== undefined) for (const heard of this.#listeners) heard(sessionId, method, params);
      else if (error !== undefined) waiting?.reject(new Error(`${error.message} ${error.data ?? ''}`));
      else waiting?.resolve(result);
    }
  }
}

async function openTab(wire: Wire): Promise<Tab> {
  const { targetId } = await wire.ask('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await wire.ask('Target.attachToTarget', { targetId, flatten: true });
  const ask = (method: string, parameters?: Parameters) => wire.ask(method, parameters, sessionId);
  const requests: string[] = [];
  const complaints: string[] = [];
  let loaded: (() => void) | null = null;
  wire.listen((session, method, parameters) => {
    if (session !== sessionId) return;
    if (method === 'Network.requestWillBeSent') requests.push(parameters.request.url);
    if (method === 'Page.loadEventFired') loaded?.();
    const complaint = complaintIn(method, parameters);
    if (complaint !== null) complaints.push(complaint);
    if (method === 'Page.javascriptDialogOpening') void ask('Page.handleJavaScriptDialog', { accept: false });
  });
  for (const domain of ['Page', 'Runtime', 'Network', 'Log', 'Audits']) await ask(`${domain}.enable`);

  async function evaluate<Value>(expression: string): Promise<Value> {
    const how = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await ask('Runtime.evaluate', how);
    if (exceptionDetails !== undefined) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value as Value;
  }

  return {
    requests,
    complaints,
    evaluate,
    async load(url) {
      const started = performance.now();
      const done = new Promise<void>((resolve) => {
        loaded = resolve;
      });
      const { errorText } = await ask('Page.navigate', { url });
      if (errorText !== undefined) throw new Error(`${url}: ${errorText}`);
      await done;
      return performance.now() - started;
    },
    async resize({ width, height }) {
      await ask('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
    },
    async prefer(scheme) {
      const features = [{ name: 'prefers-color-scheme', value: scheme }];
      await ask('Emulation.setEmulatedMedia', { features });
    },
    async press(key) {
      const how = { key, code: key, windowsVirtualKeyCode: keyCodes[key] };
      await ask('Input.dispatchKeyEvent', { ...how, type: 'rawKeyDown' });
      await ask('Input.dispatchKeyEvent', { ...how, type: 'keyUp' });
    },
    async picture(what) {
      const { data } = await ask('Page.captureScreenshot', {
        captureBeyondViewport: what === 'whole',
        ...(await clipOf(what)),
      });
      return Buffer.from(data, 'base64');
    },
  };

  async function clipOf(what: 'window' | 'whole') {
    if (what === 'window') return {};
    const { cssContentSize: size } = await ask('Page.getLayoutMetrics');
    return { clip: { x: 0, y: 0, width: size.width, height: size.height, scale: 1 } };
  }
}

function complaintIn(method: string, parameters: Answer): string | null {
  switch (method) {
    case 'Runtime.exceptionThrown':
      return `exception: ${parameters.exceptionDetails.exception?.description ?? parameters.exceptionDetails.text}`;
    case 'Runtime.consoleAPICalled':
      return parameters.type === 'error' || parameters.type === 'warning'
        ? `console: ${parameters.args.map(({ value }: { value: unknown }) => value).join(' ')}`
        : null;
    case 'Log.entryAdded':
      return parameters.entry.level === 'error' || parameters.entry.source === 'security'
        ? `log: ${parameters.entry.text} ${parameters.entry.url ?? ''}`
        : null;
    case 'Audits.issueAdded':
      return parameters.issue.code === 'ContentSecurityPolicyIssue'
        ? `refused content: ${JSON.stringify(parameters.issue.details)}`
        : null;
    case 'Page.javascriptDialogOpening':
      return `dialog: ${parameters.message}`;
    default:
      return null;
  }
}
