import { createHash } from "node:crypto";

/**
 * A cache library of the app, which decides how keys are computed.
 * @typedef {object} Library
 * @property {string} name
 * @property {string} hash its default hash_method
 * @property {string} keywords its text for a call without keyword arguments
 * @property {boolean} hasQueries it knows query_string=True
 * @property {string} queryPrefix the key_prefix of views with a query; "" means the decorator's
 * @property {boolean} strips it removes most punctuation from names
 * @property {boolean} dropsFalse it hashes a false default as None
 */

/** Flask-Cache 0.13. @type {Readonly<Library>} */
export const flaskCache013 = Object.freeze({
  name: "Flask-Cache",
  hash: "md5",
  keywords: "{}",
  hasQueries: false,
  queryPrefix: "",
  strips: false,
  dropsFalse: false,
});

/** Flask-Caching 1.10 to 2.4. @type {Readonly<Library>} */
export const caching24 = Object.freeze({
  name: "Flask-Caching 2.4",
  hash: "md5",
  keywords: "OrderedDict()",
  hasQueries: true,
  queryPrefix: "%s",
  strips: false,
  dropsFalse: true,
});

/** Flask-Caching from 2.5 on. @type {Readonly<Library>} */
export const caching25 = Object.freeze({
  name: "Flask-Caching 2.5",
  hash: "sha256",
  keywords: "OrderedDict()",
  hasQueries: true,
  queryPrefix: "",
  strips: true,
  dropsFalse: false,
});

/** @type {readonly Readonly<Library>[]} */
export const LIBRARIES = Object.freeze([flaskCache013, caching24, caching25]);

export const HASHES = Object.freeze(["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]);

/**
 * @param {Library} library
 * @param {string} text
 * @param {"hex" | "base64"} encoding
 * @returns {string}
 */
export function digest(library, text, encoding) {
  return createHash(library.hash).update(text).digest(encoding);
}
