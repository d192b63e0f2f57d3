/** The user's samples, and batches of them. In batches, the time axis precedes the sample axis. */
import { InputError, quote } from "@spikeroute/core"
import { type Numbers, toFloat32 } from "@spikeroute/core/values"

/** Samples to train or test a network with. */
export interface Samples {
  /** [N, …], in the order of the sample's shape; with the encoding `frames`, [N, T, …]. */
  readonly inputs: Numbers
  /** [N], class indices counted from 0; [N, T] for losses with one class per step. */
  readonly labels?: Numbers
  /** [N, outputs], numbers; [N, T, outputs] for losses with targets per step. */
  readonly targets?: Numbers
}

/** Rows of equal length, which may consist of one part per step. */
export interface Rows {
  readonly values: Float32Array
  readonly length: number
  readonly steps: number
}

/**
 * The values of `count` samples as rows.
 *
 * @throws InputError if they are not numbers, or cannot be divided into equal rows
 */
export const rowsOf = (what: string, given: unknown, count: number, steps: number): Rows => {
  const values = toFloat32(given)
  if (values === undefined)
    throw new InputError({ what, reason: `it must be an array of numbers, not ${quote(given)}` })
  const length = values.length / count
  if (!Number.isInteger(length / steps) || length === 0)
    throw new InputError({
      what,
      reason: `${values.length} numbers cannot be divided among ${count} samples`,
    })
  return { values, length, steps }
}

/** Selects rows, as [T, N, …] if they have steps. Missing rows are 0. */
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
