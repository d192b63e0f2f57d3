import * as Graph from "../graph/index.ts"
import {
  adaptiveAveragePool,
  adaptiveLif,
  add,
  averagePool,
  averagePool1d,
  batchNorm,
  conv1d,
  conv2d,
  convTranspose2d,
  currentBasedLif,
  delay,
  flatten,
  type LifOptions,
  leakyReadout,
  lif,
  linear,
  maxPool,
  recurrent,
  residual,
  scaledWeightStandardizedConv2d,
  sumPool,
} from "../layers.ts"
import { normalizerFreeBlock, preActivationBlock } from "../models/index.ts"
import * as Neuron from "../neurons/index.ts"

/** LIF neurons with an individual decay σ(w) each. */
const heterogeneousLif = Neuron.make("heterogeneousLif", {
  parameters: { w: Neuron.learn(0, "element") },
  states: ["membrane"],
  step: ({ x, before, p, spike }) => {
    const u = before.membrane.times(Neuron.sigmoid(p.w)).plus(x)
    const output = spike(u.minus(1))
    return { states: { membrane: u.minus(Neuron.route("reset", output)) }, output }
  },
})

interface NeuronOfGolden {
  readonly tau?: number
  readonly surrogate?: LifOptions["surrogate"]
}

/** A recurrent layer, with the parameter names of golden_time.py. */
const recurrentLayer = (features: number, neuron: Graph.Layer): Graph.Layer =>
  recurrent((x, fedBack) =>
    neuron(add(linear({ features })(x, "input"), linear({ features, bias: false })(fedBack, "recurrent")), "neuron"),
  )

/** x plus x of some steps ago. */
const withDelayed = (steps: number): Graph.Layer => residual(delay({ steps }))

const decaying = (decay: number, { surrogate }: NeuronOfGolden): Graph.Layer =>
  lif({ tau: 1 / (1 - decay), ...(surrogate && { surrogate }) })

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
  // Batch norm, neurons and a residual branch on a flattened image, and batch norm after the linear layer.
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
  cuba: ({ surrogate }) =>
    Graph.sequential(
      linear({ features: 14 }),
      currentBasedLif({ currentDecay: 0.6, decay: 0.7, ...(surrogate && { surrogate }) }),
      linear({ features: 4 }),
    ),
  alif: ({ surrogate }) =>
    Graph.sequential(
      linear({ features: 14 }),
      adaptiveLif({ adaptationDecay: 0.8, decay: 0.7, strength: 0.5, ...(surrogate && { surrogate }) }),
      linear({ features: 4 }),
    ),
  rlif: (neuron) => Graph.sequential(recurrentLayer(14, decaying(0.6, neuron)), linear({ features: 4 })),
  rcuba: ({ surrogate }) => {
    const neuron = () => currentBasedLif({ currentDecay: 0.6, decay: 0.7, ...(surrogate && { surrogate }) })
    return Graph.sequential(recurrentLayer(14, neuron()), recurrentLayer(12, neuron()), linear({ features: 4 }))
  },
  delay: (neuron) =>
    Graph.sequential(
      linear({ features: 14 }),
      decaying(0.5, neuron),
      withDelayed(2),
      linear({ features: 12 }),
      decaying(0.5, neuron),
      withDelayed(1),
      linear({ features: 4 }),
    ),
  seq: (neuron) => Graph.sequential(recurrentLayer(14, decaying(0.6, neuron)), linear({ features: 4 })),
  regress: ({ surrogate }) =>
    Graph.sequential(
      linear({ features: 14 }),
      adaptiveLif({ adaptationDecay: 0.8, decay: 0.7, strength: 0.5, ...(surrogate && { surrogate }) }),
      linear({ features: 2 }),
      leakyReadout({ tau: 10 }),
    ),
  rate: (neuron) =>
    Graph.sequential(
      linear({ features: 14 }),
      decaying(0.5, neuron),
      linear({ features: 12 }),
      decaying(0.5, neuron),
      linear({ features: 4 }),
    ),
  hetero: ({ surrogate }) =>
    Graph.sequential(linear({ features: 14 }), heterogeneousLif(surrogate && { surrogate }), linear({ features: 4 })),
  conv1d: (neuron) =>
    Graph.sequential(
      conv1d({ channels: 6, kernelSize: 5, padding: 2 }),
      decaying(0.5, neuron),
      averagePool1d({ kernelSize: 2 }),
      conv1d({ channels: 8, kernelSize: 3, stride: 2, padding: 1, groups: 2 }),
      decaying(0.5, neuron),
      flatten(),
      linear({ features: 4 }),
    ),
  rect: (neuron) =>
    Graph.sequential(
      conv2d({ channels: 6, kernelSize: [3, 5], stride: [2, 1], padding: [1, 2] }),
      decaying(0.5, neuron),
      averagePool({ kernelSize: [1, 2] }),
      conv2d({ channels: 8, kernelSize: [2, 3], dilation: [2, 1] }),
      decaying(0.5, neuron),
      flatten(),
      linear({ features: 4 }),
    ),
  groups: (neuron) =>
    Graph.sequential(
      conv2d({ channels: 8, kernelSize: 3, padding: 1, groups: 2 }),
      decaying(0.5, neuron),
      conv2d({ channels: 8, kernelSize: 3, padding: 1, groups: 8 }),
      decaying(0.5, neuron),
      conv2d({ channels: 6, kernelSize: 1 }),
      decaying(0.5, neuron),
      flatten(),
      linear({ features: 4 }),
    ),
  transposed: (neuron) =>
    Graph.sequential(
      conv2d({ channels: 6, kernelSize: 3, stride: 2, padding: 1 }),
      decaying(0.5, neuron),
      convTranspose2d({ channels: 4, kernelSize: 3, stride: 2, padding: 1, outputPadding: 1 }),
      decaying(0.5, neuron),
      flatten(),
      linear({ features: 4 }),
    ),
  pools: (neuron) =>
    Graph.sequential(
      conv2d({ channels: 6, kernelSize: 3, padding: 1 }),
      decaying(0.5, neuron),
      maxPool({ kernelSize: [2, 1] }),
      conv2d({ channels: 6, kernelSize: 3, padding: "same" }),
      decaying(0.5, neuron),
      sumPool({ kernelSize: [2, 3] }),
      flatten(),
      linear({ features: 4 }),
    ),
}
