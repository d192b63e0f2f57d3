/**
 * Arrays of numbers from outside: as float32, and searched for what is not finite. Plain functions without imports, for the
 * inference path is made of them too.
 */

/** Any array of numbers: a plain one, or a typed one of every kind but `BigInt64Array` and `BigUint64Array`. */
export type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | ReadonlyArray<number>

const isNumbers = (values: unknown): values is Numbers =>
  ArrayBuffer.isView(values)
    ? !/Big|Data/.test(Object.prototype.toString.call(values))
    : Array.isArray(values) && values.every((value) => typeof value === "number")

/** Numbers rounded to float32 (an array of float32 itself, not a copy), or `undefined` for anything that is no array of numbers. */
export const toFloat32 = (values: unknown): Float32Array | undefined =>
  values instanceof Float32Array && ArrayBuffer.isView(values)
    ? values
    : isNumbers(values)
      ? new Float32Array(values)
      : undefined

/** The index of the first value that is NaN or infinite, or −1. */
export const firstNonFinite = (values: Float32Array): number => {
  // In float64 no sum of numbers of float32 overflows, and what is not finite stays so: one addition a value.
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  // Four times as fast as with a tuple of sums, or with the length read in each round.
  const whole = values.length - (values.length % 4)
  for (let i = 0; i < whole; i += 4) {
    a += values[i] as number
    b += values[i + 1] as number
    c += values[i + 2] as number
    d += values[i + 3] as number
  }
  for (let i = whole; i < values.length; i++) a += values[i] as number
  return Number.isFinite(a + b + c + d) ? -1 : values.findIndex((value) => !Number.isFinite(value))
}
