/**
 * Reads and fills the Redis cache of a Flask app, through flask-cache-proxy.
 * @module
 */

export * from "./values.js";
export { FlaskCache } from "./cache.js";
export { Entry, FOREVER } from "./entry.js";
export { FlaskCacheError, PythonTypeError } from "./errors.js";
export { caching24, caching25, flaskCache013 } from "./library.js";
export { defaultOf, ignored, keyword, ofClass, self } from "./keys.js";
export { parse, stringify } from "./formats.js";
export { replacer } from "./encode.js";
export { reviver } from "./decode.js";
export * as want from "./want.js";

/** @typedef {import("./types.js").Value} Value */
/** @typedef {import("./types.js").Writable} Writable */
