/** The next float32 below the float32 x, so that u ≥ x if and only if u > below(x). */
export const below = (x: number): number => {
  const bits = new Int32Array(Float32Array.of(x).buffer)
  if (x === 0) return -(2 ** -149)
  bits[0]! += x > 0 ? -1 : 1
  return new Float32Array(bits.buffer)[0] as number
}
