/** Examples for the kernels of linear layers and convolutions. */
import { both, type Extents, type Geometry, slide, windowOf } from "../../../ops/window.ts"
import { format, type Shape } from "../../../shape.ts"
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

/** [batch, inputs, outputs]. 33 and 64 spiking inputs end just after and exactly at the end of a word. */
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

/** An image that is not flattened: the axes of the input count as one. */
const image: Shape = [3, 2, 3, 5]

interface Convolution extends Partial<Geometry> {
  readonly batch?: number
  /** Absent for sequences. */
  readonly height?: number
  readonly width: number
  readonly inputs: number
  readonly outputs: number
  readonly kernelSize: Extents
  readonly groups?: number
}

const convolutions: ReadonlyArray<Convolution> = [
  { height: 1, width: 1, inputs: 1, outputs: 1, kernelSize: 1 },
  { batch: 3, height: 5, width: 7, inputs: 3, outputs: 5, kernelSize: 3, padding: 1 },
  { height: 7, width: 5, inputs: 5, outputs: 1, kernelSize: 3, stride: 2, padding: 1 },
  { batch: 3, height: 6, width: 4, inputs: 1, outputs: 7, kernelSize: 2, stride: 2 },
  { height: 8, width: 9, inputs: 3, outputs: 3, kernelSize: 5, stride: 3, padding: 2 },
  { height: 4, width: 5, inputs: 7, outputs: 3, kernelSize: 4, padding: 2 },
  { batch: 3, height: 5, width: 3, inputs: 33, outputs: 3, kernelSize: 1, stride: 2 },
  // A stride that skips pixels, and one that leaves a remainder of rows and columns.
  { height: 7, width: 6, inputs: 3, outputs: 5, kernelSize: 2, stride: 3 },
  { batch: 2, height: 6, width: 8, inputs: 3, outputs: 1, kernelSize: 3, stride: 2 },
  // Windows entirely within the padding.
  { height: 3, width: 4, inputs: 3, outputs: 5, kernelSize: 2, padding: 2 },
  // An image smaller than the window.
  { height: 2, width: 3, inputs: 5, outputs: 3, kernelSize: 5, padding: 2 },
  // More taps than a word has bits.
  { height: 7, width: 5, inputs: 3, outputs: 5, kernelSize: 6, padding: 3 },
]

/** Non-square and dilated windows, groups of channels, sequences, transposed convolutions. */
const others: ReadonlyArray<Convolution> = [
  { batch: 2, height: 7, width: 9, inputs: 3, outputs: 5, kernelSize: [3, 5], stride: [2, 1], padding: [1, 2] },
  {
    batch: 2,
    height: 9,
    width: 11,
    inputs: 3,
    outputs: 7,
    kernelSize: 3,
    stride: [2, 3],
    padding: 2,
    dilation: [2, 2],
  },
  { height: 7, width: 8, inputs: 33, outputs: 5, kernelSize: [3, 2], stride: [4, 2], padding: 3, dilation: [2, 3] },
  // Padding on one side only, with a window that has specialised implementations.
  {
    batch: 2,
    height: 5,
    width: 6,
    inputs: 5,
    outputs: 3,
    kernelSize: 3,
    padding: [
      [0, 2],
      [1, 1],
    ],
  },
  {
    height: 3,
    width: 4,
    inputs: 3,
    outputs: 5,
    kernelSize: [4, 1],
    padding: [
      [1, 2],
      [0, 0],
    ],
  },
  { batch: 3, height: 5, width: 4, inputs: 6, outputs: 9, kernelSize: 3, padding: 1, groups: 3 },
  { batch: 2, height: 6, width: 7, inputs: 66, outputs: 34, kernelSize: [1, 3], stride: 2, groups: 2 },
  {
    batch: 2,
    height: 7,
    width: 6,
    inputs: 67,
    outputs: 67,
    kernelSize: [3, 2],
    stride: [2, 1],
    padding: [1, 2],
    dilation: [1, 2],
    groups: 67,
  },
  { batch: 3, width: 12, inputs: 3, outputs: 5, kernelSize: 5, padding: 2 },
  { width: 11, inputs: 6, outputs: 4, kernelSize: 3, stride: 2, padding: 1, groups: 2 },
  {
    batch: 2,
    width: 9,
    inputs: 5,
    outputs: 5,
    kernelSize: 3,
    padding: [
      [0, 0],
      [4, 0],
    ],
    dilation: 2,
    groups: 5,
  },
  {
    batch: 2,
    height: 3,
    width: 4,
    inputs: 5,
    outputs: 3,
    kernelSize: 3,
    padding: [
      [1, 2],
      [1, 2],
    ],
    spread: 2,
  },
  { height: 4, width: 3, inputs: 3, outputs: 5, kernelSize: [2, 3], padding: 1, dilation: [1, 2], spread: [3, 2] },
  { batch: 2, height: 3, width: 5, inputs: 6, outputs: 4, kernelSize: 2, padding: 1, spread: 2, groups: 2 },
  {
    height: 4,
    width: 5,
    inputs: 5,
    outputs: 5,
    kernelSize: 3,
    padding: [
      [1, 0],
      [2, 2],
    ],
    spread: [2, 1],
    groups: 5,
  },
  { width: 6, inputs: 3, outputs: 5, kernelSize: 4, padding: 2, spread: 3 },
  // Crops the image.
  { batch: 2, height: 5, width: 6, inputs: 3, outputs: 3, kernelSize: 1, padding: [-1, -2], spread: 2 },
]

