import { FlaskCacheError } from "./errors.js";

/**
 * Sends a command, and gives bulk replies as Buffers.
 * @typedef {(...command: (string | Buffer)[]) => Promise<any>} Send
 */

const BULK = 36; // "$": node-redis' number for replies that are bulk strings

/**
 * How to send commands with a client of ioredis, or of node-redis from version 5 on. Throws FlaskCacheError.
 * @param {any} client
 * @returns {Send}
 */
export function sender(client) {
  if (client?.isCluster || typeof client?.nodeClient === "function") {
    throw new FlaskCacheError("a client for clusters writes past the proxy: use an ordinary client");
  }
  if (typeof client?.getBuffer === "function") return ofIoredis(client);
  if (typeof client?.withTypeMapping === "function" && typeof client.sendCommand === "function") {
    // Not through withTypeMapping(), which sendCommand() ignores in node-redis 5.
    return (...command) => client.sendCommand(command, { typeMapping: { [BULK]: Buffer } });
  }
  throw new FlaskCacheError("the client is neither of ioredis nor of node-redis from version 5 on");
}

/** @param {any} client @returns {Send} */
function ofIoredis(client) {
  if (client.options?.keyPrefix) {
    throw new FlaskCacheError("the ioredis client has a keyPrefix: give the app's prefix to FlaskCache instead");
  }
  // Each command has its method, such as getBuffer(). callBuffer() loses the command's name with enableAutoPipelining.
  return (name, ...args) => client[`${String(name).toLowerCase()}Buffer`](...args);
}
