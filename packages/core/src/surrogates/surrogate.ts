/**
 * A surrogate gradient stands in for the derivative of the step function with which a neuron fires (Neftci et al., IEEE Signal
 * Processing Magazine 2019).
 *
 * z is the membrane potential above the threshold. Each surrogate g has a primitive G with G′ = g: a network that fires G(z) in
 * place of the step has true gradients, which is how gradients are held against finite differences.
 */
export interface Surrogate<P> {
  readonly name: string
  /** g(z). */
  readonly gradient: (z: number, parameters: P) => number
  /** G(z), with G(0) = 1/2. */
  readonly primitive: (z: number, parameters: P) => number
}
