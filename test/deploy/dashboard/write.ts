/** `npm run dashboard`: writes deploy/monitoring/dashboard/zerohop.json. */
import { writeFileSync } from 'node:fs';
import { repositoryPath } from '../../corpus/repository.js';
import { made } from './contents.js';

const path = repositoryPath('deploy', 'monitoring', 'dashboard', 'zerohop.json');
writeFileSync(path, `${JSON.stringify(made, null, 2)}\n`);
