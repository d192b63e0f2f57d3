import { block, sequential } from "../graph/builder.ts"
import { dropout as drop, flatten, lif, linear } from "../layers.ts"
import { type Model, model, widened } from "./model.ts"

/**
 * A multilayer perceptron with two hidden layers of 1,000 LIF neurons, for inputs of any shape: flatten, (linear – LIF – dropout) ×
 * 2, linear.
 */
export const mlp: Model = model("mlp", (classes, { width, dropout, neuron }) => {
  const hidden = [linear({ features: widened(1000, width) }), lif(neuron), ...(dropout > 0 ? [drop(dropout)] : [])]
  const network = sequential(...hidden, ...hidden, linear({ features: classes }))
  return block((x) => (x.shape.length > 1 ? x.pipe(flatten(), network) : x.pipe(network)))
})
