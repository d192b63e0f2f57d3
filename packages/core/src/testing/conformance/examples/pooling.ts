/** Examples for pooling kernels. */
import { type Extents, type Geometry, slide, windowOf } from "../../../ops/window.ts"
import { format } from "../../../shape.ts"
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
  spikes,
} from "../example.ts"

interface Pool extends Partial<Geometry> {
  readonly batch?: number
  /** Absent for sequences. */
  readonly height?: number
  readonly width: number
  readonly channels: number
  readonly kernelSize: Extents
  readonly sums?: true
}

const pools: ReadonlyArray<Pool> = [
  { height: 1, width: 1, channels: 1, kernelSize: 1, stride: 1 },
  { batch: 3, height: 4, width: 6, channels: 3, kernelSize: 2, stride: 2 },
  { height: 7, width: 5, channels: 5, kernelSize: 3, stride: 2, padding: 1 },
  { batch: 3, height: 5, width: 8, channels: 7, kernelSize: 3, stride: 1, padding: 1 },
  { height: 5, width: 7, channels: 1, kernelSize: 2, stride: 3, padding: 1 },
  { height: 6, width: 5, channels: 33, kernelSize: 5, stride: 1, padding: 2 },
  { batch: 2, height: 7, width: 6, channels: 3, kernelSize: 4, stride: 3 },
  { batch: 2, height: 6, width: 7, channels: 3, kernelSize: [2, 1], stride: [2, 1] },
  { height: 7, width: 9, channels: 5, kernelSize: [3, 2], stride: [1, 2], padding: [1, 0], sums: true },
  {
    height: 8,
    width: 7,
    channels: 3,
    kernelSize: [2, 3],
    stride: [1, 2],
    padding: [
      [0, 1],
      [1, 2],
    ],
    dilation: [3, 2],
  },
  { batch: 3, width: 12, channels: 3, kernelSize: 2, stride: 2 },
  { width: 9, channels: 34, kernelSize: 3, stride: 2, padding: 1, dilation: 2 },
]

const usual = pools[2] as Pool

/** Windows entirely within the padding, which only average pooling allows. */
const beyond: Pool = { height: 3, width: 4, channels: 3, kernelSize: 2, stride: 1, padding: 2 }

const shapesOf = ({
  batch = 1,
  height,
  width,
  channels,
  kernelSize,
  stride = 1,
  padding = 0,
  dilation = 1,
  sums,
}: Pool) => {
  const extents = height === undefined ? [width] : [height, width]
  const window = windowOf(extents.length + 1, kernelSize, { stride, padding, dilation })
  const x = [...extents, channels]
  const y = slide(x, window, (reason) => {
    throw new Error(reason)
  })
  return {
    window,
    share: sums ? 1 : 1 / (window.rows.kernel * window.columns.kernel),
    x: [batch, ...x],
    y: [batch, ...y, channels],
    label: `${format([batch, ...x])}, window ${kernelSize}, stride ${stride}, padding ${JSON.stringify(padding)}, dilation ${dilation}${sums ? ", sums" : ""}`,
  }
}

const forward = ([kind, input]: Kind, pool: Pool, isMax = false, keepsSpikes = false): Example => {
  const { window, share, x, y, label } = shapesOf(pool)
  return {
    name: `${kind} ${label}`,
    attributes: isMax ? window : { ...window, share },
    operands: { x: input(x), y: output(y, keepsSpikes ? "spikes" : "float32") },
  }
}

const gradients: ReadonlyArray<Kind> = [["real", (shape) => normal(shape)], huge]

const backward = ([kind, gradient]: Kind, pool: Pool): Example => {
  const { window, share, x, y, label } = shapesOf(pool)
  return {
    name: `${kind} ${label}`,
    attributes: { ...window, share },
    operands: { outputGradient: gradient(y), inputGradient: output(x) },
  }
}

/** [batch, height, width, channels, output size]; the last is larger than its image. */
const adaptive = [
  [1, 1, 1, 1, 1],
  [3, 5, 7, 3, 1],
  [1, 7, 5, 5, 3],
  [3, 4, 6, 7, 2],
  [2, 2, 3, 3, 5],
] as const

const adaptiveLabel = ([batch, height, width, channels, size]: (typeof adaptive)[number]): string =>
  `${batch}×${height}×${width}×${channels} → ${size}×${size}`

const spiking: ReadonlyArray<Kind> = [
  ["spikes", (shape) => spikes(shape)],
  ["no spikes", (shape) => spikes(shape, 0)],
  ["all spikes", (shape) => spikes(shape, 1)],
]

export const pooling = {
  "averagePool.forward": [
    ...[...pools, beyond].flatMap((pool) => ordinary.map((kind) => forward(kind, pool))),
    ...[...extreme, huge].map((kind) => forward(kind, usual)),
    // A mean over a window may be a product that includes zeros outside it, which spreads non-finite values.
    ...notFinite.map((kind): Example => ({ ...forward(kind, usual), loose: true })),
  ],
  "averagePool.backward": [
    ...[...pools, beyond].map((pool) => backward(gradients[0] as Kind, pool)),
    backward(huge, usual),
  ],
  "adaptiveAveragePool.forward": [
    ...adaptive.flatMap((shape) => ordinary.map((kind) => [kind, shape] as const)),
    ...[...extreme, huge, ...notFinite].map((kind) => [kind, adaptive[2]] as const),
  ].map(([[kind, input], shape]): Example => {
    const [batch, height, width, channels, size] = shape
    return {
      name: `${kind} ${adaptiveLabel(shape)}`,
      ...(notFinite.some(([name]) => name === kind) ? { loose: true } : {}),
      operands: { x: input([batch, height, width, channels]), y: output([batch, size, size, channels]) },
    }
  }),
  "adaptiveAveragePool.backward": adaptive.flatMap((shape) =>
    gradients.map(([kind, gradient]) => {
      const [batch, height, width, channels, size] = shape
      return {
        name: `${kind} ${adaptiveLabel(shape)}`,
        operands: {
          outputGradient: gradient([batch, size, size, channels]),
          inputGradient: output([batch, height, width, channels]),
        },
      }
    }),
  ),
  "maxPool.forward": [
    ...pools.map((pool) => forward(ordinary[0] as Kind, pool, true)),
    ...pools.flatMap((pool) => spiking.map((kind) => forward(kind, pool, true, true))),
    // The padding zeros are larger than all of these, but must not be selected.
    ...extreme.slice(3).map((kind) => forward(kind, usual, true)),
    forward(huge, usual, true),
    forward(notFinite[1] as Kind, usual, true),
  ],
  // Spikes have many ties: the first value of the window receives the gradient.
  "maxPool.backward": [
    ...pools.map((pool) => [ordinary[0] as Kind, pool] as const),
    ...pools.flatMap((pool) => spiking.map((kind) => [kind, pool] as const)),
    [extreme[3] as Kind, usual] as const,
    [extreme[2] as Kind, usual] as const,
  ].map(([[kind, input], pool]) => {
    const { window, x, y, label } = shapesOf(pool)
    return {
      name: `${kind} ${label}`,
      attributes: window,
      operands: { x: input(x), outputGradient: normal(y), inputGradient: output(x) },
    }
  }),
} satisfies Partial<Examples>
