import { randomBytes } from "node:crypto";
import { FlaskCacheError, printable } from "./errors.js";
import { refuse, resultKey, versionKeys } from "./keys.js";
import { Markup } from "./values.js";

/** @typedef {import("./cache.js").FlaskCache} FlaskCache */
/** @typedef {import("./keys.js").Call} Call */

/** The ttl of an entry that does not expire. */
export const FOREVER = Infinity;

const ATTEMPTS = 3; // to store a result under a version that stays the same meanwhile
const PROXY_SAYS = "ERR flask-cache-proxy: ";
const LONGEST_TTL = 100 * 365 * 24 * 3600; // seconds; Redis refuses what is far beyond

/** One entry of the cache. It sends nothing until a method is called. */
export class Entry {
  /**
   * @param {FlaskCache} cache
   * @param {string} name
   * @param {string} [all] a glob of the keys that invalidate() deletes
   */
  constructor(cache, name, all) {
    /** @protected */
    this.cache = cache;
    /** @protected */
    this.name = name;
    /** @protected */
    this.all = all;
  }

  /** The key in Redis. Undefined: a memoized function has no version. @returns {Promise<string | undefined>} */
  async key() {
    return this.name;
  }

  /**
   * Read the value. Undefined: there is none. `want` checks its type, and throws a PythonTypeError for another.
   * Without it, the value is of any type that Python has.
   * @template [T=import("./types.js").Value]
   * @param {(value: unknown, path: string) => T} [want] one of `want`
   * @returns {Promise<T | undefined>}
   */
  async get(want) {
    refuse(want !== undefined && typeof want !== "function", "get() takes one of `want`, such as want.text or want.list(want.int)");
    const key = await this.key();
    const payload = key === undefined ? null : await this.cache.send("GET", key);
    if (payload === null) return undefined;
    const value = this.cache.format.read(payload);
    return want === undefined ? /** @type {T} */ (value) : want(value, "$");
  }

  /**
   * Store a value. Throws FlaskCacheError before it sends anything.
   * @template T
   * @param {T & import("./types.js").Written<T>} value
   * @param {number} ttl seconds, or FOREVER
   */
  async set(value, ttl) {
    this.refuseValue(value);
    await this.store(this.cache.payload(value), expiry(ttl), ttl);
  }

  /** Throws for what the app could not use. @protected @param {unknown} _value */
  // eslint-disable-next-line no-unused-vars -- a fragment looks at it
  refuseValue(_value) {}

  /** @protected @param {Buffer} payload @param {string[]} expires @param {number} ttl */
  // eslint-disable-next-line no-unused-vars -- a memoized result needs the ttl
  async store(payload, expires, ttl) {
    await this.cache.send("SET", this.name, payload, ...expires);
  }

  /**
   * Ask the server whether it is the proxy, and manages this entry's key. For the start of a program: Redis itself, and
   * a proxy that has no rule for the prefix, store any bytes without an error, and Flask cannot read them. It stores
   * nothing. The proxy logs it as a refused SETRANGE.
   */
  async check() {
    const { prefix, plain } = this.cache;
    try {
      await this.cache.send("SETRANGE", this.looked, "0", ""); // of no bytes: Redis changes nothing
    } catch (error) {
      const text = error instanceof Error ? error.message : "";
      if (!text.startsWith(PROXY_SAYS)) throw error;
      refuse(
        text.endsWith("this listener only reads") && !plain,
        "the listener is plain and only reads: use another port, or the option plain",
      );
      return;
    }
    throw new FlaskCacheError(
      `the server stores any bytes under the key ${printable(this.looked)}: it is Redis itself, or the proxy has no rule ` +
        `for the prefix ${printable(prefix)}`,
    );
  }

  /** A key that every operation on this entry needs. @protected @returns {string} */
  get looked() {
    return this.name;
  }

  /** Remove this entry alone. */
  async delete() {
    const key = await this.key();
    if (key !== undefined) await this.cache.send("DEL", key);
  }

  /** Remove what one call in the app would remove: all queries of a path; a view or a fragment. */
  async invalidate() {
    if (this.all === undefined) await this.delete();
    else await this.cache.deleteMatching(this.all);
  }
}

