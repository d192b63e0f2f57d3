/**
 * Linear maps and convolutions as products of matrices. A linear map is a convolution of images of one pixel.
 *
 * Rows of the forward direction are output pixels, columns output channels; the depth is the taps of the window and the input's
 * channels below each. Where the input is spikes, one word of memory brings 32 channels of a pixel.
 */
import { Spikes } from "@spikeroute/core"
import { columnSums } from "../columns.ts"
import { product } from "../product.ts"
import type { Operands, WgslKernel } from "../shader.ts"

interface Image {
  readonly batch: number
  readonly height: number
  readonly width: number
  readonly channels: number
}

interface Geometry {
  readonly input: Image
  readonly output: Image
  /** Height and width of the window. */
  readonly window: readonly [number, number]
  readonly stride: number
  readonly padding: number
}

const image = ([batch = 1, height = 1, width = 1, channels = 1]: ReadonlyArray<number>): Image => ({
  batch,
  height,
  width,
  channels,
})

const pixels = ({ batch, height, width }: Image): number => batch * height * width

interface Sliding {
  readonly stride: number
  readonly padding: number
}

const convolution = (
  operands: Operands,
  x: string,
  weight: string,
  y: string,
  { stride, padding }: Sliding,
): Geometry => {
  const [rows = 1, columns = 1] = operands.shape(weight)
  return {
    input: image(operands.shape(x)),
    output: image(operands.shape(y)),
    window: [rows, columns],
    stride,
    padding,
  }
}

const linear = (operands: Operands, x: string, weight: string): Geometry => {
  const [batch = 1] = operands.shape(x)
  const [inputs = 1, outputs = 1] = operands.shape(weight)
  return {
    input: image([batch, 1, 1, inputs]),
    output: image([batch, 1, 1, outputs]),
    window: [1, 1],
    stride: 1,
    padding: 0,
  }
}

const isPointwise = ({ window: [rows, columns], stride, padding }: Geometry): boolean =>
  rows === 1 && columns === 1 && stride === 1 && padding === 0

/** Sets `name`_n, `name`_y and `name`_x of a pixel of an image. */
const split = ({ height, width }: Image, pixel: string, name: string): string =>
  `let ${name}_x = i32(${pixel} % ${width}u); let ${name}_y = i32(${pixel} / ${width}u % ${height}u); let ${name}_n = ${pixel} / ${height * width}u;`

/** Sets `pixel` to the input pixel that output pixel `row` sees through tap `tap`, and `seen` to whether there is one. */
const look = ({ input, window: [, columns], stride, padding }: Geometry, tap: string): string =>
  `let y = out_y * ${stride} + i32(${tap} / ${columns}u) - ${padding}; let x = out_x * ${stride} + i32(${tap} % ${columns}u) - ${padding};
  let seen = y >= 0 && y < ${input.height} && x >= 0 && x < ${input.width};
  let pixel = (out_n * ${input.height}u + u32(y)) * ${input.width}u + u32(x);`

/** Words of a row of spikes that may be read one by one: of a pixel, or of all that a linear map takes. */
const wordsOf = (operands: Operands, name: string, channels: number): number | undefined => {
  if (!operands.isSpikes(name)) return undefined
  const own = operands.channels(name)
  return own === channels || own % 32 === 0 ? Spikes.wordsPerRow(channels) : undefined
}

/** `see(n, oy, ox, k)`: the input at element k of the window, taps and channels, of output pixel (n, oy, ox). */
const seeing = ({ input, window: [, columns], stride, padding }: Geometry): string => `
fn see(n: u32, oy: i32, ox: i32, k: u32) -> f32 {
  let tap = k / ${input.channels}u;
  let y = oy * ${stride} + i32(tap / ${columns}u) - ${padding};
  let x = ox * ${stride} + i32(tap % ${columns}u) - ${padding};
  if (y < 0 || y >= ${input.height} || x < 0 || x >= ${input.width}) { return 0f; }
  return load_x(((n * ${input.height}u + u32(y)) * ${input.width}u + u32(x)) * ${input.channels}u + k % ${input.channels}u);
}`

/** Fewer channels than this do not fill a block: all taps are one step of the depth then. */
const fewChannels = 16

