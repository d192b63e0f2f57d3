import { type Layer, leaf, node } from "../graph/builder.ts"
import { type FiringOptions, firing, neuronOp } from "./neuron.ts"

export interface LifOptions extends FiringOptions {
  /** Membrane time constant in time steps, at least 1; the decay is λ = 1 − 1/τ. Default 1.1, the SLTT paper's. */
  readonly tau?: number
}

/**
 * Leaky integrate-and-fire neurons, one for each element: u[t] = (1 − 1/τ)·v[t−1] + x[t]. The input is not scaled by 1/τ
 * ("decay_input" off in SpikingJelly's words).
 */
export const lif = ({ tau = 1.1, ...options }: LifOptions = {}): Layer =>
  leaf("lif", (x, name) => node(x, name, neuronOp, { ...firing(options), decay: 1 - 1 / tau }, [x]))
