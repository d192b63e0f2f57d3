/** Examples for the kernels of linear maps and convolutions. */
import type { Shape } from "../../../shape.ts"
import {
  type Example,
  type Examples,
  extreme,
  huge,
  type Kind,
  normal,
  notFinite,
  ordinary,
  output,
} from "../example.ts"

const bias = (present: boolean, shape: Shape) => (present ? { bias: normal(shape) } : {})

const withBias = (present: boolean): string => (present ? ", bias" : "")

/** [batch, inputs, outputs]; spikes of 33 and 64 inputs end behind and on the border of a word. */
const linears = [
  [1, 1, 1],
  [3, 5, 7],
  [3, 7, 1],
  [1, 3, 5],
  [2, 33, 3],
  [3, 64, 5],
] as const

const usual = linears[1]

const linearForward = (
  [kind, x]: Kind,
  [batch, inputs, outputs]: readonly [number, number, number],
  biased: boolean,
): Example => ({
  name: `${kind} ${batch}×${inputs} → ${outputs}${withBias(biased)}`,
  operands: {
    x: x([batch, inputs]),
    weight: normal([inputs, outputs]),
    ...bias(biased, [outputs]),
    y: output([batch, outputs]),
  },
})

const linearWeightGradient = (
  [kind, x]: Kind,
  [batch, inputs, outputs]: readonly [number, number, number],
): Example => ({
  name: `${kind} ${batch}×${inputs} → ${outputs}`,
  operands: {
    x: x([batch, inputs]),
    outputGradient: normal([batch, outputs]),
    weightGradient: output([inputs, outputs]),
  },
})

/** An image that was not flattened: the input's axes count as one. */
const image: Shape = [3, 2, 3, 5]

interface Convolution {
  readonly batch?: number
  readonly height: number
  readonly width: number
  readonly inputs: number
  readonly outputs: number
  readonly kernelSize: number
  readonly stride?: number
  readonly padding?: number
}

const convolutions: ReadonlyArray<Convolution> = [
  { height: 1, width: 1, inputs: 1, outputs: 1, kernelSize: 1 },
  { batch: 3, height: 5, width: 7, inputs: 3, outputs: 5, kernelSize: 3, padding: 1 },
  { height: 7, width: 5, inputs: 5, outputs: 1, kernelSize: 3, stride: 2, padding: 1 },
  { batch: 3, height: 6, width: 4, inputs: 1, outputs: 7, kernelSize: 2, stride: 2 },
  { height: 8, width: 9, inputs: 3, outputs: 3, kernelSize: 5, stride: 3, padding: 2 },
  { height: 4, width: 5, inputs: 7, outputs: 3, kernelSize: 4, padding: 2 },
  { batch: 3, height: 5, width: 3, inputs: 33, outputs: 3, kernelSize: 1, stride: 2 },
  // A stride that leaves out pixels, and one that leaves rows and columns over.
  { height: 7, width: 6, inputs: 3, outputs: 5, kernelSize: 2, stride: 3 },
  { batch: 2, height: 6, width: 8, inputs: 3, outputs: 1, kernelSize: 3, stride: 2 },
  // Windows that lie in the padding altogether.
  { height: 3, width: 4, inputs: 3, outputs: 5, kernelSize: 2, padding: 2 },
  // An image smaller than the window.
  { height: 2, width: 3, inputs: 5, outputs: 3, kernelSize: 5, padding: 2 },
  // More taps than a word has bits.
  { height: 7, width: 5, inputs: 3, outputs: 5, kernelSize: 6, padding: 3 },
]

const usualConvolution = convolutions[1] as Convolution

/** So many pixels and channels that a backend may sum tiles of pixels at a time, in blocks; some tiles reach over the edges. */
const tiled: ReadonlyArray<Convolution> = [
  { batch: 2, height: 9, width: 7, inputs: 70, outputs: 17, kernelSize: 3, padding: 1 },
  { batch: 5, height: 13, width: 14, inputs: 20, outputs: 74, kernelSize: 3, padding: 1 },
]

/** Weights of more than a megabyte: a backend may go through them once for many images. */
const heavy: Convolution = { batch: 3, height: 3, width: 4, inputs: 150, outputs: 210, kernelSize: 3, padding: 1 }

