import * as Graph from "../graph/index.ts"
import {
  adaptiveAveragePool,
  averagePool,
  batchNorm,
  conv2d,
  flatten,
  type LifOptions,
  lif,
  linear,
  residual,
  scaledWeightStandardizedConv2d,
} from "../layers.ts"
import { normalizerFreeBlock, preActivationBlock } from "../models/index.ts"

/** The small networks of golden files. */
export const networks: Readonly<Record<string, (neuron: LifOptions) => Graph.Layer>> = {
  mlp: (neuron) =>
    Graph.sequential(
      linear({ features: 16 }),
      lif(neuron),
      linear({ features: 16 }),
      lif(neuron),
      linear({ features: 4 }),
    ),
  conv: (neuron) =>
    Graph.sequential(
      conv2d({ channels: 8, kernelSize: 3, padding: 1 }),
      batchNorm(),
      lif(neuron),
      averagePool({ kernelSize: 2 }),
      conv2d({ channels: 12, kernelSize: 3, stride: 2, padding: 1 }),
      batchNorm(),
      lif(neuron),
      flatten(),
      linear({ features: 5 }),
    ),
  resnet: (neuron) =>
    Graph.sequential(
      conv2d({ channels: 6, kernelSize: 3, padding: 1, bias: false }),
      preActivationBlock({ channels: 6, neuron }),
      preActivationBlock({ channels: 9, stride: 2, neuron }),
      batchNorm(),
      lif(neuron),
      averagePool({ kernelSize: 3 }),
      flatten(),
      linear({ features: 3 }),
    ),
  nf: (neuron) =>
    Graph.sequential(
      scaledWeightStandardizedConv2d({ channels: 6, kernelSize: 3, padding: 1 }),
      averagePool({ kernelSize: 3, stride: 2, padding: 1 }),
      normalizerFreeBlock({ channels: 6, beta: 1, neuron }),
      normalizerFreeBlock({ channels: 8, stride: 2, beta: Math.sqrt(1.04), neuron }),
      adaptiveAveragePool({ outputSize: 1 }),
      flatten(),
      linear({ features: 3 }),
    ),
  // Batch norm, neurons and an added branch along a flattened image, and batch norm behind the linear layer.
  flattened: (neuron) =>
    Graph.sequential(
      conv2d({ channels: 3, kernelSize: 2 }),
      flatten(),
      batchNorm(),
      lif(neuron),
      residual(Graph.sequential(linear({ features: 18 }), batchNorm())),
      lif(neuron),
      linear({ features: 5 }),
      batchNorm(),
    ),
}
