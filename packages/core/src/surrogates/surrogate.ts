/**
 * A surrogate gradient stands in for the derivative of the step function with which a neuron fires (Neftci et al., IEEE Signal
 * Processing Magazine 2019).
 *
 * z is the membrane potential above the threshold. Each surrogate g has a primitive G with G′ = g and G(0) = 1/2: a network that fires G(z)
 * in place of the step has true gradients, which is how gradients are held against finite differences.
 */
import type { Schema } from "effect"
import type { SurrogateExpression } from "../expressions/expression.ts"

/** All there is to a surrogate, `O` being its options, of which one is its name. */
export interface Surrogate<O extends { readonly name: string }> {
  readonly schema: Schema.Codec<O>
  /** The usual options, for neurons of threshold 1. */
  readonly usual: O
  /** g and G as expressions of z, of which all backends compute. */
  readonly expression: (options: O) => SurrogateExpression
}
