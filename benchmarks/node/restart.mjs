// A service that goes on using ioredis, with its stock options, while the proxy restarts. Arguments: an address, how many
// clients, and how many loops on each. It runs until its standard input ends. Each loop sets a value, gets it and counts,
// and checks what comes back. Prints the number of commands now and then, and at last what happened, as lines of JSON.

import Redis from "ioredis";

const STEP = 500; // commands between two lines
const [address, clients, loops] = process.argv.slice(2);
const report = { commands: 0, failed: 0, wrong: 0, slowest_ms: 0, silence_ms: 0, errors: {} };
let isOver = false;
let last = performance.now();

// One command. Returns its answer, and undefined if it failed.
async function record(send, isRight) {
  const began = performance.now();
  let answer;
  try {
    answer = await send();
    if (!isRight(answer)) report.wrong += 1;
    report.silence_ms = Math.max(report.silence_ms, performance.now() - last);
    last = performance.now();
  } catch (error) {
    report.failed += 1;
    report.errors[error.message] = (report.errors[error.message] ?? 0) + 1;
  }
  report.slowest_ms = Math.max(report.slowest_ms, performance.now() - began);
  report.commands += 1;
  if (report.commands % STEP === 0) console.log(JSON.stringify({ commands: report.commands }));
  return answer;
}

async function work(client, key) {
  let count; // after an error it may have counted or not
  for (let number = 0; !isOver; number += 1) {
    const value = JSON.stringify({ n: number });
    const wrote = await record(() => client.set(key, value, "EX", 3600), () => true);
    await record(() => client.get(key), (got) => wrote === undefined || got === value);
    const known = count;
    count = await record(() => client.incr(`${key}:count`), (next) => known === undefined || next === known + 1);
  }
}

process.stdin.on("end", () => { isOver = true; }).resume();
const all = Array.from({ length: Number(clients) }, () => new Redis(`redis://${address}`));
for (const client of all) client.on("error", () => {}); // it connects again by itself
await Promise.all(all.flatMap((client, number) =>
  Array.from({ length: Number(loops) }, (_, loop) => work(client, `flask_cache_node-restart:${number}:${loop}`))));
report.silence_ms = Math.max(report.silence_ms, performance.now() - last);
console.log(JSON.stringify(report));
for (const client of all) client.disconnect();
