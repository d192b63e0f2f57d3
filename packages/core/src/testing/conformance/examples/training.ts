/** Examples for the loss, the bookkeeping and the optimisers. */
import type { Shape } from "../../../shape.ts"
import {
  cycle,
  type Draw,
  type Example,
  type Examples,
  integers,
  type Kind,
  normal,
  ordinary,
  output,
  spikes,
  uniform,
} from "../example.ts"

/** [batch, classes] */
const logitShapes = [
  [1, 1],
  [3, 5],
  [1, 3],
  [3, 10],
] as const

const losses = [
  { mix: 0, target: "ones", terms: 1 },
  { mix: 0.05, target: "ones", terms: 5 },
  { mix: 0.05, target: "one-hot", terms: 4 },
  { mix: 1, target: "one-hot", terms: 3 },
] as const

/** The exponential of these has no float32. */
const steep: Kind = ["steep", (shape) => normal(shape, 1e4)]

const equal: Kind = ["equal", (shape) => cycle(shape, 0.5)]

const lossInputs = [
  ...logitShapes.flatMap((shape) => ordinary.flatMap((kind) => losses.map((loss) => [kind, shape, loss] as const))),
  ...[steep, equal].flatMap((kind) => losses.map((loss) => [kind, logitShapes[3], loss] as const)),
]

const lossName = (kind: string, shape: Shape, { mix, target, terms }: (typeof losses)[number]): string =>
  `${kind} ${shape.join("×")}, β = ${mix}, ${target}, ${terms} terms`

/** Shares of samples, the first of which does not count. */
const weights = (count: number): Draw => cycle([count], 0, 0.25, 1.5)

const notANumber: Draw = cycle([3, 5], 0.5, -0.5, 0.25, Number.NaN, 1, 2)

const spikeShapes: ReadonlyArray<readonly [Shape, number]> = [
  [[1, 1], 1],
  [[3, 5], 0.3],
  [[1, 3, 5, 7], 0],
  [[1, 3, 5, 7], 1],
  [[2, 3, 2, 33], 0.1],
  [[3, 64], 0.5],
]

const parameterShapes: ReadonlyArray<Shape> = [[], [3], [5, 7], [3, 3, 5, 7]]

const gradientScales = [1, 1e-20, 1e12]

/** The learning rate and the bias corrections of update `n`. */
const hyperparameters = (rate: number, n: number): Draw => cycle([3], rate, 1 - 0.9 ** n, 1 - 0.999 ** n)

const sgd = (shape: Shape, momentum: number, weightDecay: number, scale = 1): Example => ({
  name: `${shape.length === 0 ? "scalar" : shape.join("×")}, momentum ${momentum}, weight decay ${weightDecay}, gradients of ${scale}`,
  attributes: { momentum, weightDecay },
  operands: {
    parameter: normal(shape),
    gradient: normal(shape, scale),
    velocity: normal(shape),
    hyperparameters: hyperparameters(0.1, 1),
  },
})

const adam = (shape: Shape, decoupled: boolean, n: number, scale = 1): Example => ({
  name: `${shape.length === 0 ? "scalar" : shape.join("×")}, ${decoupled ? "decoupled" : "coupled"} weight decay, update ${n}, gradients of ${scale}`,
  attributes: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, decoupled },
  operands: {
    parameter: normal(shape),
    gradient: normal(shape, scale),
    firstMoment: n === 1 ? cycle(shape, 0) : normal(shape, scale),
    secondMoment: n === 1 ? cycle(shape, 0) : uniform(shape, 0, scale * scale),
    hyperparameters: hyperparameters(0.001, n),
  },
})

export const training = {
  "loss.forward": [
    ...lossInputs.map(([[kind, logits], shape, loss]) => ({
      name: lossName(kind, shape, loss),
      attributes: loss,
      operands: {
        logits: logits(shape),
        labels: integers([shape[0]], shape[1]),
        metrics: normal([3]),
        outputs: normal(shape),
      },
    })),
    ...logitShapes.flatMap((shape) =>
      losses.map((loss) => ({
        name: `weighted ${lossName("real", shape, loss)}`,
        attributes: loss,
        operands: {
          logits: normal(shape),
          labels: integers([shape[0]], shape[1]),
          weights: weights(shape[0]),
          metrics: normal([1]),
        },
      })),
    ),
    {
      name: "NaN makes the loss NaN",
      attributes: losses[1],
      operands: { logits: notANumber, labels: integers([3], 5), metrics: normal([3]), outputs: normal([3, 5]) },
    },
  ],
  "loss.backward": lossInputs.flatMap(([[kind, logits], shape, loss]) => {
    const operands = {
      logits: logits(shape),
      labels: integers([shape[0]], shape[1]),
      logitsGradient: output(shape),
    }
    const name = lossName(kind, shape, loss)
    return [
      { name, attributes: loss, operands },
      { name: `weighted ${name}`, attributes: loss, operands: { ...operands, weights: weights(shape[0]) } },
    ]
  }),
  "outputs.accumulate": logitShapes.flatMap((shape) =>
    ordinary.map(([kind, logits]) => ({
      name: `${kind} ${shape.join("×")}`,
      operands: { logits: logits(shape), outputs: normal(shape) },
    })),
  ),
  "spikes.rate": spikeShapes.map(([shape, rate], i) => ({
    name: `${shape.join("×")}, rate ${rate}`,
    attributes: { index: 1 + (i % 3), terms: 4 },
    operands: { spikes: spikes(shape, rate), metrics: normal([4]) },
  })),
  zero: parameterShapes.map((shape) => ({
    name: shape.length === 0 ? "scalar" : shape.join("×"),
    operands: { target: output(shape) },
  })),
  "optimizer.sgd": [
    ...parameterShapes.flatMap((shape) => [sgd(shape, 0.9, 0.01), sgd(shape, 0, 0)]),
    ...gradientScales.slice(1).map((scale) => sgd([5, 7], 0.9, 0.01, scale)),
  ],
  "optimizer.adam": [true, false].flatMap((decoupled) => [
    ...parameterShapes.flatMap((shape) => [1, 2, 1000].map((n) => adam(shape, decoupled, n))),
    ...gradientScales.slice(1).map((scale) => adam([5, 7], decoupled, 2, scale)),
    {
      ...adam([5, 7], decoupled, 1),
      name: `no gradient, ${decoupled ? "decoupled" : "coupled"}`,
      operands: { ...adam([5, 7], decoupled, 1).operands, gradient: cycle([5, 7], 0) },
    },
  ]),
} satisfies Partial<Examples>
