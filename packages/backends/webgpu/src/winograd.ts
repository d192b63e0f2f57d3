/**
 * Gradients of convolutions whose window is 3 × 3 and moves by 1, by Winograd's minimal filtering F(4 × 4, 3 × 3): 36 products for
 * the 16 pixels of a tile, where one for each tap takes 144 (Lavin & Gray, Fast algorithms for convolutional neural networks, 2016).
 *
 * Of a patch d of 6 × 6 pixels, weights g and a tile y of 4 × 4 pixels,
 *
 *     y = Aᵀ·(G·g·Gᵀ ∘ Bᵀ·d·B)·A,  ∂g = Gᵀ·(A·∂y·Aᵀ ∘ Bᵀ·d·B)·G
 *
 * A first stage transforms both factors into scratch memory, points last; in the second, threads of a workgroup take a point each and
 * multiply, then an element each and transform it back. For a GPU made of software, whose threads lie side by side in a vector.
 */
import { longestSum, smallProduct } from "./factors.ts"
import type { Geometry, Image } from "./kernels/maps.ts"
import { forEach, type Operands, range, type Stage, textOf } from "./shader.ts"
import {
  both,
  type Matrix,
  patchAxis,
  tileAxis,
  tileGradientAxis,
  weightAxis,
  weightGradientAxis,
} from "./winograd-axes.ts"

const points = 36
/** Rows and columns of a workgroup's block; as many threads as it has elements. */
const block = 8
const threads = block * block

/** Pixels of a tile that must be those of an image, on average. */
const filled = 9
/** Numbers of scratch memory, at most. */
const mostScratch = 2 ** 22

interface Tiles {
  readonly across: number
  readonly down: number
  readonly count: number
}

const tilesOf = ({ batch, height, width }: Image): Tiles => {
  const [down, across] = [Math.ceil(height / 4), Math.ceil(width / 4)]
  return { across, down, count: batch * down * across }
}

/** Sets n, and the first row and column of a tile. */
const corner = ({ across, down }: Tiles): string =>
  `let n = tile / ${across * down}u; let top = i32(tile / ${across}u % ${down}u) * 4; let left = i32(tile % ${across}u) * 4;`

/** Elements of an image in channel `c`, size × size pixels from (top − reach, left − reach) on: 0 beyond its edges. */
const pixels = (operand: string, { height, width, channels }: Image, size: number, reach: number): Matrix => ({
  before: range(size)
    .map(
      (i) => `let y_${i} = u32(top + ${i - reach}); let line_${i} = (n * ${height}u + y_${i}) * ${width}u;
    let x_${i} = u32(left + ${i - reach}); let in_y_${i} = y_${i} < ${height}u; let in_x_${i} = x_${i} < ${width}u;`,
    )
    .join("\n    "),
  at: (i, j) => `select(0f, load_${operand}((line_${i} + x_${j}) * ${channels}u + c), in_y_${i} & in_x_${j})`,
})

/** What is summed for each point: left factors of rows × depth, right ones of depth × columns. */
interface Sums {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  /** Which element of the left factors belongs to `row` and `k`. */
  readonly left: (row: string) => string
  /** Makes element `i` of the left factors, and of the right ones, whose points begin at `scratch[at]`. */
  readonly makeLeft: string
  readonly makeRight: string
  /** Gives what 36 sums make of `row` and `column`. */
  readonly give: (sums: Matrix) => string
}

const fits = (
  operands: Operands,
  { window, stride, padding }: Geometry,
  { rows, columns, depth }: Sums,
  target: string,
): boolean =>
  operands.target.software &&
  window.every((size) => size === 3) &&
  stride === 1 &&
  padding <= 2 &&
  operands.get(target).then?.spikes === undefined &&
  Math.min(rows, columns) >= block &&
  depth <= longestSum &&
  rows * columns * depth * points >= smallProduct &&
  points * depth * (rows + columns) <= mostScratch

