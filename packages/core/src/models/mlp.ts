import { sequential } from "../graph/builder.ts"
import { dropout as drop, lif, linear } from "../layers.ts"
import { type Model, widened } from "./model.ts"

/** A perceptron with two hidden layers of 1,000 LIF neurons, for any input: (linear – LIF – dropout) × 2 – linear. */
export const mlp: Model = (classes, { width = 1, dropout = 0, neuron = {} } = {}) => {
  const hidden = [linear({ features: widened(1000, width) }), lif(neuron), ...(dropout > 0 ? [drop(dropout)] : [])]
  return sequential(...hidden, ...hidden, linear({ features: classes }))
}