/** A part of a page. Jinja puts it between texts, so anything else would fail each time the page is shown. */
export class Fragment extends Entry {
  /** @protected @override @param {unknown} value */
  refuseValue(value) {
    const isText = typeof value === "string" || value instanceof Markup;
    refuse(!isText, "a template fragment is text: Flask would answer 500 to every visitor, or run the template again for null");
  }
}

/** A result of a memoized function. Its key depends on the function's version, which it reads, makes and keeps alive. */
export class Memo extends Entry {
  /** @param {FlaskCache} cache @param {Call} call */
  constructor(cache, call) {
    super(cache, "");
    /** @private */
    this.call = call;
    /** @private */
    this.versions = versionKeys(cache.library, cache.prefix, call);
  }

  /** @protected @override */
  get looked() {
    return /** @type {string} */ (this.versions[0]);
  }

  /** @override */
  async key() {
    const version = await this.version();
    return version === undefined ? undefined : this.keyUnder(version);
  }

  /** @private @param {string} version */
  keyUnder(version) {
    return resultKey(this.cache.library, this.cache.prefix, this.call, version);
  }

  /** @private @returns {Promise<string | undefined>} */
  async version() {
    const payloads = await Promise.all(this.versions.map((key) => this.cache.send("GET", key)));
    if (payloads.includes(null)) return undefined;
    return payloads.map((payload, at) => {
      const version = this.cache.format.read(payload);
      if (typeof version === "string") return version;
      throw new FlaskCacheError(
        `the version of ${this.call.name} is no text, so the app runs it uncached: delete the key ${this.versions[at]}`,
      );
    }).join("");
  }

  /** @protected @override @param {Buffer} payload @param {string[]} expires @param {number} ttl */
  async store(payload, expires, ttl) {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const version = (await this.version()) ?? (await this.made(ttl));
      if (version === undefined) continue; // it was deleted as soon as it was made
      const key = this.keyUnder(version);
      await this.cache.send("SET", key, payload, ...expires);
      await Promise.all(this.versions.map((each) => this.prolong(each, ttl)));
      if ((await this.version()) === version) return;
      await this.cache.send("DEL", key); // nobody looks under that version any more
    }
    throw new FlaskCacheError(`the version of ${this.call.name} changes all the time: is it invalidated in a loop?`);
  }

  /** Make what is missing of the version. @private @param {number} ttl */
  async made(ttl) {
    const expires = ttl === FOREVER ? [] : ["EX", `${Math.ceil(ttl)}`];
    for (const key of this.versions) {
      const fresh = this.cache.payload(randomBytes(5).toString("base64").slice(0, 6));
      await this.cache.send("SET", key, fresh, ...expires, "NX");
    }
    return this.version();
  }

  /** Make a key live at least as long. It never shortens a TTL. @private @param {string} key @param {number} ttl */
  async prolong(key, ttl) {
    const seconds = `${Math.ceil(ttl)}`;
    if (ttl === FOREVER) return this.cache.send("PERSIST", key);
    try {
      return await this.cache.send("EXPIRE", key, seconds, "GT");
    } catch (error) {
      if (!/wrong number of arguments|Unsupported option/.test(String(error))) throw error; // Redis before 7.0 has no GT
    }
    const left = Number(await this.cache.send("PTTL", key));
    return left < 0 || left >= ttl * 1000 ? left : this.cache.send("EXPIRE", key, seconds);
  }

  /** All results of the function, as delete_memoized(f) does; with self(), those of that object. @override */
  async invalidate() {
    const last = this.versions.at(-1);
    if (last !== undefined) await this.cache.send("DEL", last);
  }
}

/** @param {number} ttl @returns {string[]} the options of SET */
function expiry(ttl) {
  if (ttl === FOREVER) return [];
  refuse(typeof ttl !== "number" || Number.isNaN(ttl), `the ttl is a number of seconds or FOREVER, not ${printable(ttl)}`);
  const milliseconds = Math.round(ttl * 1000);
  refuse(milliseconds < 1, `a ttl of ${ttl} seconds is less than a millisecond; use FOREVER for an entry that does not expire`);
  refuse(ttl > LONGEST_TTL, `a ttl of ${ttl} seconds is more than 100 years; use FOREVER for an entry that does not expire`);
  return ["PX", `${milliseconds}`];
}
