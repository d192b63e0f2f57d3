/** Examples for the loss, bookkeeping kernels and optimisers. */
import type { Shape } from "../../../shape.ts"
import { cycle, type Draw, type Examples, integers, type Kind, normal, ordinary, output, spikes } from "../example.ts"

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

/** The exponential of these exceeds float32. */
const steep: Kind = ["steep", (shape) => normal(shape, 1e4)]

const equal: Kind = ["equal", (shape) => cycle(shape, 0.5)]

const lossInputs = [
  ...logitShapes.flatMap((shape) => ordinary.flatMap((kind) => losses.map((loss) => [kind, shape, loss] as const))),
  ...[steep, equal].flatMap((kind) => losses.map((loss) => [kind, logitShapes[3], loss] as const)),
]

const lossName = (kind: string, shape: Shape, { mix, target, terms }: (typeof losses)[number]): string =>
  `${kind} ${shape.join("×")}, β = ${mix}, ${target}, ${terms} terms`

/** Sample weights, the first of which is 0. */
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
  "spikes.rate": spikeShapes.map(([shape, rate], i) => ({
    name: `${shape.join("×")}, rate ${rate}`,
    attributes: { index: 1 + (i % 3), terms: 4 },
    operands: { spikes: spikes(shape, rate), metrics: normal([4]) },
  })),
  zero: parameterShapes.map((shape) => ({
    name: shape.length === 0 ? "scalar" : shape.join("×"),
    operands: { target: output(shape) },
  })),
} satisfies Partial<Examples>
