/** Examples for batch normalisation and weight standardisation. */
import type { Shape } from "../../../shape.ts"
import {
  constant,
  type Example,
  type Examples,
  extreme,
  type Kind,
  normal,
  notFinite,
  ordinary,
  output,
  uniform,
} from "../example.ts"

/** The third has one value per channel, with a variance of 0. */
const shapes: ReadonlyArray<Shape> = [
  [3, 5],
  [3, 4, 5, 3],
  [1, 1, 1, 3],
  [1, 5, 3, 7],
  [2, 3, 2, 1],
]

const usual = shapes[1] as Shape

/** The squares of these are still within float32. */
const large: Kind = ["large", (shape) => normal(shape, 1e12)]

const forward = ([kind, x]: Kind, shape: Shape, updates: number): Example => {
  const channels = [shape.at(-1) as number]
  return {
    name: `${kind} ${shape.join("×")}, ${updates} updates`,
    attributes: { updates },
    operands: {
      x: x(shape),
      weight: normal(channels),
      bias: normal(channels),
      runningMean: normal(channels),
      runningVariance: uniform(channels, 0.5, 2),
      mean: output(channels),
      inverseDeviation: output(channels),
      y: output(shape),
    },
  }
}

const kinds = [...extreme, large, ...notFinite]

const inference = ([kind, x]: Kind, shape: Shape): Example => {
  const channels = [shape.at(-1) as number]
  return {
    name: `${kind} ${shape.join("×")}`,
    operands: {
      x: x(shape),
      weight: normal(channels),
      bias: normal(channels),
      runningMean: normal(channels),
      runningVariance: uniform(channels, 0, 2),
      y: output(shape),
    },
  }
}

const backward = ([kind, x]: Kind, shape: Shape, inputGradient: boolean): Example => {
  const channels = [shape.at(-1) as number]
  return {
    name: `${kind} ${shape.join("×")}${inputGradient ? "" : ", no input gradient"}`,
    operands: {
      x: x(shape),
      weight: normal(channels),
      mean: normal(channels),
      inverseDeviation: uniform(channels, 0.5, 2),
      outputGradient: normal(shape),
      ...(inputGradient ? { inputGradient: output(shape) } : {}),
      weightGradient: output(channels),
      biasGradient: output(channels),
    },
  }
}

const weights: ReadonlyArray<Shape> = [
  [3, 3, 5, 7],
  [1, 1, 3, 5],
  [5, 5, 1, 3],
  [2, 2, 3, 1],
  // A fan-in of one.
  [1, 1, 1, 3],
]

const weightKinds: ReadonlyArray<Kind> = [
  ["real", (shape) => normal(shape, 0.3)],
  ["constant", (shape) => constant(shape, 0.25)],
  large,
]

const standardization = (direction: "forward" | "backward"): ReadonlyArray<Example> =>
  weights.flatMap((shape) =>
    weightKinds.map(([kind, weight]) => ({
      name: `${kind} ${shape.join("×")}`,
      operands: {
        weight: weight(shape),
        gain: normal([shape[3] as number]),
        ...(direction === "forward"
          ? { y: output(shape) }
          : {
              outputGradient: normal(shape),
              weightGradient: output(shape),
              gainGradient: output([shape[3] as number]),
            }),
      },
    })),
  )

export const normalization = {
  "batchNorm.forward": [
    ...shapes.flatMap((shape, i) => ordinary.map((kind) => forward(kind, shape, i === 1 ? 4 : 1))),
    ...kinds.map((kind) => forward(kind, usual, 1)),
  ],
  "batchNorm.inference": [
    ...shapes.flatMap((shape) => ordinary.map((kind) => inference(kind, shape))),
    ...kinds.map((kind) => inference(kind, usual)),
  ],
  "batchNorm.backward": [
    ...shapes.flatMap((shape) => ordinary.map((kind) => backward(kind, shape, true))),
    ...extreme.map((kind) => backward(kind, usual, true)),
    backward(large, usual, true),
    backward(ordinary[0] as Kind, usual, false),
  ],
  "weightStandardization.forward": standardization("forward"),
  "weightStandardization.backward": standardization("backward"),
} satisfies Partial<Examples>