const stages = (
  operands: Operands,
  { rows, columns, depth, left, makeLeft, makeRight, give }: Sums,
): ReadonlyArray<Stage> => {
  const lefts = rows * depth
  const rights = depth * columns
  const scratch = points * (lefts + rights)
  const transform = forEach(
    operands,
    lefts + rights,
    `  let at = i * ${points}u;
  if (i < ${lefts}u) {
    ${makeLeft}
  } else {
    let e = i - ${lefts}u;
    ${makeRight}
  }`,
    "",
    scratch,
  )
  const each = (text: (i: number) => string) => range(block).map(text).join(" ")
  const multiply = textOf(
    operands,
    `
var<workgroup> sums: array<f32, ${threads * points}>;`,
    `  let firstRow = workgroup.x * ${block}u;
  let firstColumn = workgroup.y * ${block}u;
  if (local < ${points}u) {
    ${each((r) => `let row_${r} = min(firstRow + ${r}u, ${rows - 1}u);`)}
    ${each((q) => `let column_${q} = min(firstColumn + ${q}u, ${columns - 1}u);`)}
    ${each((r) => each((q) => `var sum_${r}_${q} = 0f;`))}
    for (var k = 0u; k < ${depth}u; k++) {
      ${each((q) => `let b_${q} = scratch[(${lefts}u + k * ${columns}u + column_${q}) * ${points}u + local];`)}
      ${range(block)
        .map(
          (r) =>
            `{ let a = scratch[(${left(`row_${r}`)}) * ${points}u + local]; ${each((q) => `sum_${r}_${q} += a * b_${q};`)} }`,
        )
        .join("\n      ")}
    }
    ${each((r) => each((q) => `sums[${(r * block + q) * points}u + local] = sum_${r}_${q};`))}
  }
  workgroupBarrier();
  let row = firstRow + local / ${block}u;
  let column = firstColumn + local % ${block}u;
  if (row < ${rows}u && column < ${columns}u) {
    ${give({ before: "", at: (i, j) => `sums[local * ${points}u + ${6 * i + j}u]` })}
  }`,
  )
  return [
    transform,
    {
      text: multiply,
      threads,
      flexible: false,
      workgroups: () => [Math.ceil(rows / block), Math.ceil(columns / block), 1],
      scratch,
    },
  ]
}

const toPoint = (i: number, j: number, value: string): string => `scratch[at + ${6 * i + j}u] = ${value};`

/** Whether so many tiles are filled with pixels of the image. */
const isFilled = ({ batch, height, width }: Image, { count }: Tiles): boolean =>
  batch * height * width >= filled * count

/** The stages of conv2d.inputGradient, if they are the fastest: rows are tiles of ∂x, columns its channels, the depth those of ∂y. */
export const winogradInputGradient = (operands: Operands, geometry: Geometry): ReadonlyArray<Stage> | undefined => {
  const { input, output, padding } = geometry
  const tiles = tilesOf(input)
  const [inputs, outputs] = [input.channels, output.channels]
  const sums: Sums = {
    rows: tiles.count,
    columns: inputs,
    depth: outputs,
    left: (row) => `${row} * ${outputs}u + k`,
    makeLeft: `let c = i % ${outputs}u; let tile = i / ${outputs}u; ${corner(tiles)}
    ${both(patchAxis, 6, pixels("outputGradient", output, 6, 2 - padding), toPoint)}`,
    // The window turned around, as [output][input].
    makeRight: `let place = e % ${inputs}u * ${outputs}u + e / ${inputs}u;
    ${both(weightAxis, 3, { before: "", at: (i, j) => `load_weight(${((2 - i) * 3 + 2 - j) * inputs * outputs}u + place)` }, toPoint)}`,
    give: (sums) => `let tile = row; ${corner(tiles)}
    let place = ((n * ${input.height}u + u32(top)) * ${input.width}u + u32(left)) * ${inputs}u + column;
    ${both(
      tileAxis,
      6,
      sums,
      (i, j, value) =>
        `if (top + ${i} < ${input.height} && left + ${j} < ${input.width}) { add_inputGradient(place + ${(i * input.width + j) * inputs}u, ${value}); }`,
    )}`,
  }
  return isFilled(input, tiles) && fits(operands, geometry, sums, "inputGradient") ? stages(operands, sums) : undefined
}

/** The stages of conv2d.weightGradient, if they are the fastest: rows are channels of x, columns those of ∂y, the depth its tiles. */
export const winogradWeightGradient = (operands: Operands, geometry: Geometry): ReadonlyArray<Stage> | undefined => {
  const { input, output, padding } = geometry
  const tiles = tilesOf(output)
  const [inputs, outputs] = [input.channels, output.channels]
  const sums: Sums = {
    rows: inputs,
    columns: outputs,
    depth: tiles.count,
    left: (row) => `k * ${inputs}u + ${row}`,
    makeLeft: `let c = i % ${inputs}u; let tile = i / ${inputs}u; ${corner(tiles)}
    ${both(patchAxis, 6, pixels("x", input, 6, padding), toPoint)}`,
    makeRight: `let c = e % ${outputs}u; let tile = e / ${outputs}u; ${corner(tiles)}
    ${both(tileGradientAxis, 4, pixels("outputGradient", output, 4, 0), toPoint)}`,
    give: (sums) =>
      both(
        weightGradientAxis,
        6,
        sums,
        (i, j, value) =>
          `add_weightGradient(${(3 * i + j) * inputs * outputs}u + row * ${outputs}u + column, ${value});`,
      ),
  }
  return isFilled(output, tiles) && !operands.isSpikes("x") && fits(operands, geometry, sums, "weightGradient")
    ? stages(operands, sums)
    : undefined
}
