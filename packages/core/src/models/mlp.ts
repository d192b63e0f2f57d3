import { type Layer, sequential } from "../graph/builder.ts"
import { type LifOptions, lif, linear } from "../layers.ts"

/** A perceptron with two hidden layers of 1,000 LIF neurons, for any input: (linear – LIF) × 2 – linear. */
export const mlp = (classes: number, neuron: LifOptions = {}): Layer =>
  sequential(
    linear({ features: 1000 }),
    lif(neuron),
    linear({ features: 1000 }),
    lif(neuron),
    linear({ features: classes }),
  )
