import type * as values from "./values.js";

/** A value of Python, as this package reads it. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Buffer
  | Value[]
  | { [name: string]: Value }
  | Map<unknown, unknown>
  | Set<unknown>
  | values.Moment
  | values.Naive
  | values.Zoned
  | values.Day
  | values.TimeOfDay
  | values.TimeDelta
  | values.Decimal
  | values.Uuid
  | values.Markup
  | values.Complex
  | values.ByteArray
  | values.Tuple
  | values.Response
  | values.Tagged;

/** What can be written: values, a Date, an object with toJSON(), and lists and objects of these. */
export type Writable =
  | Value
  | Date
  | values.PyFloat
  | Uint8Array
  | { toJSON(): unknown }
  | readonly Writable[]
  | { readonly [name: string]: Writable };

/** T, if it can be written. An interface has no index signature and is not Writable, so its properties are checked. */
export type Written<T> = T extends Writable
  ? T
  : T extends (...args: never) => unknown
    ? never
    : T extends object
      ? { readonly [Name in keyof T]: Written<T[Name]> }
      : never;