const inTurn = (i: number): Kind => ordinary[i % ordinary.length] as Kind

const usualConvolution = convolutions[1] as Convolution

/** Enough pixels and channels for backends that sum tiles of pixels in blocks; some tiles extend over the edges. */
const tiled: ReadonlyArray<Convolution> = [
  { batch: 2, height: 9, width: 7, inputs: 70, outputs: 17, kernelSize: 3, padding: 1 },
  { batch: 5, height: 13, width: 14, inputs: 20, outputs: 74, kernelSize: 3, padding: 1 },
]

/** Weights of more than a megabyte, which a backend may stream once for many images. */
const heavy: Convolution = { batch: 3, height: 3, width: 4, inputs: 150, outputs: 210, kernelSize: 3, padding: 1 }

const shapesOf = ({
  batch = 1,
  height,
  width,
  inputs,
  outputs,
  kernelSize,
  groups = 1,
  stride = 1,
  padding = 0,
  dilation = 1,
  spread = 1,
}: Convolution) => {
  const extents = height === undefined ? [width] : [height, width]
  const window = windowOf(extents.length + 1, kernelSize, { stride, padding, dilation, spread })
  const kernel = height === undefined ? [both(kernelSize)[1]] : both(kernelSize)
  const x = [...extents, inputs]
  const y = [
    ...slide(x, window, (reason) => {
      throw new Error(reason)
    }),
    outputs,
  ]
  return {
    attributes: { ...window, groups },
    x: [batch, ...x],
    weight: [...kernel, inputs / groups, outputs],
    y: [batch, ...y],
    label: `${format([batch, ...x])} → ${outputs}, window ${kernelSize}, stride ${stride}, padding ${JSON.stringify(padding)}, dilation ${dilation}, spread ${spread}, groups ${groups}`,
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

const eligibility = (
  [kind, x]: Kind,
  states: number,
  first: number,
  [samples, inputs, outputs]: readonly [number, number, number],
  learns = true,
): Example => ({
  name: `${kind} ${samples}×${inputs} → ${outputs}, ${states} states${learns ? "" : ", without a gradient"}`,
  attributes: { states, first },
  operands: {
    x: x([samples, inputs]),
    factors: normal([first + 2 + 2 * states + states * states, samples, outputs]),
    trace: normal(states === 1 ? [samples, inputs, outputs] : [states, samples, inputs, outputs]),
    ...(learns && { outputGradient: normal([samples, outputs]), weightGradient: output([inputs, outputs]) }),
  },
})

export const maps = {
  eligibility: [
    ...ordinary.map((kind, i) =>
      eligibility(kind, 1 + (i % 3), i % 2, linears[i % linears.length] as (typeof linears)[1]),
    ),
    ...[1, 2].map((states) => eligibility(ordinary[0] as Kind, states, 0, usual, false)),
    eligibility(ordinary[0] as Kind, 2, 3, [2, 5, 300]),
  ],
  "linear.forward": [
    ...linears.flatMap((shape, i) => ordinary.map((kind) => linearForward(kind, shape, i % 2 === 0))),
    ...[...extreme, huge, ...notFinite].flatMap((kind) => [true, false].map((b) => linearForward(kind, usual, b))),
    {
      name: "an image that was not flattened",
      operands: { x: normal(image), weight: normal([30, 7]), y: output([3, 7]) },
    },
    ...ordinary.map(([kind, x]) => ({
      name: `${kind} the pixels of an image`,
      operands: { x: x(image), weight: normal([5, 7]), y: output([3, 2, 3, 7]) },
    })),
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
    {
      name: "of the pixels of an image",
      operands: { outputGradient: normal([3, 2, 3, 7]), weight: normal([5, 7]), inputGradient: output(image) },
    },
  ],
  "linear.weightGradient": [
    ...linears.flatMap((shape) => ordinary.map((kind) => linearWeightGradient(kind, shape))),
    ...[...extreme, huge].map((kind) => linearWeightGradient(kind, usual)),
    {
      name: "an image that was not flattened",
      operands: { x: normal(image), outputGradient: normal([3, 7]), weightGradient: output([30, 7]) },
    },
    ...ordinary.map(([kind, x]) => ({
      name: `${kind} the pixels of an image`,
      operands: { x: x(image), outputGradient: normal([3, 2, 3, 7]), weightGradient: output([5, 7]) },
    })),
  ],
  "conv2d.forward": [
    ...[...convolutions, heavy].flatMap((convolution, i) =>
      ordinary.map((kind) => convForward(kind, convolution, i % 2 === 0)),
    ),
    ...others.map((convolution, i) => convForward(inTurn(i), convolution, i % 3 === 0)),
    ...[...extreme, huge, ...notFinite].flatMap((kind) =>
      [true, false].map((b) => convForward(kind, usualConvolution, b)),
    ),
  ],
  "conv2d.inputGradient": [
    ...[...convolutions, ...others, ...tiled, heavy].map(
      (convolution) => [outputGradients[0] as Kind, convolution] as const,
    ),
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
    ...others.map((convolution, i) => convWeightGradient(inTurn(i + 1), convolution)),
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
