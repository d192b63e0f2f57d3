/** Parts of a batch, and a batch of parts. */
import type { Program } from "../program/program.ts"

/** The samples of a batch's `part`-th micro-batch. */
export const partOf = <A extends { readonly inputs: Float32Array; readonly labels?: Float32Array }>(
  { microBatches, encoding, timeSteps }: Program,
  batch: A,
  part: number,
): A => {
  if (microBatches === 1) return batch
  const share = (values: Float32Array): Float32Array => {
    const length = values.length / microBatches
    return values.subarray(part * length, (part + 1) * length)
  }
  // [T, N, …]: every step has its share.
  const stride = batch.inputs.length / timeSteps
  const inputs =
    encoding === "static"
      ? share(batch.inputs)
      : joined(Array.from({ length: timeSteps }, (_, t) => share(batch.inputs.subarray(t * stride, (t + 1) * stride))))
  return { ...batch, inputs, ...(batch.labels ? { labels: share(batch.labels) } : {}) }
}

/** One array after the other. */
export const joined = (parts: ReadonlyArray<Float32Array>): Float32Array => {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
