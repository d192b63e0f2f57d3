/**
 * Linear maps and convolutions as products of matrices. A linear map is a convolution of images of one pixel.
 *
 * Rows of the forward direction are output pixels, columns output channels; the depth is the taps of the window and the input's
 * channels below each. Where the input is spikes, one word of memory brings 32 channels of a pixel.
 */
import { type KernelAttributes, Shape, Spikes, Windows } from "@spikeroute/core"
import { columnSums } from "../columns.ts"
import type { Product } from "../factors.ts"
import { product } from "../product.ts"
import type { Operands, WgslKernelsOf } from "../shader.ts"
import { winogradForward, winogradInputGradient, winogradWeightGradient } from "../winograd.ts"
import { groupedForward, groupedInputGradient, groupedWeightGradient } from "./grouped.ts"

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
  readonly rows: Windows.Axis
  readonly columns: Windows.Axis
  readonly groups: number
}

const image = (shape: Shape.Shape): Image => {
  const [batch, height, width, channels] = Windows.imagesOf(shape)
  return { batch, height, width, channels }
}

const pixels = ({ batch, height, width }: Image): number => batch * height * width

type Convolution = KernelAttributes["conv2d.forward"]

const convolution = (operands: Operands, x: string, y: string, attributes: Convolution): Geometry => ({
  ...attributes,
  input: image(operands.shape(x)),
  output: image(operands.shape(y)),
})

/** A linear map of the last axis: of `given`, its input or its output. */
const linear = (operands: Operands, given: "x" | "outputGradient", weight: string): Geometry => {
  const [inputs = 1, outputs = 1] = operands.shape(weight)
  const rows = Shape.size(operands.shape(given)) / (given === "x" ? inputs : outputs)
  return {
    ...Windows.windowOf(3, 1, { stride: 1, padding: 0 }),
    input: image([rows, 1, 1, inputs]),
    output: image([rows, 1, 1, outputs]),
    groups: 1,
  }
}

const isPointwise = ({ rows, columns }: Geometry): boolean =>
  [rows, columns].every(
    ({ kernel, stride, before, after, spread }) => kernel === 1 && stride === 1 && !before && !after && spread === 1,
  )

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
 * to its left and above. Where the image is `over` more than 1, these count so many zeros less one between its pixels.
 */
