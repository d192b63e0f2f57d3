/** Linear layers. Matrices are transposed first: TensorFlow.js's transposed products are ten times slower in WebAssembly. */
import type { Tensor, Workspace } from "../workspace.ts"
import type { Composition, Operands } from "./composition.ts"

/** A matrix with one row per sample, or per pixel. */
const samples = (tf: Workspace, x: Tensor, inputs: number): Tensor => tf.rows(x, inputs)

export const linearForward: Composition<Operands<"x" | "weight", "y", "bias">> = (tf, { x, weight, bias }) => ({
  y: tf.matMul(samples(tf, x, weight.shape[0] as number), weight, bias),
})

export const linearInputGradient: Composition<Operands<"outputGradient" | "weight", "inputGradient">> = (
  tf,
  { outputGradient, weight },
) => ({
  inputGradient: tf.matMul(
    tf.rows(outputGradient, weight.shape[1] as number),
    tf.derive(weight, "transposed", () => tf.transpose(weight, 1, 0)),
  ),
})

export const linearWeightGradient: Composition<Operands<"x" | "outputGradient", "weightGradient">> = (
  tf,
  { x, outputGradient, weightGradient },
) => ({
  weightGradient: tf.matMul(
    tf.transpose(samples(tf, x, weightGradient.shape[0] as number), 1, 0),
    tf.rows(outputGradient, weightGradient.shape[1] as number),
  ),
})

/** Σ ∂y over all axes except channels. */
export const biasGradient: Composition<Operands<"outputGradient", "biasGradient">> = (tf, { outputGradient }) => ({
  biasGradient: tf.sumRows(tf.rows(outputGradient)),
})
