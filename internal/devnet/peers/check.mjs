// Usage: node check.mjs REPORT.json
// Checks every transaction of a devnet report with libraries that are not ours (report.mjs has the format), prints each
// disagreement and a line 'N passed, N failed', and exits with 1 unless all passed.
import { readFileSync } from 'node:fs';
import { checkReport } from './report.mjs';

function run(path) {
  try {
    return checkReport(JSON.parse(readFileSync(path, 'utf8')));
  } catch (e) {
    return { passed: 0, failures: [`report ${path}: ${e.message}`] };
  }
}

if (process.argv.length !== 3) {
  console.error('usage: node check.mjs REPORT.json');
  process.exit(2);
}
const { passed, failures } = run(process.argv[2]);
for (const f of failures) console.error(f);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
