/** Examples for the kernels that treat every element alike. */
import type { Shape } from "../../../shape.ts"
import {
  cycle,
  type Example,
  type Examples,
  extreme,
  huge,
  type Kind,
  normal,
  notFinite,
  ordinary,
  output,
  spikes,
  words,
} from "../example.ts"

const shapes: ReadonlyArray<Shape> = [
  [1, 1],
  [3, 5],
  [1, 3, 5, 7],
  [2, 3, 2, 33],
]

const usual = shapes[2] as Shape

/** Every shape with ordinary input, one shape with the extreme ones. */
const each = (kinds: ReadonlyArray<Kind>, example: (kind: Kind, shape: Shape) => Example): ReadonlyArray<Example> => [
  ...shapes.flatMap((shape) => ordinary.map((kind) => example(kind, shape))),
  ...kinds.map((kind) => example(kind, usual)),
]

const label = (kind: string, shape: Shape): string => `${kind} ${shape.join("×")}`

const gradients: ReadonlyArray<Kind> = [["real", (shape) => normal(shape)], extreme[4] as Kind, huge]

const eachGradient = (example: (kind: Kind, shape: Shape) => Example): ReadonlyArray<Example> =>
  shapes.flatMap((shape) => gradients.map((kind) => example(kind, shape)))

const all = [...extreme, huge, ...notFinite]

export const elementwise = {
  "add.forward": [
    ...each(all, ([kind, a], shape) => ({
      name: `${label(kind, shape)} and real`,
      operands: { a: a(shape), b: normal(shape), y: output(shape) },
    })),
    ...shapes.map((shape) => ({
      name: `${label("spikes", shape)} and spikes`,
      operands: { a: spikes(shape), b: spikes(shape, 0.6), y: output(shape) },
    })),
  ],
  "add.backward": eachGradient(([kind, gradient], shape) => ({
    name: label(kind, shape),
    operands: { outputGradient: gradient(shape), inputGradient: output(shape) },
  })),
  "scale.forward": [-2.74, 0, 0.2].flatMap((factor) =>
    each(factor === 0 ? [] : all, ([kind, x], shape) => ({
      name: `${label(kind, shape)}, factor ${factor}`,
      attributes: { factor },
      operands: { x: x(shape), y: output(shape) },
    })),
  ),
  "scale.backward": [-2.74, 0, 0.2].flatMap((factor) =>
    eachGradient(([kind, gradient], shape) => ({
      name: `${label(kind, shape)}, factor ${factor}`,
      attributes: { factor },
      operands: { outputGradient: gradient(shape), inputGradient: output(shape) },
    })),
  ),
  "gain.forward": each(all, ([kind, x], shape) => ({
    name: label(kind, shape),
    operands: { x: x(shape), gain: cycle([], -0.7), y: output(shape) },
  })),
  "gain.backward": [
    ...each([...extreme, huge], ([kind, x], shape) => ({
      name: label(kind, shape),
      operands: {
        x: x(shape),
        gain: cycle([], 1.3),
        outputGradient: normal(shape),
        inputGradient: output(shape),
        gainGradient: output([]),
      },
    })),
    {
      name: "no input gradient",
      operands: {
        x: normal(usual),
        gain: cycle([], 1.3),
        outputGradient: normal(usual),
        gainGradient: output([]),
      },
    },
  ],
  copy: shapes.flatMap((shape) =>
    gradients.map(([kind, source]) => ({
      name: label(kind, shape),
      operands: { source: source(shape), target: output(shape) },
    })),
  ),
  "dropout.mask": [0, 0.3, 0.9].flatMap((rate) =>
    [...shapes, [1, 64]].map((shape) => ({
      name: `${label(`rate ${rate}`, shape)}`,
      attributes: { rate },
      operands: { key: words, mask: output(shape, "spikes") },
    })),
  ),
  "dropout.forward": [0, 0.3, 0.9].flatMap((rate) =>
    each([...extreme, huge], ([kind, x], shape) => ({
      name: `${label(kind, shape)}, rate ${rate}`,
      attributes: { rate },
      operands: { x: x(shape), mask: spikes(shape, 1 - rate), y: output(shape) },
    })),
  ),
  "dropout.backward": [0, 0.3, 0.9].flatMap((rate) =>
    eachGradient(([kind, gradient], shape) => ({
      name: `${label(kind, shape)}, rate ${rate}`,
      attributes: { rate },
      operands: { mask: spikes(shape, 1 - rate), outputGradient: gradient(shape), inputGradient: output(shape) },
    })),
  ),
} satisfies Partial<Examples>
