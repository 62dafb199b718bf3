/** `zerohop demo` run as the pages show it, and its output without what differs from run to run. */
import { spawn } from 'node:child_process';
import { builtEntry } from '../corpus/repository.js';

/** Runs the demo until it has said what to try, then interrupts it. */
export function runDemo(environment: NodeJS.ProcessEnv = {}): Promise<{ printed: string; exitCode: number | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [builtEntry, 'demo'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 20_000,
      env: { ...process.env, ...environment },
    });
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      if (/\/health\n$/.test(printed)) child.kill('SIGINT');
    });
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ printed, exitCode }));
  });
}

/**
 * The lines without times, ports, the notes about ports that are taken on this machine, and what depends on whether the
 * answer for a cut, which the walk's first question has made zerohop ask for, comes before the walk's next questions.
 */
export function withoutNumbers(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .filter((line) => !/^Port \d+ is in use/.test(line))
    .map((line) =>
      line
        .replace(/ +\d+$/, ' µs')
        .replace(/\d+\.\d\d ms/g, 'N ms')
        .replace(/(127\.0\.0\.1(?::| -p )|on port )\d+/g, '$1PORT')
        .replace(/^(A +www\.example\.com\.(?:svc\.)?cluster\.local .*)(?:upstream|cache) /, '$1RACE ')
        .replace(/^\d+ of 18 (.*) the other \d+ /, 'N of 18 $1 the other N ')
        .replace(/ +µs$/, ' µs'),
    );
}
