/** `npm run pictures` makes the pictures of the pages from what the program prints on this machine; as root. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { repositoryPath } from '../corpus/repository.js';
import { runDemo } from './demo-run.js';
import { doctorCommand, runDoctorOfSilentEndpoint } from './doctor-run.js';
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

const found = await runDoctorOfSilentEndpoint({ FORCE_COLOR: '1', NO_COLOR: '' });
const about = 'The output of zerohop doctor: one of two pods of the cluster DNS does not answer, and what helps.';
writeFileSync(
  repositoryPath('docs', 'pictures', 'doctor.svg'),
  terminalPicture([doctorCommand, ...found], 'zerohop doctor', about),
);
