// Answers, in JSON, each key that is asked for on standard input: a line {"do": ..., "library": ..., "with": [...]}.
import { createInterface } from "node:readline";
import * as keys from "./cachekeys.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const library = ["query", "versions", "result"].includes(asked.do) ? [keys.libraries[asked.library]] : [];
  console.log(JSON.stringify(keys[asked.do](...library, ...asked.with)));
}
