import { FlaskCacheError } from "./errors.js";
import { fromWire, parseJson } from "./decode.js";
import { toWire } from "./encode.js";

/**
 * How values become payloads.
 * @typedef {object} Format
 * @property {(value: unknown) => Buffer} write
 * @property {(payload: Buffer) => unknown} read
 */

/**
 * The two functions of a msgpack library that this package uses. `decode` gives an int beyond 2^53 as a bigint.
 * @typedef {object} MsgpackLibrary
 * @property {(value: any) => Uint8Array} encode
 * @property {(payload: Uint8Array) => unknown} decode
 */

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LARGE = Buffer.from("cf0020000000000001", "hex"); // 2^53 + 1
const OBJECT = [0x81, 0xde, 0xdf]; // how a map begins

/** @param {boolean} isPlain @returns {Format} */
export const json = (isPlain) => ({
  write: (value) => Buffer.from(stringify(value)),
  read: (payload) => fromWire(parseJson(textOf(payload)), isPlain),
});

/** @param {Buffer} payload */
function textOf(payload) {
  try {
    return utf8.decode(payload);
  } catch {
    throw new FlaskCacheError("$: the payload is not UTF-8, so it is no JSON: is this the proxy's JSON port?");
  }
}

/** Throws FlaskCacheError. @param {MsgpackLibrary} library @param {boolean} isPlain @returns {Format} */
export function msgpack(library, isPlain) {
  const { encode, decode } = checked(library);
  return {
    write: (value) => Buffer.from(encode(toWire(value, true))),
    read: (payload) => {
      let wire;
      try {
        wire = decode(payload);
      } catch (error) {
        throw new FlaskCacheError(`$: the payload is no msgpack: is this the proxy's msgpack port? ${error}`);
      }
      return fromWire(wire, isPlain);
    },
  };
}

/** Try the options of the library, whose defaults may round or have extensions. @param {MsgpackLibrary} library */
function checked(library) {
  if (typeof library.encode !== "function" || typeof library.decode !== "function") {
    throw new FlaskCacheError("the option msgpack needs two functions, encode and decode");
  }
  if (library.decode(LARGE) !== 2n ** 53n + 1n) {
    throw new FlaskCacheError(
      'the msgpack library rounds ints beyond 2^53: pass useBigInt64: true (@msgpack/msgpack) or int64AsType: "bigint" (msgpackr)',
    );
  }
  if (!OBJECT.includes(library.encode({ a: 1 })[0] ?? 0)) {
    throw new FlaskCacheError("the msgpack library does not write objects as maps: pass useRecords: false (msgpackr)");
  }
  return library;
}

/** A value as the JSON that the proxy takes. Throws FlaskCacheError. @param {unknown} value @returns {string} */
export const stringify = (value) => JSON.stringify(toWire(value, false));

/** The value of JSON from the proxy. Throws FlaskCacheError. @param {string} text @returns {any} */
export const parse = (text) => fromWire(parseJson(text), false);
