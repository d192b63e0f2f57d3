/**
 * A surrogate gradient replaces the derivative of the step function with which a neuron fires (Neftci et al., IEEE Signal
 * Processing Magazine 2019).
 *
 * z is the membrane potential minus the threshold. Each surrogate g has a primitive G with G′ = g and G(0) = 1/2. A network whose
 * neurons output G(z) instead of the step function has true gradients, which can be checked against finite differences.
 */
import type { Schema } from "effect"
import type { SurrogateExpression } from "../expressions/expression.ts"

/** The definition of a surrogate. `O` are its options, one of which is its name. */
export interface Surrogate<O extends { readonly name: string }> {
  readonly schema: Schema.Codec<O>
  /** The default options, for neurons with threshold 1. */
  readonly usual: O
  /** g and G as expressions of z. */
  readonly expression: (options: O) => SurrogateExpression
}