const shapesOf = ({ batch = 1, height, width, inputs, outputs, kernelSize, stride = 1, padding = 0 }: Convolution) => {
  const extent = (length: number) => Math.floor((length + 2 * padding - kernelSize) / stride) + 1
  return {
    attributes: { stride, padding },
    x: [batch, height, width, inputs],
    weight: [kernelSize, kernelSize, inputs, outputs],
    y: [batch, extent(height), extent(width), outputs],
    label: `${batch}×${height}×${width}×${inputs} → ${outputs}, window ${kernelSize}, stride ${stride}, padding ${padding}`,
  }
}

const convForward = ([kind, input]: Kind, convolution: Convolution, biased: boolean): Example => {
  const { attributes, x, weight, y, label } = shapesOf(convolution)
  return {
    name: `${kind} ${label}${withBias(biased)}`,
    attributes,
    operands: { x: input(x), weight: normal(weight), ...bias(biased, [convolution.outputs]), y: output(y) },
  }
}

const convWeightGradient = ([kind, input]: Kind, convolution: Convolution): Example => {
  const { attributes, x, weight, y, label } = shapesOf(convolution)
  return {
    name: `${kind} ${label}`,
    attributes,
    operands: { x: input(x), outputGradient: normal(y), weightGradient: output(weight) },
  }
}

const outputGradients: ReadonlyArray<Kind> = [ordinary[0] as Kind, huge, ["tiny", extreme[4]![1]]]

export const maps = {
  "linear.forward": [
    ...linears.flatMap((shape, i) => ordinary.map((kind) => linearForward(kind, shape, i % 2 === 0))),
    ...[...extreme, huge, ...notFinite].flatMap((kind) => [true, false].map((b) => linearForward(kind, usual, b))),
    {
      name: "an image that was not flattened",
      operands: { x: normal(image), weight: normal([30, 7]), y: output([3, 7]) },
    },
  ],
  "linear.inputGradient": [
    ...linears.map(([batch, inputs, outputs]) => ({
      name: `${batch}×${outputs} → ${inputs}`,
      operands: {
        outputGradient: normal([batch, outputs]),
        weight: normal([inputs, outputs]),
        inputGradient: output([batch, inputs]),
      },
    })),
    ...outputGradients.slice(1).map(([kind, gradient]) => ({
      name: `${kind} 3×7 → 5`,
      operands: { outputGradient: gradient([3, 7]), weight: normal([5, 7]), inputGradient: output([3, 5]) },
    })),
    {
      name: "of an image that was not flattened",
      operands: { outputGradient: normal([3, 7]), weight: normal([30, 7]), inputGradient: output(image) },
    },
  ],
  "linear.weightGradient": [
    ...linears.flatMap((shape) => ordinary.map((kind) => linearWeightGradient(kind, shape))),
    ...[...extreme, huge].map((kind) => linearWeightGradient(kind, usual)),
    {
      name: "an image that was not flattened",
      operands: { x: normal(image), outputGradient: normal([3, 7]), weightGradient: output([30, 7]) },
    },
  ],
  "conv2d.forward": [
    ...[...convolutions, heavy].flatMap((convolution, i) =>
      ordinary.map((kind) => convForward(kind, convolution, i % 2 === 0)),
    ),
    ...[...extreme, huge, ...notFinite].flatMap((kind) =>
      [true, false].map((b) => convForward(kind, usualConvolution, b)),
    ),
  ],
  "conv2d.inputGradient": [
    ...[...convolutions, ...tiled, heavy].map((convolution) => [outputGradients[0] as Kind, convolution] as const),
    ...outputGradients.slice(1).map((kind) => [kind, usualConvolution] as const),
  ].map(([[kind, gradient], convolution]) => {
    const { attributes, x, weight, y, label } = shapesOf(convolution)
    return {
      name: `${kind} ${label}`,
      attributes,
      operands: { outputGradient: gradient(y), weight: normal(weight), inputGradient: output(x) },
    }
  }),
  "conv2d.weightGradient": [
    ...[...convolutions, ...tiled, heavy].flatMap((convolution) =>
      ordinary.map((kind) => convWeightGradient(kind, convolution)),
    ),
    ...[...extreme, huge].map((kind) => convWeightGradient(kind, usualConvolution)),
  ],
  "bias.gradient": (
    [
      [1, 1],
      [3, 5],
      [1, 3, 4, 7],
      [3, 5, 2, 3],
    ] as const
  ).flatMap((shape: Shape) =>
    [...outputGradients, ...notFinite].map(([kind, gradient]) => ({
      name: `${kind} ${shape.join("×")}`,
      operands: { outputGradient: gradient(shape), biasGradient: output([shape.at(-1) as number]) },
    })),
  ),
} satisfies Partial<Examples>
