import { aCount, argument, someFloats, someNumbers } from "../arguments.ts"

/**
 * Counts the rows, among the first `count` rows of outputs, whose label is among the k largest outputs. Of equal outputs, the lower
 * class index ranks first, as in argmax. A row with NaN, or whose label is not a class, does not count.
 *
 * @param outputs [N, classes]
 * @param labels [N], class indices
 * @throws OptionError for arguments of another type
 * @example Train.hits(Float32Array.of(2, 2, 0), Float32Array.of(0), 1) // 1; with the label 1 it is 0
 */
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
