// The request that was made, to be made again elsewhere. Names are quoted by the rules of each language.

import { quoted, shell } from "../snippets.js";

function curl({ url, type, name, token }) {
  const header = token ? ` \\\n  -H "Authorization: Bearer $LCNET_TOKEN"` : "";
  return `curl ${shell(url)} \\\n  -H ${shell(`Content-Type: ${type}`)}${header} \\\n  --data-binary @${shell(safe(name))}`;
}

function python({ url, type, name, token }) {
  const header = token ? `, "Authorization": "Bearer " + os.environ["LCNET_TOKEN"]` : "";
  return `import json${token ? "\nimport os" : ""}
from pathlib import Path
from urllib.request import Request, urlopen

request = Request(
    ${quoted(url)},
    data=Path(${quoted(name)}).read_bytes(),
    headers={"Content-Type": ${quoted(type)}${header}},
)
with urlopen(request) as response:
    print(json.load(response)["results"][0])
`;
}

function javascript({ url, type, name, token }) {
  const header = token ? `, Authorization: \`Bearer \${process.env.LCNET_TOKEN}\`` : "";
  return `import { readFile } from "node:fs/promises";

const response = await fetch(${quoted(url)}, {
  method: "POST",
  headers: { "Content-Type": ${quoted(type)}${header} },
  body: await readFile(${quoted(name)}),
});
console.log((await response.json()).results[0]);
`;
}

/** `@-` would be curl's standard input. */
const safe = (name) => (name.startsWith("-") ? `./${name}` : name);

export const LANGUAGES = [
  ["curl", curl],
  ["Python", python],
  ["JavaScript", javascript],
];
