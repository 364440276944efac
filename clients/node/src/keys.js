import { FlaskCacheError, printable } from "./errors.js";
import { digest } from "./library.js";
import { repr, reprText, reprTuple } from "./repr.js";
import { isZeroDecimal } from "./texts.js";
import { Complex, Decimal, Markup, PyFloat, TimeDelta } from "./values.js";

/** @typedef {import("./library.js").Library} Library */

export const VIEW = "view/%s"; // the default key_prefix of @cache.cached()

const DEFAULT_REPR = / at 0x[0-9A-Fa-f]+>/;
const FULL_NAME = /^[^\s().:/-][^\s():/]*\.[^\s().:/]+$/;
// eslint-disable-next-line no-control-regex -- they are what it looks for
const CONTROLS = /[\x00-\x1f\x7f]/;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** @param {boolean} isWrong @param {string} message */
export function refuse(isWrong, message) {
  if (isWrong) throw new FlaskCacheError(message);
}

/** Throws for what is no text, or has no UTF-8. @param {unknown} text @param {string} what @returns {asserts text is string} */
export function refuseOther(text, what) {
  refuse(typeof text !== "string", `${what} must be text, not ${printable(text)}`);
  refuse(!(/** @type {string} */ (text).isWellFormed()), `${what} has half of a surrogate pair`);
}

/** @param {unknown} text @param {string} what @returns {asserts text is string} */
export function refuseAddress(text, what) {
  if (typeof text === "function") throw new FlaskCacheError(`only the app knows what a callable ${what} returns: give that text`);
  refuseOther(text, `the ${what}`);
  refuse(DEFAULT_REPR.test(text), `only the app knows what a callable ${what} returns: give that text`);
}

/**
 * The part of a view's key behind CACHE_KEY_PREFIX, with the path in the place of %s.
 * @param {string} keyPrefix
 * @param {string | undefined} path
 */
export function placed(keyPrefix, path) {
  refuseAddress(keyPrefix, "key_prefix");
  const at = keyPrefix.indexOf("%s");
  if (at < 0) return keyPrefix;
  const around = [keyPrefix.slice(0, at), keyPrefix.slice(at + 2)];
  refuse(
    around.some((part) => part.replaceAll("%%", "").includes("%")),
    `Python cannot format the key_prefix ${JSON.stringify(keyPrefix)}: next to its one %s, write another % as %%`,
  );
  return around.map((part) => part.replaceAll("%%", "%")).join(decodedPath(path));
}

/** Flask's request.path for the path of a URL. @param {string | undefined} path */
function decodedPath(path) {
  if (path === undefined) throw new FlaskCacheError("a key_prefix with %s needs a path");
  refuseOther(path, "the path");
  const shown = `the path ${JSON.stringify(path)}`;
  refuse(!path.startsWith("/"), `${shown} does not begin with /`);
  refuse(CONTROLS.test(path), `${shown} has a control character: escape it as in a URL`);
  refuse(/[?#]/.test(path), `${shown} has a query: use query(), or write a ? or # of the path itself as %3F or %23`);
  return lenient.decode(unescaped(path));
}

/** @param {string} text @returns {Buffer} with the valid escapes decoded */
function unescaped(text) {
  const parts = text.split(/(%[0-9A-Fa-f]{2})/).map((part, at) =>
    at % 2 ? Buffer.from(part.slice(1), "hex") : Buffer.from(part),
  );
  return Buffer.concat(parts);
}

/** The hash of a query's pairs. @param {Library} library @param {string} query */
export function queryHash(library, query) {
  refuseOther(query, "the query");
  refuse(
    CONTROLS.test(query) || query.includes("#"),
    `the query ${JSON.stringify(query)} has a control character or a #: escape it as in a URL`,
  );
  const pairs = query
    .replace(/^\?/, "")
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const [name = "", ...value] = part.split("=");
      return [decodedPart(name), decodedPart(value.join("="))];
    });
  pairs.sort(([nameA = "", a = ""], [nameB = "", b = ""]) => compare(nameA, nameB) || compare(a, b));
  return digest(library, reprTuple(pairs.map((pair) => reprTuple(pair.map(reprText)))), "hex");
}

