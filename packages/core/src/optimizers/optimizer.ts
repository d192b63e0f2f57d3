/**
 * Optimisers change the weights once a batch. What changes from batch to batch reaches them through `hyperparameters`, a buffer
 * of three numbers: the learning rate and the bias corrections 1 − β₁ⁿ and 1 − β₂ⁿ of update n.
 */
import { Schema } from "effect"
import type { AnyKernel } from "../kernel.ts"

const NonNegative = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

export interface OptimizerOptions {
  readonly name: "sgd" | "adam" | "adamw"
  /** sgd: the share of the last update that is kept. */
  readonly momentum: number
  readonly weightDecay: number
  /** adam, adamw: decay rates of the moments. */
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
}

export const OptimizerSchema: Schema.Codec<OptimizerOptions> = Schema.Struct({
  name: Schema.Literals(["sgd", "adam", "adamw"]),
  momentum: NonNegative,
  weightDecay: NonNegative,
  beta1: NonNegative,
  beta2: NonNegative,
  epsilon: NonNegative,
})

export interface Optimizer {
  readonly kernel: AnyKernel
  /** Names of the kernel's operands of a parameter's shape that are kept from update to update. */
  readonly state: ReadonlyArray<string>
  readonly attributes: (options: OptimizerOptions) => Readonly<Record<string, unknown>>
}
