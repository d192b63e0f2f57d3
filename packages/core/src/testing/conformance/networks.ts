/** Small networks that together cover every op, neuron, surrogate and reset, with odd shapes. */

import type { Graph } from "../../graph/graph.ts"
import type { Layer } from "../../graph/index.ts"
import { makeUnsafe, sequential } from "../../graph/index.ts"
import {
  adaptiveAveragePool,
  averagePool,
  batchNorm,
  conv2d,
  dropout,
  flatten,
  gain,
  integrateAndFire,
  leakyReadout,
  lif,
  linear,
  maxPool,
  plif,
  residual,
  scale,
  scaledWeightStandardizedConv2d,
} from "../../layers.ts"
import { defaults } from "../../surrogates/index.ts"

const { sigmoid, rectangle, atan, fastSigmoid } = defaults

/** Linear layers, a trained decay, a leaky read-out. */
const perceptron: Layer = sequential(
  linear({ features: 9 }),
  lif({ tau: 2 }),
  linear({ features: 5, bias: false }),
  plif({ tau: 3, reset: "hard", surrogate: sigmoid }),
  linear({ features: 3 }),
  leakyReadout({ tau: 2 }),
)

/** Batch normalisation, residual blocks, average and max pooling of real numbers, dropout. */
const residualNetwork: Layer = sequential(
  conv2d({ channels: 5, kernelSize: 3, padding: 1, bias: false }),
  batchNorm(),
  lif({ reset: "hard", surrogate: sigmoid, threshold: 0.5 }),
  averagePool({ kernelSize: 2 }),
  residual(sequential(conv2d({ channels: 5, kernelSize: 3, padding: 1 }), batchNorm(), lif({ surrogate: rectangle }))),
  residual(
    sequential(conv2d({ channels: 7, kernelSize: 3, stride: 2, padding: 1 }), lif({ threshold: 0.7 })),
    conv2d({ channels: 7, kernelSize: 1, stride: 2 }),
  ),
  maxPool({ kernelSize: 2, padding: 1 }),
  dropout(0.3),
  flatten(),
  linear({ features: 3 }),
)

/** Standardised weights, neurons without leak, constant and trained factors, adaptive pooling. */
const normalizerFree: Layer = sequential(
  scaledWeightStandardizedConv2d({ channels: 5, kernelSize: 3, stride: 2, padding: 1 }),
  scale(1.7),
  integrateAndFire({ surrogate: atan }),
  scaledWeightStandardizedConv2d({ channels: 3, kernelSize: 2, bias: false }),
  gain({ initial: 1.3 }),
  lif({ tau: 1.25, reset: "none", threshold: 0.8 }),
  adaptiveAveragePool({ outputSize: 2 }),
  flatten(),
  linear({ features: 3 }),
)

/** Spikes that stay spikes, rows of several words, a spiking read-out. */
const spikeToSpike: Layer = sequential(
  conv2d({ channels: 33, kernelSize: 2 }),
  lif({ reset: "none", surrogate: fastSigmoid, threshold: 0.6 }),
  maxPool({ kernelSize: 3, stride: 2, padding: 1 }),
  dropout(0.5),
  flatten(),
  linear({ features: 7 }),
  plif({ tau: 2, threshold: 0.3 }),
  linear({ features: 3 }),
  lif({ tau: 4, threshold: 0.2 }),
)

export const networks: Readonly<Record<string, Graph>> = {
  perceptron: makeUnsafe([7], perceptron),
  residual: makeUnsafe([7, 5, 3], residualNetwork),
  "normaliser-free": makeUnsafe([6, 7, 1], normalizerFree),
  "spike to spike": makeUnsafe([5, 5, 2], spikeToSpike),
}
