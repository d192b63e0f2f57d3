import { type Layer, sequential } from "../graph/builder.ts"
import { averagePool, conv2d, flatten, type LifOptions, lif, linear } from "../layers.ts"

/** A small convolutional network for images: (conv 3×3 – LIF – average pool 2) × 2 with 32 and 64 channels – linear. */
export const conv = (classes: number, neuron: LifOptions = {}): Layer =>
  sequential(
    conv2d({ channels: 32, kernelSize: 3, padding: 1 }),
    lif(neuron),
    averagePool({ kernelSize: 2 }),
    conv2d({ channels: 64, kernelSize: 3, padding: 1 }),
    lif(neuron),
    averagePool({ kernelSize: 2 }),
    flatten(),
    linear({ features: classes }),
  )
