// Runs the GraphQL-over-HTTP audits against a running server and prints what is not met; exit code 1 where any audit is not.
import { auditServer } from 'graphql-http';

const url = process.argv[2];
const results = await auditServer({ url, fetchFn: fetch });
let passed = 0;
for (const result of results) {
  if (result.status === 'ok') {
    passed += 1;
  } else {
    console.log(`${result.status} ${result.id} ${result.name}: ${result.reason}`);
  }
}
console.log(`graphql-http: ${passed}/${results.length}`);
process.exit(passed === results.length ? 0 : 1);