/** @param {string} part */
function decodedPart(part) {
  try {
    return utf8.decode(unescaped(part.replaceAll("+", " ")));
  } catch {
    throw new FlaskCacheError("the decoded query is not UTF-8, which each version of Werkzeug reads differently");
  }
}

/** By code points, as Python compares. @param {string} a @param {string} b */
const compare = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** @param {string} prefix @param {string} name @param {readonly string[]} varyOn */
export function fragmentKey(prefix, name, varyOn) {
  const parts = [name, ...varyOn];
  for (const part of parts) refuseOther(part, "each value of a fragment");
  refuse(
    DEFAULT_REPR.test(parts.join("_")),
    `the text of the fragment ${JSON.stringify(name)} contains an address, which no other process has`,
  );
  return `${prefix}_template_fragment_cache_${parts.join("_")}`;
}

/** An argument that the call leaves out. */
class Default {
  /** @param {unknown} value */
  constructor(value) {
    this.value = value;
  }
}

/** A keyword-only argument that the call passes. */
class Keyword {
  /** @param {string} name @param {unknown} value */
  constructor(name, value) {
    this.name = name;
    this.value = value;
  }
}

/** The object of a method. */
class Self {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** The class of a class method. */
class OfClass {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }
}

/** An argument of memo() that the call leaves out; `value` is the default of its parameter. @param {unknown} value */
export const defaultOf = (value) => new Default(value);

/** An argument of memo() that the decorator's args_to_ignore names. */
export const ignored = Object.freeze(new Default(null));

/** A keyword-only argument of memo() that the call passes, at the end. @param {string} name @param {unknown} value */
export const keyword = (name, value) => {
  refuseOther(name, "the name of a keyword()");
  return new Keyword(name, value);
};

/** The first argument of a method's memo(): the repr() of the object. @param {string} text */
export const self = (text) => new Self(text);

/** The first argument of a class method's memo(): the class as module.name, or its repr(). @param {string} name */
export const ofClass = (name) => new OfClass(name);

/**
 * A call of a memoized function, as its key describes it.
 * @typedef {object} Call
 * @property {string} name
 * @property {string | undefined} instance
 * @property {string[]} shown the repr() of each argument
 * @property {string} keywords
 */

/**
 * @param {Library} library
 * @param {string | undefined} python
 * @param {string} name
 * @param {readonly unknown[]} args
 * @returns {Call}
 */
export function callOf(library, python, name, args) {
  refuseOther(name, "the name of a function");
  refuse(
    !FULL_NAME.test(name),
    `the function ${JSON.stringify(name)} is not named by its module and its qualified name, such as shop.total`,
  );
  const first = args.findIndex((arg) => arg instanceof Keyword);
  const positional = first < 0 ? args : args.slice(0, first);
  const keywords = /** @type {Keyword[]} */ (first < 0 ? [] : args.slice(first));
  refuse(keywords.some((arg) => !(arg instanceof Keyword)), `${name}: an argument follows a keyword(): keywords come last`);
  const instance = positional[0] instanceof Self ? instanceOf(positional[0].text) : undefined;
  const shown = positional.map((arg, at) => argument(library, name, arg, at));
  return { name, instance, shown, keywords: keywords.length ? keywordsText(library, python, name, keywords) : library.keywords };
}

/** @param {string} text */
function instanceOf(text) {
  refuseOther(text, "the repr() of an object");
  refuse(text === "", "the repr() of the object is empty");
  refuse(
    DEFAULT_REPR.test(text),
    "the default repr() of an object contains its address, which differs in each process: only the app can compute the " +
      "key. Give the class a __repr__() that distinguishes its objects",
  );
  refuse(text.startsWith("<class "), "a class method has one version for all classes: use ofClass() instead of self()");
  return text;
}

