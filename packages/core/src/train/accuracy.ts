/** For the first `count` rows of outputs: how many have their label among the k largest. Ties and NaN count against it. */
export const hits = (outputs: Float32Array, labels: Float32Array, k: number, count = labels.length): number => {
  const classes = outputs.length / labels.length
  let total = 0
  for (let n = 0; n < count; n++) {
    const label = labels[n]!
    const own = outputs[n * classes + label]!
    let ahead = 0
    for (let c = 0; c < classes; c++) if (c !== label && !(outputs[n * classes + c]! < own)) ahead++
    if (ahead < k) total++
  }
  return total
}
