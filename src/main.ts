#!/usr/bin/env -S node --max-semi-space-size=1 --optimize-for-size --v8-pool-size=1 --no-maglev --no-memory-reducer --inspect-port=192.0.2.1:1024
/**
 * What Node.js starts. It listens to signals, and sees to it that the program can be read at all, for which Node.js opens
 * most of its files at once and would end with a stack trace where so many may not be open; then it runs program.ts, whose
 * reading takes most of a start. Modules that are imported by a statement are read before the first line of any is run.
 */
import { listenEarly } from './process/early-signals.js';

const early = listenEarly(process);
const { openFilesToLoad } = await import('./limits.js');
const { openFilesMax, raiseOpenFiles } = await import('./os/open-files.js');
const limit = openFilesMax();
if (limit !== null && limit < openFilesToLoad) {
  const sentence = `open file limit ${limit} is too low: zerohop needs at least ${openFilesToLoad} to start; ${raiseOpenFiles()}.`;
  process.stderr.write(`zerohop: ${sentence}\n`);
  process.exit(1);
}
const { runProgram } = await import('./process/program.js');
await runProgram(early);
