/** Shapes of tensors: extents from the slowest axis to the fastest, channels last. */

/** Extents from the slowest axis to the fastest: `[28, 28, 1]`. */
export type Shape = ReadonlyArray<number>

/** The number of elements. */
export const size = (shape: Shape): number => shape.reduce((product, extent) => product * extent, 1)

/** Whether two shapes are equal. */
export const equals = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((extent, i) => extent === b[i])

/** The largest number of elements of a value: kernels count them with 32-bit integers. */
export const mostElements: number = 2 ** 30

/**
 * Calls `fail` with a reason unless every extent is a whole number of at least 1 and the number of elements is at most {@link
 * mostElements}.
 */
export const mustExist = (what: string, shape: Shape, fail: (reason: string) => never): void => {
  // `every` skips the holes of a sparse array.
  if (![...shape].every((extent) => Number.isInteger(extent) && extent >= 1))
    fail(`${what} would be ${format(shape)}; every extent must be a whole number of at least 1`)
  if (size(shape) > mostElements) fail(`${what} would be ${format(shape)}, more than 2^30 elements`)
}

/** Calls `fail` with a reason unless a shape is as expected; `undefined` accepts any extent. */
export const mustBe = (
  what: string,
  shape: Shape,
  expected: ReadonlyArray<number | undefined>,
  fail: (reason: string) => never,
): void => {
  if (shape.length !== expected.length || expected.some((extent, i) => (extent ?? shape[i]) !== shape[i]))
    fail(
      `the ${what} is ${format(shape)}; it must be ${expected.map((extent) => extent ?? "n").join("×") || "one number"}`,
    )
}

/** Formats a shape for messages: `28×28×1`, or `scalar`. */
export const format = (shape: Shape): string => (shape.length === 0 ? "scalar" : shape.join("×"))