/** @param {Library} library @param {string} name @param {unknown} arg @param {number} at */
function argument(library, name, arg, at) {
  const isOwner = arg instanceof Self || arg instanceof OfClass;
  refuse(isOwner && at > 0, `argument ${at + 1} of ${name}: self() or ofClass() must be the first argument`);
  try {
    refuse(arg === ignored && !library.hasQueries, `${library.name} has no args_to_ignore`);
    if (arg instanceof Self) return reprText(arg.text);
    if (arg instanceof OfClass) return reprText(classText(arg.name));
    if (arg instanceof Default) return library.dropsFalse && isFalse(arg.value) ? "None" : repr(arg.value);
    return repr(arg);
  } catch (error) {
    throw inCall(`argument ${at + 1} of ${name}`, error);
  }
}

/** @param {string} where @param {unknown} error */
function inCall(where, error) {
  if (error instanceof RangeError) return new FlaskCacheError(`${where}: it nests too deep, or holds itself`);
  return error instanceof FlaskCacheError ? new FlaskCacheError(`${where}: ${error.message}`) : error;
}

/** @param {string} name */
function classText(name) {
  refuseOther(name, "the name of a class");
  refuse(DEFAULT_REPR.test(name), "this is the repr() of an object, not of a class");
  if (name.startsWith("<")) return name;
  refuse(!name.includes("."), `a class is named by its module and name, such as shop.${name}`);
  return `<class '${name}'>`;
}

/** Whether Python takes a value as false. @param {any} value */
function isFalse(value) {
  if (value instanceof PyFloat) return value.value === 0;
  if (value instanceof Decimal) return isZeroDecimal(value.text);
  if (value instanceof TimeDelta) return value.valueOf() === 0;
  if (value instanceof Complex) return value.re === 0 && value.im === 0;
  if (value instanceof Markup) return value.text === "";
  if (value instanceof Set || value instanceof Map) return value.size === 0;
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0;
  const isDict = value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype;
  return isDict ? Object.keys(value).length === 0 : !value && !Number.isNaN(value);
}

/** @param {Library} library @param {string | undefined} python @param {string} name @param {Keyword[]} passed */
function keywordsText(library, python, name, passed) {
  refuse(!library.hasQueries, `${name}: ${library.name} has no keyword-only arguments in its keys: leave them out`);
  if (python === undefined) throw new FlaskCacheError(`${name}: a keyword() depends on the app's Python: set the option python`);
  const sorted = [...passed].sort((a, b) => compare(a.name, b.name));
  refuse(
    sorted.some((each, at) => each.name === "" || each.name === sorted[at - 1]?.name),
    `${name}: a keyword() has no name, or is given twice`,
  );
  const shown = sorted.map((each) => [reprText(each.name), keywordText(name, each)]);
  return printsBraces(python)
    ? `OrderedDict({${shown.map((pair) => pair.join(": ")).join(", ")}})`
    : `OrderedDict([${shown.map((pair) => `(${pair.join(", ")})`).join(", ")}])`;
}

/** @param {string} name @param {Keyword} passed */
function keywordText(name, passed) {
  try {
    return repr(passed.value);
  } catch (error) {
    throw inCall(`the keyword ${passed.name} of ${name}`, error);
  }
}

/** Python prints an OrderedDict with braces from 3.12 on. @param {string} python */
export function printsBraces(python) {
  const minor = /^3\.(\d+)/.exec(python)?.[1];
  if (minor === undefined) throw new FlaskCacheError(`${JSON.stringify(python)} is no version of Python 3, such as "3.12"`);
  return Number(minor) >= 12;
}

/** The keys of a function's version, and of a method's object. @param {Library} library @param {string} prefix @param {Call} call */
export function versionKeys(library, prefix, { name, instance }) {
  const names = instance === undefined ? [name] : [name, `${name}.${instance}`];
  return names.map((each) => `${prefix}${stripped(library, each)}_memver`);
}

/** @param {Library} library @param {string} prefix @param {Call} call @param {string} version */
export function resultKey(library, prefix, call, version) {
  const text = stripped(library, call.name) + reprTuple(call.shown) + call.keywords;
  return prefix + digest(library, text, "base64").slice(0, 16) + version;
}

/** @param {Library} library @param {string} name */
const stripped = (library, name) => (library.strips ? name.replace(/[^A-Za-z0-9_.\u0100-\u{10ffff}]/gu, "") : name);
