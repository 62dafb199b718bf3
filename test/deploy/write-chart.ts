/** `npm run chart`: writes the files of the chart that are made from others. */
import { writeFileSync } from 'node:fs';
import { repositoryPath } from '../corpus/repository.js';
import { madeFiles } from './chart-files.js';

for (const [path, text] of Object.entries(madeFiles())) writeFileSync(repositoryPath('deploy', 'chart', path), text);
