import { sequential } from "../graph/builder.ts"
import { averagePool, conv2d, dropout as drop, flatten, lif, linear } from "../layers.ts"
import { type Model, model, widened } from "./model.ts"

/** A small convolutional network for images: (conv 3×3 – LIF – dropout – average pool 2) × 2 with 32 and 64 channels, then linear. */
export const conv: Model = model("conv", (classes, { width, dropout, neuron }) => {
  const stage = (channels: number) => [
    conv2d({ channels: widened(channels, width), kernelSize: 3, padding: 1 }),
    lif(neuron),
    ...(dropout > 0 ? [drop(dropout)] : []),
    averagePool({ kernelSize: 2 }),
  ]
  return sequential(...stage(32), ...stage(64), flatten(), linear({ features: classes }))
})
