import { type Layer, leaf, node } from "../graph/builder.ts"
import { type FiringOptions, FiringSchema, firing, neuronOp } from "./neuron.ts"

/** Integrate-and-fire neurons, without a leak: u[t] = v[t−1] + x[t]. */
export const integrateAndFire = (options: FiringOptions = {}): Layer =>
  leaf("if", FiringSchema, options, (x, name, given) => node(x, name, neuronOp, { ...firing(given), decay: 1 }, [x]))
