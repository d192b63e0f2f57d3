import { block, sequential } from "../graph/builder.ts"
import { add, dropout as drop, flatten, lif, linear, recurrent as loop } from "../layers.ts"
import { type Model, model, widened } from "./model.ts"

/**
 * Two layers of 256 LIF neurons, each connected to itself, and a linear read-out, for sequences such as spoken words: inputs of any shape are
 * flattened. Train it with frames: with a static input it sees the same value at every step.
 */
export const recurrent: Model = model("recurrent", (classes, { width, dropout, neuron }) => {
  const features = widened(256, width)
  const layer = loop((x, fedBack) =>
    add(linear({ features })(x, "input"), linear({ features, bias: false })(fedBack, "recurrent")).pipe(lif(neuron)),
  )
  const hidden = [layer, ...(dropout > 0 ? [drop(dropout)] : [])]
  const network = sequential(...hidden, ...hidden, linear({ features: classes }))
  return block((x) => (x.shape.length > 1 ? x.pipe(flatten(), network) : x.pipe(network)))
})
