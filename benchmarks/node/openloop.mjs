// An open-loop load from ioredis: commands leave when they are due, whatever became of those before, and each is timed
// from when it was due. Nothing is pipelined: a command takes a connection for itself, or waits for one.
// Arguments: address, protocol, commands a second, connections, seconds, seconds before that, prefix, CA file. Prints
// its figures as JSON.
//
// A thread of its own keeps the clock, because the event loop's timers are only as fine as a millisecond.

import { readFileSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import Redis from "ioredis";

const KEYS = 1000;
const since = (began) => Number(process.hrtime.bigint() - began) / 1e6; // milliseconds, of a clock that threads share

if (isMainThread) await main();
else keepTime(workerData);

function keepTime({ rate, began, ends }) {
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (let number = 0; (number * 1000) / rate <= ends; ) {
    const left = (number * 1000) / rate - since(began);
    if (left > 0) Atomics.wait(never, 0, 0, left);
    const due = [];
    for (const now = since(began); (number * 1000) / rate <= now; number++) due.push((number * 1000) / rate);
    parentPort.postMessage(due);
  }
  parentPort.postMessage(null);
}

function fail(error) {
  console.error(error.message);
  process.exit(1);
}

async function main() {
  const [address, protocol, rate, connections, seconds, warmUp, prefix, ca] = process.argv.slice(2);
  const [host, port] = address.split(":");
  const options = {
    host, port: Number(port), protocol: Number(protocol), enableAutoPipelining: false,
    enableReadyCheck: false, disableClientInfo: true, // twemproxy hangs up at INFO and CLIENT
    retryStrategy: null,
  };
  if (ca) options.tls = { ca: readFileSync(ca), servername: "localhost" };
  const free = Array.from({ length: Number(connections) }, () => new Redis(options).on("error", fail));
  const clients = [...free];
  await Promise.all(clients.map((client) => client.ping()));
  const key = (number) => `${prefix}small:${number}`;
  const value = (number) => JSON.stringify({
    id: 10000 + number, name: `Product ${String(number).padStart(5, "0")}`, price: 9.75, tags: ["new", "sale"],
    stock: 3, active: true, note: null, category: "toys",
  });
  for (let number = 0; number < KEYS; number++) await clients[0].set(key(number), value(number));

  const began = process.hrtime.bigint() + 50_000_000n; // when the thread runs
  const counts = Number(warmUp) * 1000;
  const ends = counts + Number(seconds) * 1000;
  const waits = [];
  const line = [];
  let errors = 0;
  let open = 0;
  let over = false;
  let finish;
  const finished = new Promise((resolve) => (finish = resolve));

  async function send(due) {
    const client = free.pop();
    if (!client) return line.push(due);
    open++;
    const number = Math.floor(Math.random() * KEYS);
    try {
      await (Math.random() < 0.9 ? client.get(key(number)) : client.set(key(number), value(number)));
    } catch (error) {
      if (!errors++) console.error(error.message);
    }
    if (due > counts) waits.push(since(began) - due);
    free.push(client);
    open--;
    if (line.length) send(line.shift());
    else if (over && !open) finish();
  }

  const clock = new Worker(new URL(import.meta.url), { workerData: { rate: Number(rate), began, ends } });
  clock.on("message", (due) => {
    if (due !== null) return due.forEach(send);
    over = true;
    if (!open) finish();
  });
  await finished;
  const took = Math.max(Number(seconds), (since(began) - counts) / 1000);
  clients.forEach((client) => client.disconnect());
  waits.sort((one, other) => one - other);
  const at = (share) => waits[Math.min(waits.length - 1, Math.floor(waits.length * share))];
  console.log(JSON.stringify({
    commands: waits.length, errors, per_second: waits.length / took,
    p50_ms: at(0.5), p99_ms: at(0.99), p999_ms: at(0.999), max_ms: at(1),
  }));
}
