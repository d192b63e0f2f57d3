/**
 * Linear layers and convolutions as matrix products. A linear layer is a convolution of one-pixel images.
 *
 * In the forward pass rows are output pixels and columns are output channels; the depth runs over the window's taps and the input
 * channels at each tap. If the input is spikes, one word holds 32 channels of a pixel.
 */
import { type KernelAttributes, Shape, Spikes, Windows } from "@spikeroute/core"
import { columnSums } from "../column-reductions.ts"
import { matmul } from "../matmul.ts"
import type { Matmul } from "../matmul-problem.ts"
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

/** The images of a convolution and the movement of its window. */
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

/** A linear layer over the last axis; `given` is the operand that determines the number of rows. */
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

/** Sets in_n, in_y and in_x (or out_…): the pixel that a row corresponds to. */
const split = ({ height, width }: Image, name: string, suffix: string): string =>
  `let ${name}_x${suffix} = i32(row${suffix} % ${width}u); let ${name}_y${suffix} = i32(row${suffix} / ${width}u % ${height}u); let ${name}_n${suffix} = row${suffix} / ${height * width}u;`

/** Whether pixel (y, x) is inside the image. Branch-free: rows of one thread would diverge. */
const inside = ({ height, width }: Image, y: string, x: string): string =>
  `(u32(${y}) < ${height}u) & (u32(${x}) < ${width}u)`

/** Largest window whose taps fit one bit each in a word. */
const mostTaps = 32

/**
 * The pixel that a row reads at each tap of the window. `row` prepares; `step` sets `pixel` to the pixel at tap `step`, and `seen` to
 * whether it exists. `up` and `left` are the coordinates at the first tap; further taps lie to the right and below, or, if `turned`,
 * to the left and above. If `over` is above 1, coordinates count over − 1 zeros inserted between the image's pixels.
 */
const look = (
  image: Image,
  { rows, columns }: Windows.Window,
  n: string,
  up: (suffix: string) => string,
  left: (suffix: string) => string,
  over: readonly [rows: number, columns: number],
  turned: boolean,
): Pick<Matmul, "row" | "step"> => {
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

/** A row that is itself a pixel. */
const itself = (suffix: string): string => `let pixel${suffix} = row${suffix}; let seen${suffix} = inside${suffix};`

/** Words per row of spikes if the rows can be read word by word, else `undefined`. */
const wordsOf = (operands: Operands, name: string, channels: number): number | undefined => {
  if (!operands.isSpikes(name)) return undefined
  const own = operands.channels(name)
  return own === channels || own % 32 === 0 ? Spikes.wordsPerRow(channels) : undefined
}

/** Sets `pixel` to the input pixel at (n, y, x), counting the zeros inserted between pixels, and `seen` to whether it exists. */
const find = ({ input, rows, columns }: Geometry): string => {
  const [y, x] = [`u32(y) / ${rows.spread}u`, `u32(x) / ${columns.spread}u`]
  const between = (name: string, { spread }: Windows.Axis) =>
    spread === 1 ? "" : `(u32(${name}) % ${spread}u == 0u) & `
  return `let pixel = (n * ${input.height}u + ${y}) * ${input.width}u + ${x};
  let seen = ${between("y", rows)}${between("x", columns)}${inside(input, `(${y})`, `(${x})`)};`
}

/** `see(n, y, x, k)`: channel k of the input at pixel (n, y, x); 0 outside the image and at inserted zeros. */
const seeFunction = (geometry: Geometry): string => `
fn see(n: u32, y: i32, x: i32, k: u32) -> f32 {
  ${find(geometry)}
  return select(0f, load_x(pixel * ${geometry.input.channels}u + k), seen);
}`

/** With fewer channels than this, a tap does not fill a block of the depth, so all taps form one step. */
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
  return matmul(operands, {
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

/** Whether the input pixels that share the same taps form a regular grid with equal stride on both axes. */
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
 * Orders the input pixels of a strided convolution as rows: pixels that share the same taps are contiguous, so whole tiles skip the
 * taps that none of their pixels see. `silent`: see {@link Matmul}; `pixel` is the pixel of a row.
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

/** Rows are input pixels and columns are input channels; the depth runs over taps and output channels. */
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
  return matmul(operands, {
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

/** `octet(n, y, x, channel)`: eight spikes of the input in the lowest bits; `channel` is a multiple of 8. */
const octets = (geometry: Geometry): string => `
fn octet(n: u32, y: i32, x: i32, channel: u32) -> u32 {
  ${find(geometry)}
  let word = word_x(pixel * ${Spikes.wordsPerRow(geometry.input.channels)}u + channel / 32u);
  return select(0u, word >> (channel & 31u), seen);
}`

/** Rows are taps × input channels, columns are output channels, and the depth is the output pixels. */
const weightGradient = (operands: Operands, geometry: Geometry) => {
  const { input, output, rows, columns } = geometry
  const { channels: inputs } = input
  const { channels: outputs } = output
  const { height, width } = output
  const pixelOfTap = (suffix: string) =>
    `n, y * ${rows.stride} + down${suffix}, x * ${columns.stride} + across${suffix}, channel${suffix}`
  const packed = operands.target.software && inputs % 8 === 0 && wordsOf(operands, "x", inputs) !== undefined
  return matmul(operands, {
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
