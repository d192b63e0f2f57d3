/**
 * Linear maps and convolutions as products of matrices. A linear map is a convolution of images of one pixel.
 *
 * Rows of the forward direction are output pixels, columns output channels; the depth is the taps of the window and the input's
 * channels below each. Where the input is spikes, one word of memory brings 32 channels of a pixel.
 */
import { type KernelAttributes, Spikes } from "@spikeroute/core"
import { columnSums } from "../columns.ts"
import type { Product } from "../factors.ts"
import { product } from "../product.ts"
import type { Operands, WgslKernelsOf } from "../shader.ts"
import { winogradForward, winogradInputGradient, winogradWeightGradient } from "../winograd.ts"

/** A batch of images. */
export interface Image {
  readonly batch: number
  readonly height: number
  readonly width: number
  readonly channels: number
}

/** A convolution's images, and how its window moves. */
export interface Geometry {
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

type Sliding = KernelAttributes["conv2d.forward"]

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

/** Sets in_n, in_y and in_x, or out_…, of the pixel of an image that a row stands for. */
const split = ({ height, width }: Image, name: string, suffix: string): string =>
  `let ${name}_x${suffix} = i32(row${suffix} % ${width}u); let ${name}_y${suffix} = i32(row${suffix} / ${width}u % ${height}u); let ${name}_n${suffix} = row${suffix} / ${height * width}u;`

/** Whether pixel (y, x) is one of an image; without branches, which are dear where each of a thread's rows has its own. */
const inside = ({ height, width }: Image, y: string, x: string): string =>
  `(u32(${y}) < ${height}u) & (u32(${x}) < ${width}u)`

/** Taps of a window, where a word has a bit for each. */
const mostTaps = 32

/**
 * What a row sees through the taps of a window: `row` sets up, `step` sets `pixel` to the pixel seen through tap `step`, and `seen` to
 * whether there is one. `up` and `left` are the pixel seen through the first tap; the next are to its right and below, or where `turned`
 * to its left and above.
 */
const look = (
  image: Image,
  window: Geometry["window"],
  n: string,
  up: (suffix: string) => string,
  left: (suffix: string) => string,
  turned: boolean,
): Pick<Product, "row" | "step"> => {
  const sign = turned ? "-" : "+"
  const [rows, columns] = window
  const from = (s: string) => `(i32(${n}${s}) * ${image.height} + ${up(s)}) * ${image.width} + ${left(s)}`
  const offset = `${sign} i32(step / ${columns}u * ${image.width}u + step % ${columns}u)`
  if (rows * columns <= mostTaps)
    return {
      row: (s) => `let first${s} = ${from(s)}; var taps${s} = 0u;
      { var above = 0u; var across = 0u;
      for (var i = 0; i < ${rows}; i++) { above |= select(0u, 1u, u32(${up(s)} ${sign} i) < ${image.height}u) << u32(i * ${columns}); }
      for (var i = 0; i < ${columns}; i++) { across |= select(0u, 1u, u32(${left(s)} ${sign} i) < ${image.width}u) << u32(i); }
      taps${s} = above * across; }`,
      step: (s) => `let pixel${s} = u32(first${s} ${offset}); let seen${s} = ((taps${s} >> step) & 1u) != 0u;`,
    }
  return {
    row: () => "",
    step: (s) =>
      `let y${s} = ${up(s)} ${sign} i32(step / ${columns}u); let x${s} = ${left(s)} ${sign} i32(step % ${columns}u);
    let seen${s} = ${inside(image, `y${s}`, `x${s}`)}; let pixel${s} = u32(${from(s)} ${offset});`,
  }
}

/** A row that is a pixel itself. */
const itself = (suffix: string): string => `let pixel${suffix} = row${suffix}; let seen${suffix} = inside${suffix};`

/** Words of a row of spikes that may be read one by one: of a pixel, or of all that a linear map takes. */
const wordsOf = (operands: Operands, name: string, channels: number): number | undefined => {
  if (!operands.isSpikes(name)) return undefined
  const own = operands.channels(name)
  return own === channels || own % 32 === 0 ? Spikes.wordsPerRow(channels) : undefined
}

/** `see(n, y, x, k)`: the input at pixel (n, y, x) and channel k; 0 beyond the image. */
const seeFunction = ({ input }: Geometry): string => `
fn see(n: u32, y: i32, x: i32, k: u32) -> f32 {
  let pixel = (n * ${input.height}u + u32(y)) * ${input.width}u + u32(x);
  return select(0f, load_x(pixel * ${input.channels}u + k), ${inside(input, "y", "x")});
}`

/** Fewer channels than this do not fill a block: all taps are one step of the depth then. */
const fewChannels = 16

const nothing = () => ""

const forward = (operands: Operands, geometry: Geometry) => {
  const { input, output, window, stride, padding } = geometry
  const taps = window[0] * window[1]
  const { channels: inputs } = input
  const { channels: outputs } = output
  const pointwise = isPointwise(geometry)
  const flat = inputs < fewChannels && !pointwise
  const perRow = inputs < fewChannels ? undefined : wordsOf(operands, "x", inputs)
  const seeing = look(
    input,
    window,
    "out_n",
    (s) => `(out_y${s} * ${stride} - ${padding})`,
    (s) => `(out_x${s} * ${stride} - ${padding})`,
    false,
  )
  return product(operands, {
    rows: pixels(output),
    columns: outputs,
    steps: flat ? 1 : taps,
    depth: flat ? taps * inputs : inputs,
    row: (s) => (pointwise ? itself(s) : `${split(output, "out", s)} ${flat ? "" : seeing.row(s)}`),
    step: (s) => (pointwise || flat ? "" : seeing.step(s)),
    at: flat
      ? `let tap = k / ${inputs}u; let channel = k % ${inputs}u; let down = i32(tap / ${window[1]}u) - ${padding}; let across = i32(tap % ${window[1]}u) - ${padding};`
      : "",
    left: (suffix) =>
      flat
        ? `see(out_n${suffix}, out_y${suffix} * ${stride} + down, out_x${suffix} * ${stride} + across, channel)`
        : `select(0f, load_x(pixel${suffix} * ${inputs}u + k), seen${suffix})`,
    ...(perRow === undefined
      ? {}
      : { word: (suffix: string) => `select(0u, word_x(pixel${suffix} * ${perRow}u + k / 32u), seen${suffix})` }),
    leftAlong: "depth",
    right: (column) => `load_weight((step * ${inputs}u + k) * ${outputs}u + ${column})`,
    rightAlong: "columns",
    target: "y",
    store: `store_y(row * ${outputs}u + column, value${operands.has("bias") ? " + load_bias(column)" : ""});`,
    ...(flat ? { declarations: seeFunction(geometry) } : {}),
  })
}

/**
 * How the input's pixels are rows where a window moves by more than 1: those that the same taps see come one after the other, so that
 * whole tiles pass over the taps that see none of them. `silent`: see {@link Product}; `pixel` is a row's pixel.
 */
const interleaved = ({ input, window, stride, padding }: Geometry) => {
  const [height, width] = [input.height / stride, input.width / stride]
  const count = input.batch * height * width
  return {
    row: (s: string) => `let parity${s} = row${s} / ${count}u; let of_parity${s} = row${s} % ${count}u;
    let in_x${s} = i32(of_parity${s} % ${width}u * ${stride}u + parity${s} % ${stride}u); let in_y${s} = i32(of_parity${s} / ${width}u % ${height}u * ${stride}u + parity${s} / ${stride}u); let in_n${s} = of_parity${s} / ${height * width}u;`,
    silent: (first: string, last: string, step: string) =>
      `((${first} / ${count}u == ${last} / ${count}u) & (((${first} / ${count * stride}u + ${padding}u + ${stride * window[0]}u - ${step} / ${window[1]}u) % ${stride}u != 0u) | ((${first} / ${count}u % ${stride}u + ${padding}u + ${stride * window[1]}u - ${step} % ${window[1]}u) % ${stride}u != 0u)))`,
    pixel: `((in_n * ${input.height}u + u32(in_y)) * ${input.width}u + u32(in_x))`,
  }
}

/** Rows are input pixels, columns input channels; the depth is the taps and the output's channels below each. */
const inputGradient = (operands: Operands, geometry: Geometry) => {
  const { input, output, window, stride, padding } = geometry
  const { channels: inputs } = input
  const { channels: outputs } = output
  const pointwise = isPointwise(geometry)
  const classes =
    stride > 1 && input.height % stride === 0 && input.width % stride === 0 ? interleaved(geometry) : undefined
  const seeing = look(
    output,
    window,
    "in_n",
    (s) => `(in_y${s} + ${padding})`,
    (s) => `(in_x${s} + ${padding})`,
    true,
  )
  const row = (s: string) => classes?.row(s) ?? split(input, "in", s)
  return product(operands, {
    rows: pixels(input),
    columns: inputs,
    steps: window[0] * window[1],
    depth: outputs,
    row: (s) => (pointwise ? itself(s) : `${row(s)} ${stride > 1 ? "" : seeing.row(s)}`),
    step: (s) =>
      pointwise
        ? ""
        : stride > 1
          ? `let y${s} = in_y${s} + ${padding} - i32(step / ${window[1]}u); let x${s} = in_x${s} + ${padding} - i32(step % ${window[1]}u);
    let seen${s} = (u32(y${s}) % ${stride}u == 0u) & (u32(x${s}) % ${stride}u == 0u) & ${inside(output, `(u32(y${s}) / ${stride}u)`, `(u32(x${s}) / ${stride}u)`)};
    let pixel${s} = (in_n${s} * ${output.height}u + u32(y${s}) / ${stride}u) * ${output.width}u + u32(x${s}) / ${stride}u;`
          : seeing.step(s),
    at: "",
    left: (suffix) => `select(0f, load_outputGradient(pixel${suffix} * ${outputs}u + k), seen${suffix})`,
    leftAlong: "depth",
    right: (column) => `load_weight((step * ${inputs}u + ${column}) * ${outputs}u + k)`,
    rightAlong: "depth",
    ...(classes ? { silent: classes.silent } : {}),
    target: "inputGradient",
    store: `${classes ? `${classes.row("")} ` : ""}add_inputGradient(${classes?.pixel ?? "row"} * ${inputs}u + column, value);`,
  })
}

/** `octet(n, y, x, channel)`: eight spikes of the input from a channel that is a multiple of 8 on, in the lowest bits. */
const octets = ({ input }: Geometry): string => `
fn octet(n: u32, y: i32, x: i32, channel: u32) -> u32 {
  let pixel = (n * ${input.height}u + u32(y)) * ${input.width}u + u32(x);
  let word = word_x(pixel * ${Spikes.wordsPerRow(input.channels)}u + channel / 32u);
  return select(0u, word >> (channel & 31u), ${inside(input, "y", "x")});
}`

/** Rows are taps and the input's channels below each, columns output channels; the depth is the output pixels. */
const weightGradient = (operands: Operands, geometry: Geometry) => {
  const { input, output, window, stride, padding } = geometry
  const { channels: inputs } = input
  const { channels: outputs } = output
  const { height, width } = output
  const pixelOfTap = (suffix: string) =>
    `n, y * ${stride} + down${suffix}, x * ${stride} + across${suffix}, channel${suffix}`
  const packed = operands.target.software && inputs % 8 === 0 && wordsOf(operands, "x", inputs) !== undefined
  return product(operands, {
    rows: window[0] * window[1] * inputs,
    columns: outputs,
    steps: 1,
    depth: pixels(output),
    row: (suffix) =>
      `let channel${suffix} = row${suffix} % ${inputs}u; let down${suffix} = i32(row${suffix} / ${inputs * window[1]}u) - ${padding}; let across${suffix} = i32(row${suffix} / ${inputs}u % ${window[1]}u) - ${padding};`,
    step: nothing,
    at: `let x = i32(k % ${width}u); let y = i32(k / ${width}u % ${height}u); let n = k / ${height * width}u;`,
    left: (suffix) => `see(${pixelOfTap(suffix)})`,
    ...(packed ? { octet: (suffix: string) => `octet(${pixelOfTap(suffix)})` } : {}),
    leftAlong: "rows",
    right: (column) => `load_outputGradient(k * ${outputs}u + ${column})`,
    rightAlong: "columns",
    target: "weightGradient",
    store: `add_weightGradient(row * ${outputs}u + column, value);`,
    declarations: seeFunction(geometry) + (packed ? octets(geometry) : ""),
  })
}

export const maps: WgslKernelsOf<"linear" | "conv2d" | "bias"> = {
  "linear.forward": (operands) => forward(operands, linear(operands, "x", "weight")),
  "linear.inputGradient": (operands) => inputGradient(operands, linear(operands, "outputGradient", "weight")),
  "linear.weightGradient": (operands) => weightGradient(operands, linear(operands, "x", "weightGradient")),
  "conv2d.forward": (operands, sliding) => {
    const geometry = convolution(operands, "x", "weight", "y", sliding)
    return winogradForward(operands, geometry) ?? forward(operands, geometry)
  },
  "conv2d.inputGradient": (operands, sliding) => {
    const geometry = convolution(operands, "inputGradient", "weight", "outputGradient", sliding)
    return winogradInputGradient(operands, geometry) ?? inputGradient(operands, geometry)
  },
  "conv2d.weightGradient": (operands, sliding) => {
    const geometry = convolution(operands, "x", "weightGradient", "outputGradient", sliding)
    return winogradWeightGradient(operands, geometry) ?? weightGradient(operands, geometry)
  },
  "bias.gradient": (operands) => {
    const columns = operands.size("biasGradient")
    return columnSums(
      operands,
      { rows: operands.size("outputGradient") / columns, columns },
      { names: ["sum"], each: "sum += load_outputGradient(i);", finish: "add_biasGradient(c, sum);" },
    )
  },
}
