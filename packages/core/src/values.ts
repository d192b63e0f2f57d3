/**
 * Arrays of numbers from callers: conversion to float32 and a search for non-finite values. Plain functions without imports,
 * because the inference path uses them too.
 */

/** An array of numbers: a plain array, or any typed array except `BigInt64Array` and `BigUint64Array`. */
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

/**
 * Rounds numbers to float32. Returns a Float32Array itself, not a copy; returns `undefined` for anything that is not an array of
 * numbers.
 */
export const toFloat32 = (values: unknown): Float32Array | undefined =>
  values instanceof Float32Array && ArrayBuffer.isView(values)
    ? values
    : isNumbers(values)
      ? new Float32Array(values)
      : undefined

/** The index of the first value that is NaN or infinite, or −1. */
export const firstNonFinite = (values: Float32Array): number => {
  // A float64 sum of float32 numbers cannot overflow, and NaN and infinity propagate: one addition per value.
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  // Separate sums: four times as fast as a tuple of sums, or as reading the length in every iteration.
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