const forward = (operands: Operands, geometry: Geometry) => {
  const { input, output, window } = geometry
  const taps = window[0] * window[1]
  const { channels: inputs } = input
  const { channels: outputs } = output
  const pointwise = isPointwise(geometry)
  const flat = inputs < fewChannels && !pointwise
  const perRow = inputs < fewChannels ? undefined : wordsOf(operands, "x", inputs)
  return product(operands, {
    rows: pixels(output),
    columns: outputs,
    steps: flat ? 1 : taps,
    depth: flat ? taps * inputs : inputs,
    row: pointwise ? "let pixel = row; let seen = inside;" : split(output, "row", "out"),
    step: pointwise || flat ? "" : look(geometry, "step"),
    left: flat ? "see(out_n, out_y, out_x, k)" : `select(0f, load_x(pixel * ${inputs}u + k), seen)`,
    ...(perRow === undefined ? {} : { word: `select(0u, word_x(pixel * ${perRow}u + k / 32u), seen)` }),
    right: `load_weight((step * ${inputs}u + k) * ${outputs}u + column)`,
    rightAlong: "columns",
    store: `store_y(row * ${outputs}u + column, value${operands.has("bias") ? " + load_bias(column)" : ""});`,
    ...(flat ? { declarations: seeing(geometry) } : {}),
  })
}

/** Rows are input pixels, columns input channels; the depth is the taps and the output's channels below each. */
const inputGradient = (operands: Operands, geometry: Geometry) => {
  const { input, output, window, stride, padding } = geometry
  const { channels: inputs } = input
  const { channels: outputs } = output
  const pointwise = isPointwise(geometry)
  return product(operands, {
    rows: pixels(input),
    columns: inputs,
    steps: window[0] * window[1],
    depth: outputs,
    row: pointwise ? "let pixel = row; let seen = inside;" : split(input, "row", "in"),
    step: pointwise
      ? ""
      : `let y = in_y + ${padding} - i32(step / ${window[1]}u); let x = in_x + ${padding} - i32(step % ${window[1]}u);
  let seen = y >= 0 && y % ${stride} == 0 && y / ${stride} < ${output.height} && x >= 0 && x % ${stride} == 0 && x / ${stride} < ${output.width};
  let pixel = (in_n * ${output.height}u + u32(y / ${stride})) * ${output.width}u + u32(x / ${stride});`,
    left: `select(0f, load_outputGradient(pixel * ${outputs}u + k), seen)`,
    right: `load_weight((step * ${inputs}u + column) * ${outputs}u + k)`,
    rightAlong: "depth",
    store: `add_inputGradient(row * ${inputs}u + column, value);`,
  })
}

/** Rows are taps and the input's channels below each, columns output channels; the depth is the output pixels. */
const weightGradient = (operands: Operands, geometry: Geometry) => {
  const { input, output, window } = geometry
  const { channels: inputs } = input
  const { channels: outputs } = output
  const pointwise = isPointwise(geometry)
  const { height, width } = output
  return product(operands, {
    rows: window[0] * window[1] * inputs,
    columns: outputs,
    steps: 1,
    depth: pixels(output),
    row: "",
    step: "",
    left: pointwise
      ? `load_x(k * ${inputs}u + row)`
      : `see(k / ${height * width}u, i32(k / ${width}u % ${height}u), i32(k % ${width}u), row)`,
    right: `load_outputGradient(k * ${outputs}u + column)`,
    rightAlong: "columns",
    store: `add_weightGradient(row * ${outputs}u + column, value);`,
    ...(pointwise ? {} : { declarations: seeing(geometry) }),
  })
}

export const maps = {
  "linear.forward": (operands) => forward(operands, linear(operands, "x", "weight")),
  "linear.inputGradient": (operands) => inputGradient(operands, linear(operands, "outputGradient", "weight")),
  "linear.weightGradient": (operands) => weightGradient(operands, linear(operands, "x", "weightGradient")),
  "conv2d.forward": (operands, sliding: Sliding) =>
    forward(operands, convolution(operands, "x", "weight", "y", sliding)),
  "conv2d.inputGradient": (operands, sliding: Sliding) =>
    inputGradient(operands, convolution(operands, "inputGradient", "weight", "outputGradient", sliding)),
  "conv2d.weightGradient": (operands, sliding: Sliding) =>
    weightGradient(operands, convolution(operands, "x", "weightGradient", "outputGradient", sliding)),
  "bias.gradient": (operands) => {
    const columns = operands.size("biasGradient")
    return columnSums(
      operands,
      { rows: operands.size("outputGradient") / columns, columns },
      { names: ["sum"], each: "sum += load_outputGradient(i);", finish: "add_biasGradient(c, sum);" },
    )
  },
} satisfies Record<string, WgslKernel>
