/** Comparison of tensors, and the error that describes where they differ. */
import { Data, Effect } from "effect"

/** A backend fails a test of the suite. */
export class ConformanceError extends Data.Error<{ readonly reason: string }> {
  readonly _tag = "ConformanceError"
  override readonly name = "ConformanceError"

  override get message(): string {
    return this.reason
  }
}

/** An error of the suite. */
export const fail = (reason: string): Effect.Effect<never, ConformanceError> =>
  Effect.fail(new ConformanceError({ reason }))

/** Fails with the reason unless the condition is true. */
export const ensure = (condition: boolean, reason: string): Effect.Effect<void, ConformanceError> =>
  condition ? Effect.void : fail(reason)

/** Lower limit of the scale of a comparison, so that flushing denormal numbers to 0 is accepted. */
const smallestScale = 1e-30

/**
 * The largest absolute difference divided by the largest absolute expected value. Non-finite numbers must be equal, otherwise the
 * deviation is infinite.
 */
export const deviation = (expected: Float32Array, actual: Float32Array): number => {
  if (expected.length !== actual.length) return Number.POSITIVE_INFINITY
  let scale = smallestScale
  let difference = 0
  for (let i = 0; i < expected.length; i++) {
    const [want, got] = [expected[i]!, actual[i]!]
    if (Number.isFinite(want) && Number.isFinite(got)) {
      scale = Math.max(scale, Math.abs(want))
      difference = Math.max(difference, Math.abs(want - got))
    } else if (!Object.is(want, got)) return Number.POSITIVE_INFINITY
  }
  return difference / scale
}

/** Describes the first element with the largest difference. */
const worst = (expected: Float32Array, actual: Float32Array): string => {
  if (expected.length !== actual.length) return `${actual.length} values instead of ${expected.length}`
  const distance = (i: number) => {
    const [want, got] = [expected[i]!, actual[i]!]
    if (Object.is(want, got)) return 0
    return Number.isFinite(want) && Number.isFinite(got) ? Math.abs(want - got) : Number.POSITIVE_INFINITY
  }
  let at = 0
  for (let i = 1; i < expected.length; i++) if (distance(i) > distance(at)) at = i
  return `element ${at} of ${expected.length} is ${actual[at]} instead of ${expected[at]}`
}

/** Fails unless the deviation is at most `tolerance`. */
export const expectClose = (
  what: string,
  expected: Float32Array,
  actual: Float32Array,
  tolerance: number,
): Effect.Effect<void, ConformanceError> => {
  const found = deviation(expected, actual)
  return ensure(
    found <= tolerance,
    `${what} deviates by ${found.toExponential(1)}, more than ${tolerance}: ${worst(expected, actual)}`,
  )
}

/** Fails unless all values are equal; 0 equals −0. */
export const expectEqual = (
  what: string,
  expected: Float32Array,
  actual: Float32Array,
): Effect.Effect<void, ConformanceError> =>
  ensure(
    expected.length === actual.length &&
      expected.every((value, i) => value === actual[i] || (Number.isNaN(value) && Number.isNaN(actual[i]))),
    `${what} is not the same: ${worst(expected, actual)}`,
  )

/** Fails if a value is finite that must not be. */
export const expectNotFinite = (
  what: string,
  expected: Float32Array,
  actual: Float32Array,
): Effect.Effect<void, ConformanceError> => {
  const lost = expected.findIndex((value, i) => !Number.isFinite(value) && Number.isFinite(actual[i]))
  return ensure(lost === -1, `${what}: element ${lost} is ${actual[lost]} instead of ${expected[lost]}`)
}
