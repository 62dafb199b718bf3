/** `npm run pictures` makes the pictures of the pages from what the program prints on this machine. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { repositoryPath } from '../corpus/repository.js';
import { runDemo } from './demo-run.js';
import { terminalPicture } from './picture.js';

const { printed } = await runDemo({ FORCE_COLOR: '1', NO_COLOR: '' });
const [shown] = printed.split('\nzerohop serves until Ctrl-C.');
const lines = shown
  .trimEnd()
  .split('\n')
  .filter((line) => !line.includes(' is in use; '));
const description = 'The output of zerohop demo: queries of a pod, where each was answered, and how long it took.';
mkdirSync(repositoryPath('docs', 'pictures'), { recursive: true });
writeFileSync(
  repositoryPath('docs', 'pictures', 'demo.svg'),
  terminalPicture(['$ zerohop demo', ...lines], 'zerohop demo', description),
);