const look = (
  image: Image,
  { rows, columns }: Windows.Window,
  n: string,
  up: (suffix: string) => string,
  left: (suffix: string) => string,
  over: readonly [rows: number, columns: number],
  turned: boolean,
): Pick<Product, "row" | "step"> => {
  const sign = turned ? "-" : "+"
  const from = (s: string, y: string, x: string) => `(i32(${n}${s}) * ${image.height} + ${y}) * ${image.width} + ${x}`
  const [down, across] = [
    `step / ${columns.kernel}u * ${rows.dilation}u`,
    `step % ${columns.kernel}u * ${columns.dilation}u`,
  ]
  if (rows.kernel * columns.kernel <= mostTaps && over.every((each) => each === 1))
    return {
      row: (s) => `let first${s} = ${from(s, up(s), left(s))}; var taps${s} = 0u;
      { var above = 0u; var across = 0u;
      for (var i = 0; i < ${rows.kernel}; i++) { above |= select(0u, 1u, u32(${up(s)} ${sign} i * ${rows.dilation}) < ${image.height}u) << u32(i * ${columns.kernel}); }
      for (var i = 0; i < ${columns.kernel}; i++) { across |= select(0u, 1u, u32(${left(s)} ${sign} i * ${columns.dilation}) < ${image.width}u) << u32(i); }
      taps${s} = above * across; }`,
      step: (s) =>
        `let pixel${s} = u32(first${s} ${sign} i32(${down} * ${image.width}u + ${across})); let seen${s} = ((taps${s} >> step) & 1u) != 0u;`,
    }
  const [byRows, byColumns] = over
  const whole = (s: string) =>
    over.every((each) => each === 1) ? "" : `(u32(y${s}) % ${byRows}u == 0u) & (u32(x${s}) % ${byColumns}u == 0u) & `
  return {
    row: () => "",
    step: (s) =>
      `let y${s} = ${up(s)} ${sign} i32(${down}); let x${s} = ${left(s)} ${sign} i32(${across});
    let seen${s} = ${whole(s)}${inside(image, `(u32(y${s}) / ${byRows}u)`, `(u32(x${s}) / ${byColumns}u)`)};
    let pixel${s} = (${n}${s} * ${image.height}u + u32(y${s}) / ${byRows}u) * ${image.width}u + u32(x${s}) / ${byColumns}u;`,
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

/** Sets `pixel` to that of the input at (n, y, x), where so many zeros less one lie between its pixels, and `seen` to whether there is one. */
const find = ({ input, rows, columns }: Geometry): string => {
  const [y, x] = [`u32(y) / ${rows.spread}u`, `u32(x) / ${columns.spread}u`]
  const between = (name: string, { spread }: Windows.Axis) =>
    spread === 1 ? "" : `(u32(${name}) % ${spread}u == 0u) & `
  return `let pixel = (n * ${input.height}u + ${y}) * ${input.width}u + ${x};
  let seen = ${between("y", rows)}${between("x", columns)}${inside(input, `(${y})`, `(${x})`)};`
}

/** `see(n, y, x, k)`: the input at pixel (n, y, x) and channel k; 0 beyond the image, and between its pixels. */
const seeFunction = (geometry: Geometry): string => `
fn see(n: u32, y: i32, x: i32, k: u32) -> f32 {
  ${find(geometry)}
  return select(0f, load_x(pixel * ${geometry.input.channels}u + k), seen);
}`

/** Fewer channels than this do not fill a block: all taps are one step of the depth then. */
const fewChannels = 16

const nothing = () => ""

const forward = (operands: Operands, geometry: Geometry) => {
  const { input, output, rows, columns } = geometry
  const taps = rows.kernel * columns.kernel
  const { channels: inputs } = input
  const { channels: outputs } = output
  const pointwise = isPointwise(geometry)
  const flat = inputs < fewChannels && !pointwise
  const perRow = inputs < fewChannels ? undefined : wordsOf(operands, "x", inputs)
  const seeing = look(
    input,
    geometry,
    "out_n",
    (s) => `(out_y${s} * ${rows.stride} - ${rows.before})`,
    (s) => `(out_x${s} * ${columns.stride} - ${columns.before})`,
    [rows.spread, columns.spread],
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
      ? `let tap = k / ${inputs}u; let channel = k % ${inputs}u; let down = i32(tap / ${columns.kernel}u) * ${rows.dilation} - ${rows.before}; let across = i32(tap % ${columns.kernel}u) * ${columns.dilation} - ${columns.before};`
      : "",
    left: (suffix) =>
      flat
        ? `see(out_n${suffix}, out_y${suffix} * ${rows.stride} + down, out_x${suffix} * ${columns.stride} + across, channel)`
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

/** Whether the input's pixels that see the same taps lie at the same distance on both axes. */
const areInterleaved = ({ input, rows, columns }: Geometry): boolean =>
  rows.stride > 1 &&
  rows.stride === columns.stride &&
  rows.before === columns.before &&
  rows.before >= 0 &&
  rows.dilation === 1 &&
  columns.dilation === 1 &&
  input.height % rows.stride === 0 &&
  input.width % rows.stride === 0

/**
 * How the input's pixels are rows where a window moves by more than 1: those that the same taps see come one after the other, so that
 * whole tiles pass over the taps that see none of them. `silent`: see {@link Product}; `pixel` is a row's pixel.
 */
const interleaved = ({ input, rows, columns }: Geometry) => {
  const { stride, before } = rows
  const [height, width] = [input.height / stride, input.width / stride]
  const count = input.batch * height * width
  return {
    row: (s: string) => `let parity${s} = row${s} / ${count}u; let of_parity${s} = row${s} % ${count}u;
    let in_x${s} = i32(of_parity${s} % ${width}u * ${stride}u + parity${s} % ${stride}u); let in_y${s} = i32(of_parity${s} / ${width}u % ${height}u * ${stride}u + parity${s} / ${stride}u); let in_n${s} = of_parity${s} / ${height * width}u;`,
    silent: (first: string, last: string, step: string) =>
      `((${first} / ${count}u == ${last} / ${count}u) & (((${first} / ${count * stride}u + ${before}u + ${stride * rows.kernel}u - ${step} / ${columns.kernel}u) % ${stride}u != 0u) | ((${first} / ${count}u % ${stride}u + ${before}u + ${stride * columns.kernel}u - ${step} % ${columns.kernel}u) % ${stride}u != 0u)))`,
    pixel: `((in_n * ${input.height}u + u32(in_y)) * ${input.width}u + u32(in_x))`,
  }
}

/** Rows are input pixels, columns input channels; the depth is the taps and the output's channels below each. */
const inputGradient = (operands: Operands, geometry: Geometry) => {
  const { input, output, rows, columns } = geometry
  const { channels: inputs } = input
  const { channels: outputs } = output
  const pointwise = isPointwise(geometry)
  const classes = areInterleaved(geometry) ? interleaved(geometry) : undefined
  const seeing = look(
    output,
    geometry,
    "in_n",
    (s) => `(in_y${s} * ${rows.spread} + ${rows.before})`,
    (s) => `(in_x${s} * ${columns.spread} + ${columns.before})`,
    [rows.stride, columns.stride],
    true,
  )
  const row = (s: string) => classes?.row(s) ?? split(input, "in", s)
  return product(operands, {
    rows: pixels(input),
    columns: inputs,
    steps: rows.kernel * columns.kernel,
    depth: outputs,
    row: (s) => (pointwise ? itself(s) : `${row(s)} ${seeing.row(s)}`),
    step: (s) => (pointwise ? "" : seeing.step(s)),
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
const octets = (geometry: Geometry): string => `
fn octet(n: u32, y: i32, x: i32, channel: u32) -> u32 {
  ${find(geometry)}
  let word = word_x(pixel * ${Spikes.wordsPerRow(geometry.input.channels)}u + channel / 32u);
  return select(0u, word >> (channel & 31u), seen);
}`

/** Rows are taps and the input's channels below each, columns output channels; the depth is the output pixels. */
const weightGradient = (operands: Operands, geometry: Geometry) => {
  const { input, output, rows, columns } = geometry
  const { channels: inputs } = input
  const { channels: outputs } = output
  const { height, width } = output
  const pixelOfTap = (suffix: string) =>
    `n, y * ${rows.stride} + down${suffix}, x * ${columns.stride} + across${suffix}, channel${suffix}`
  const packed = operands.target.software && inputs % 8 === 0 && wordsOf(operands, "x", inputs) !== undefined
  return product(operands, {
    rows: rows.kernel * columns.kernel * inputs,
    columns: outputs,
    steps: 1,
    depth: pixels(output),
    row: (suffix) =>
      `let channel${suffix} = row${suffix} % ${inputs}u; let down${suffix} = i32(row${suffix} / ${inputs * columns.kernel}u) * ${rows.dilation} - ${rows.before}; let across${suffix} = i32(row${suffix} / ${inputs}u % ${columns.kernel}u) * ${columns.dilation} - ${columns.before};`,
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
  "conv2d.forward": (operands, attributes) => {
    const geometry = convolution(operands, "x", "y", attributes)
    if (geometry.groups > 1) return groupedForward(operands, geometry)
    return winogradForward(operands, geometry) ?? forward(operands, geometry)
  },
  "conv2d.inputGradient": (operands, attributes) => {
    const geometry = convolution(operands, "inputGradient", "outputGradient", attributes)
    if (geometry.groups > 1) return groupedInputGradient(operands, geometry)
    return winogradInputGradient(operands, geometry) ?? inputGradient(operands, geometry)
  },
  "conv2d.weightGradient": (operands, attributes) => {
    const geometry = convolution(operands, "x", "outputGradient", attributes)
    if (geometry.groups > 1) return groupedWeightGradient(operands, geometry)
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
