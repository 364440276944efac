import { json, msgpack } from "./formats.js";
import { VIEW, callOf, fragmentKey, placed, printsBraces, queryHash, refuse, refuseAddress, refuseOther } from "./keys.js";
import { Entry, Fragment, Memo } from "./entry.js";
import { printable } from "./errors.js";
import { HASHES, LIBRARIES } from "./library.js";
import { sender } from "./redis.js";

/** @typedef {import("./library.js").Library} Library */
/** @typedef {import("./formats.js").MsgpackLibrary} MsgpackLibrary */

/**
 * @typedef {object} Options
 * @property {"md5" | "sha1" | "sha224" | "sha256" | "sha384" | "sha512" | undefined} [hash] the app's hash_method or CACHE_HASH_METHOD
 * @property {string | undefined} [python] the version of the app's Python, such as "3.12", for keyword()
 * @property {MsgpackLibrary | undefined} [msgpack] for a msgpack listener: the functions of a msgpack library
 * @property {boolean | undefined} [plain] for a plain listener: values have no tags, and nothing can be written
 */

const OPTIONS = ["hash", "python", "msgpack", "plain"];
const BATCH = "500"; // keys that one SCAN looks at

/** The cache of one Flask app. */
export class FlaskCache {
  /**
   * Throws FlaskCacheError.
   * @param {unknown} client of ioredis, or of node-redis from version 5 on, connected to the proxy
   * @param {Readonly<Library>} library flaskCache013, caching24 or caching25
   * @param {string} [prefix] the app's CACHE_KEY_PREFIX
   * @param {Options} [options]
   */
  constructor(client, library, prefix = "flask_cache_", options = {}) {
    refuse(!LIBRARIES.includes(library), "FlaskCache needs one of flaskCache013, caching24 and caching25");
    refuseAddress(prefix, "CACHE_KEY_PREFIX");
    refuse(typeof options !== "object" || options === null, "the options of FlaskCache are an object, such as { python: \"3.12\" }");
    const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
    refuse(unknown !== undefined, `there is no option ${unknown}: use ${OPTIONS.join(", ")}`);
    const { hash = library.hash, python, plain = false } = options;
    refuse(!HASHES.includes(hash), `there is no hash ${JSON.stringify(hash)}: use ${HASHES.join(", ")}`);
    refuse(!library.hasQueries && hash !== library.hash, `${library.name} has no hash_method: it hashes with MD5`);
    refuse(typeof plain !== "boolean", `the option plain is true or false, not ${printable(plain)}`);
    if (python !== undefined) printsBraces(python);
    /** @internal */
    this.send = sender(client);
    /** @internal */
    this.library = { ...library, hash };
    this.prefix = prefix;
    /** @internal */
    this.python = python;
    /** @internal */
    this.plain = plain;
    /** @internal */
    this.format = options.msgpack ? msgpack(options.msgpack, plain) : json(plain);
  }

  /** The entry of a view with @cache.cached(). @param {string} path as in a URL, with its escapes, without a query */
  view(path) {
    return this.keyPrefix(VIEW).view(path);
  }

  /**
   * The entry of a view with @cache.cached(query_string=True). Both are as in a URL.
   * @param {string} path
   * @param {string} query
   */
  query(path, query) {
    return this.keyPrefix(VIEW).query(path, query);
  }

  /** The entry of {% cache timeout, name, ...varyOn %} in a template. @param {string} name @param {string[]} varyOn */
  fragment(name, ...varyOn) {
    return new Fragment(this, fragmentKey(this.prefix, name, varyOn));
  }

  /**
   * The entry of a call of a function with @cache.memoize(). Give one argument for each parameter, in their order: a
   * value, defaultOf(value) if the call leaves it out, or `ignored`; self() or ofClass() first for a method; keyword()
   * last.
   * @param {string} name module and qualified name, such as "shop.total" or "shop.Cart.total"
   * @param {unknown[]} args
   */
  memo(name, ...args) {
    return new Memo(this, callOf(this.library, this.python, name, args));
  }

  /** For views whose decorator has a key_prefix, such as "all_items" or "page_%s". @param {string} text */
  keyPrefix(text) {
    return new Views(this, text);
  }

  /**
   * Delete all entries whose key begins with the app's prefix and this text, such as "view//blog/".
   * @param {string} text
   * @returns {Promise<number>} how many there were
   */
  async invalidatePrefix(text) {
    refuseOther(text, "the beginning of the keys");
    refuse(text === "", "invalidatePrefix of an empty text would delete every entry: use invalidateAll for that");
    return this.deleteMatching(`${literal(this.prefix + text)}*`);
  }

  /** Delete all entries of the app, as its cache.clear() does. @returns {Promise<number>} how many there were */
  async invalidateAll() {
    refuse(this.prefix === "", "invalidateAll without a prefix would delete every key of the database: use FLUSHDB for that");
    return this.deleteMatching(`${literal(this.prefix)}*`);
  }

  /** @internal @param {string} glob */
  async deleteMatching(glob) {
    let deleted = 0;
    let cursor = "0";
    do {
      const [next, keys] = await this.send("SCAN", cursor, "MATCH", glob, "COUNT", BATCH);
      cursor = String(next);
      const counts = await Promise.all(keys.map((/** @type {Buffer} */ key) => this.send("UNLINK", key)));
      deleted += counts.reduce((total, count) => total + Number(count), 0);
    } while (cursor !== "0");
    return deleted;
  }

  /** @internal @param {unknown} value */
  payload(value) {
    refuse(this.plain, "a plain listener writes no values: use a listener with types");
    return this.format.write(value);
  }
}

/** The entries of views with one key_prefix. */
class Views {
  /** @param {FlaskCache} cache @param {string} text */
  constructor(cache, text) {
    this.cache = cache;
    this.text = text;
  }

  /** The entry of a view. Without %s in the key_prefix, it needs no path. @param {string} [path] */
  view(path) {
    return new Entry(this.cache, this.cache.prefix + placed(this.text, path));
  }

  /** Up to Flask-Caching 2.4 a view with query_string=True ignores its key_prefix. @param {string} path @param {string} query */
  query(path, query) {
    const { library, prefix } = this.cache;
    refuse(!library.hasQueries, `${library.name} has no query_string=True: its key is that of the path alone (view)`);
    const text = prefix + placed(library.queryPrefix || this.text, path);
    const hash = queryHash(library, query);
    return new Entry(this.cache, text + hash, literal(text) + "[0-9a-f]".repeat(hash.length));
  }
}

/** Text as a glob. @param {string} text */
const literal = (text) => text.replace(/[\\*?[\]]/g, "\\$&");
