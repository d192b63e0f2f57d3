/** Samples of a person's, one after the other, and batches of them, in which steps come before samples. */
import { InputError, quote } from "@spikeroute/core"
import { type Numbers, toFloat32 } from "@spikeroute/core/values"

/** What a network is trained or tried on. */
export interface Samples {
  /** [N, …] in the order of the shape; where the encoding is `frames`, [N, T, …]. */
  readonly inputs: Numbers
  /** [N] classes, counted from 0; where a loss takes one a step, [N, T]. */
  readonly labels?: Numbers
  /** [N, outputs] real numbers; where a loss takes them at each step, [N, T, outputs]. */
  readonly targets?: Numbers
}

/** Rows of equal length, of which each may have a part for each step. */
export interface Rows {
  readonly values: Float32Array
  readonly length: number
  readonly steps: number
}

/**
 * The numbers of `count` samples as rows.
 *
 * @throws InputError where they are no numbers, or do not come out even
 */
export const rowsOf = (what: string, given: unknown, count: number, steps: number): Rows => {
  const values = toFloat32(given)
  if (values === undefined)
    throw new InputError({ what, reason: `it must be an array of numbers, not ${quote(given)}` })
  const length = values.length / count
  if (!Number.isInteger(length / steps) || length === 0)
    throw new InputError({
      what,
      reason: `${values.length} numbers are not the same number for each of ${count} samples`,
    })
  return { values, length, steps }
}

/** Some rows, as [T, N, …] where they have steps; what is behind the last is 0. */
export const batchOf = ({ values, length, steps }: Rows, chosen: ArrayLike<number>, size: number): Float32Array => {
  const out = new Float32Array(size * length)
  const each = length / steps
  for (let n = 0; n < chosen.length; n++) {
    const from = (chosen[n] as number) * length
    for (let t = 0; t < steps; t++)
      out.set(values.subarray(from + t * each, from + (t + 1) * each), (t * size + n) * each)
  }
  return out
}
