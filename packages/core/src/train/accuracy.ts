/**
 * For the first `count` rows of outputs: how many have their label among the k largest. Of equal outputs the first class comes first, as in
 * argmax; a row that holds NaN, or whose label is none of its classes, does not count.
 *
 * @example Train.hits(Float32Array.of(2, 2, 0), Float32Array.of(0), 1) // 1; with the label 1 it is 0
 */
import { aCount, argument, someFloats, someNumbers } from "../arguments.ts"
export const hits = (
  outputs: Float32Array,
  labels: ArrayLike<number>,
  k: number,
  count: number = labels?.length,
): number => {
  argument(outputs, someFloats, "Train.hits", "outputs")
  argument(labels, someNumbers, "Train.hits", "labels")
  argument(k, aCount, "Train.hits", "k")
  argument(count, aCount, "Train.hits", "count")
  const classes = outputs.length / labels.length
  let total = 0
  for (let n = 0; n < count; n++) {
    const label = labels[n]!
    const row = outputs.subarray(n * classes, (n + 1) * classes)
    const own = row[label]
    if (own === undefined || row.some(Number.isNaN)) continue
    let ahead = 0
    row.forEach((value, c) => {
      if (value > own || (value === own && c < label)) ahead++
    })
    if (ahead < k) total++
  }
  return total
}
