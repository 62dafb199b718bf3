#!/usr/bin/env -S node --max-semi-space-size=1 --optimize-for-size --v8-pool-size=1 --no-maglev --no-memory-reducer --inspect-port=192.0.2.1:1024
/**
 * What Node.js starts. It sees to it that the program can be read at all, for which Node.js opens most of its files
 * at once and would end with a stack trace where so many may not be open; then it runs program.ts.
 */
import { openFilesToLoad } from './limits.js';
import { openFilesMax, raiseOpenFiles } from './outside/open-files.js';

const limit = openFilesMax();
if (limit !== null && limit < openFilesToLoad) {
  const sentence = `no more than ${limit} files may be open, and ${openFilesToLoad} or more are needed to start; ${raiseOpenFiles()}.`;
  process.stderr.write(`zerohop: ${sentence}\n`);
  process.exitCode = 1;
} else {
  const { runProgram } = await import('./program.js');
  await runProgram();
}
