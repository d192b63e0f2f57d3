/**
 * Convolutions with several groups. Each output depends on few inputs, so a matrix product would share nothing: a thread sums one
 * output or one input gradient, a workgroup one weight gradient.
 */
import type { Windows } from "@spikeroute/core"
import { forEachGroup, type Operands, type Stage } from "../shader.ts"
import { forEachStored } from "../spikes.ts"
import type { Geometry, Image } from "./maps.ts"

/** Coordinates of element i of an image batch: channel c of pixel (n, py, px). */
const pixelOf = ({ height, width, channels }: Image): string => `
  let c = i % ${channels}u; let px = i32(i / ${channels}u % ${width}u);
  let py = i32(i / ${width * channels}u % ${height}u); let n = i / ${height * width * channels}u;`

/**
 * Sets `name` to at / over, and runs `body` if that is an integer from 0 to length − 1. Negative numbers are large as u32.
 */
const where = (name: string, at: string, over: number, length: number, body: string): string => `
    let at_${name} = u32(${at}); let ${name} = at_${name} / ${over}u;
    if ((at_${name} % ${over}u == 0u) & (${name} < ${length}u) & (${at} >= 0)) { ${body} }`

/** Runs `body` for every tap. */
const eachTap = ({ rows, columns }: Windows.Window, body: string): string => `
  for (var a = 0; a < ${rows.kernel}; a++) { for (var b = 0; b < ${columns.kernel}; b++) { ${body} } }`

const extentsOf = ({ input, output, groups, rows, columns }: Geometry) => ({
  inputs: input.channels / groups,
  outputs: output.channels / groups,
  /** Index of the weight at the current tap, from channel `k` within the group to output channel `o`. */
  weight: (k: string, o: string) =>
    `((u32(a) * ${columns.kernel}u + u32(b)) * ${input.channels / groups}u + ${k}) * ${output.channels}u + ${o}`,
  taps: rows.kernel * columns.kernel,
})

/** Runs `body` if output pixel (oy, ox) has an input pixel (y, x) at the current tap. */
const sees = ({ input, rows, columns }: Geometry, oy: string, ox: string, body: string): string =>
  where(
    "y",
    `(${oy} * ${rows.stride} + a * ${rows.dilation} - ${rows.before})`,
    rows.spread,
    input.height,
    where(
      "x",
      `(${ox} * ${columns.stride} + b * ${columns.dilation} - ${columns.before})`,
      columns.spread,
      input.width,
      body,
    ),
  )

export const groupedForward = (operands: Operands, geometry: Geometry): ReadonlyArray<Stage> => {
  const { input, output } = geometry
  const { inputs, outputs, weight } = extentsOf(geometry)
  const add = `for (var k = 0u; k < ${inputs}u; k++) {
      sum += load_x(((n * ${input.height}u + y) * ${input.width}u + x) * ${input.channels}u + c / ${outputs}u * ${inputs}u + k) * load_weight(${weight("k", "c")}); }`
  const body = `${pixelOf(output)}
  var sum = ${operands.has("bias") ? "load_bias(c)" : "0f"};${eachTap(geometry, sees(geometry, "py", "px", add))}
  store_y(i, sum);`
  return [forEachStored(operands, "y", body)]
}

export const groupedInputGradient = (operands: Operands, geometry: Geometry): ReadonlyArray<Stage> => {
  const { input, output, rows, columns } = geometry
  const { inputs, outputs, weight } = extentsOf(geometry)
  const add = `let first = c / ${inputs}u * ${outputs}u;
      for (var o = 0u; o < ${outputs}u; o++) {
      sum += load_outputGradient(((n * ${output.height}u + y) * ${output.width}u + x) * ${output.channels}u + first + o) * load_weight(${weight(`c % ${inputs}u`, "first + o")}); }`
  const seen = where(
    "y",
    `(py * ${rows.spread} + ${rows.before} - a * ${rows.dilation})`,
    rows.stride,
    output.height,
    where(
      "x",
      `(px * ${columns.spread} + ${columns.before} - b * ${columns.dilation})`,
      columns.stride,
      output.width,
      add,
    ),
  )
  const body = `${pixelOf(input)}
  var sum = 0f;${eachTap(geometry, seen)}
  add_inputGradient(i, sum);`
  return [forEachStored(operands, "inputGradient", body)]
}

export const groupedWeightGradient = (operands: Operands, geometry: Geometry): ReadonlyArray<Stage> => {
  const { input, output, columns } = geometry
  const { inputs, outputs, taps } = extentsOf(geometry)
  const { batch, height, width, channels } = output
  const add = `own += load_x(((n * ${input.height}u + y) * ${input.width}u + x) * ${input.channels}u + o / ${outputs}u * ${inputs}u + k) * load_outputGradient(pixel * ${channels}u + o);`
  const body = `  let o = group % ${channels}u; let k = group / ${channels}u % ${inputs}u; let tap = group / ${channels * inputs}u;
  let a = i32(tap / ${columns.kernel}u); let b = i32(tap % ${columns.kernel}u);
  var own = 0f;
  for (var pixel = local; pixel < ${batch * height * width}u; pixel += adders) {
    let ox = i32(pixel % ${width}u); let oy = i32(pixel / ${width}u % ${height}u); let n = pixel / ${height * width}u;${sees(geometry, "oy", "ox", add)}
  }
  let value = total(local, own);
  if (local == 0u) { add_weightGradient(group, value); }`
  return [forEachGroup(operands, taps * inputs * channels, body)]
}
