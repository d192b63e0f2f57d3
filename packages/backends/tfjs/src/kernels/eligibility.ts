/** Eligibility traces: states × [samples, inputs, outputs]; their factors are [samples, 1, outputs]. */
import type { KernelAttributes } from "@spikeroute/core"
import { elements, type Tensor } from "../workspace.ts"
import type { Composition, Operands } from "./composition.ts"

export const eligibility: Composition<
  Operands<"x" | "factors" | "trace", never, "outputGradient", "weightGradient">,
  KernelAttributes["eligibility"]
> = (tf, { x, factors, trace, outputGradient, weightGradient }, { states, first }) => {
  const [samples = 1, outputs = 1] = factors.shape.slice(-2)
  const inputs = elements(x) / samples
  const seen = tf.reshape(x, samples, inputs, 1)
  const cut = (all: Tensor, k: number, ...shape: ReadonlyArray<number>): Tensor => {
    const count = elements({ shape })
    return tf.reshape(tf.slice(tf.flat(all), [k * count], [count]), ...shape)
  }
  const factor = (k: number) => cut(factors, first + k, samples, 1, outputs)
  const own = Array.from({ length: states }, (_, l) => cut(trace, l, samples, inputs, outputs))
  const changed = (direct: number, row: number): Tensor =>
    own.reduce((sum, each, l) => tf.add(sum, tf.mul(factor(row + l), each)), tf.mul(factor(direct), seen))
  const rows = 1 + states
  return {
    weightGradient:
      outputGradient &&
      weightGradient &&
      tf.sum(tf.mul(tf.reshape(outputGradient, samples, 1, outputs), changed(0, 1)), 0),
    trace: tf.concatenate(own.map((_, k) => tf.flat(changed(rows + states * states + k, rows + k * states)))),
  }
}
