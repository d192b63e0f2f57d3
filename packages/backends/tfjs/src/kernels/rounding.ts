/** Comparisons of float32 numbers with a bound that is none: the same outcome needs the right neighbour of the bound. */

/** The next float32 below x. */
const before = (x: number): number => {
  const bits = new Int32Array(Float32Array.of(x).buffer)
  if (x === 0) return -(2 ** -149)
  bits[0]! += x > 0 ? -1 : 1
  return new Float32Array(bits.buffer)[0] as number
}

/** The greatest float32 that is at most x: u ≤ x holds for the same float32 u. */
export const roundDown = (x: number): number => {
  const near = Math.fround(x)
  return near <= x ? near : before(near)
}

/** The greatest float32 below x: u ≥ x holds where u is greater than it. */
export const below = (x: number): number => {
  const down = roundDown(x)
  return down === x ? before(x) : down
}
