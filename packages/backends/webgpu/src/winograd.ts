/**
 * 3 × 3 convolutions of stride 1, and their gradients, by Winograd's minimal filtering F(4 × 4, 3 × 3): 36 multiplications for the 16
 * pixels of a tile instead of 144 (Lavin & Gray, Fast algorithms for convolutional neural networks, 2016).
 *
 * For a patch d of 6 × 6 pixels, weights g and a tile y of 4 × 4 pixels,
 *
 *     y = Aᵀ·(G·g·Gᵀ ∘ Bᵀ·d·B)·A,  ∂g = Gᵀ·(A·∂y·Aᵀ ∘ Bᵀ·d·B)·G
 *
 * Both factors are transformed into scratch memory, multiplied point by point, and the products are transformed back: on hardware by
 * winograd-batch.ts, on a software adapter by winograd-blocks.ts.
 */
import type { Geometry, Image } from "./kernels/maps.ts"
import { type Operands, range, type Stage } from "./shader.ts"
import { inBatches } from "./winograd-batch.ts"
import { inBlocks } from "./winograd-blocks.ts"
import {
  both,
  type Matrix,
  type Put,
  patchAxis,
  tileAxis,
  tileGradientAxis,
  weightAxis,
  weightGradientAxis,
} from "./winograd-transforms.ts"

/** The sums per point, of a rows × depth and a depth × columns factor. Tiles are either the rows or the depth. */
export interface Sums {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  readonly tilesAre: "rows" | "depth"
  /** Computes the points of the left factor for channel `c` at `tile`, and of the right factor for element `e`. */
  readonly left: (put: Put) => string
  readonly right: (put: Put) => string
  /** Transforms the sums of `row` and `column` back and stores the result. */
  readonly give: (sums: Matrix) => string
  /** The operand that it is stored to. */
  readonly target: string
}

/** Minimum average number of a tile's 16 pixels that lie inside the image. */
const filled = 9

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

/** Elements of an image in channel `c`: size × size pixels from (top − reach, left − reach), 0 outside the image. */
const pixels = (operand: string, { height, width, channels }: Image, size: number, reach: number): Matrix => ({
  before: range(size)
    .map(
      (i) => `let y_${i} = u32(top + ${i - reach}); let line_${i} = (n * ${height}u + y_${i}) * ${width}u;
    let x_${i} = u32(left + ${i - reach}); let in_y_${i} = y_${i} < ${height}u; let in_x_${i} = x_${i} < ${width}u;`,
    )
    .join("\n    "),
  at: (i, j) => `select(0f, load_${operand}((line_${i} + x_${j}) * ${channels}u + c), in_y_${i} & in_x_${j})`,
})

/** Transforms a tile's sums back and stores the pixels of channel `column` that lie inside the image. */
const giveTile =
  (tiles: Tiles, { height, width, channels }: Image, store: (place: string, value: string) => string) =>
  (sums: Matrix): string =>
    `let tile = row; ${corner(tiles)}
    let place = ((n * ${height}u + u32(top)) * ${width}u + u32(left)) * ${channels}u + column;
    ${both(
      tileAxis,
      6,
      sums,
      (i, j, value) =>
        `if (top + ${i} < ${height} && left + ${j} < ${width}) { ${store(`place + ${(i * width + j) * channels}u`, value)} }`,
    )}`

/** The stages, or `undefined` if the window does not qualify or the plain product is faster. */
const stages = (
  operands: Operands,
  { rows, columns }: Geometry,
  { batch, height, width }: Image,
  sums: Sums,
): ReadonlyArray<Stage> | undefined => {
  const tiles = sums[sums.tilesAre]
  const { kernel, stride, before, after, dilation, spread } = rows
  const isSquare = JSON.stringify(rows) === JSON.stringify(columns) && before === after
  if (!isSquare || kernel !== 3 || stride * dilation * spread !== 1 || before < 0 || before > 2) return undefined
  if (batch * height * width < filled * tiles || operands.get(sums.target).epilogue?.spikes !== undefined)
    return undefined
  return operands.target.software ? inBlocks(operands, sums) : inBatches(operands, sums)
}

/** A convolution of an image, tile by tile. */
interface Filter {
  readonly source: { readonly operand: string; readonly image: Image; readonly reach: number }
  readonly made: Image
  /** Element (i, j) of the window for element `e` of [source channels][output channels]. */
  readonly weight: Matrix
  readonly store: (place: string, value: string) => string
  readonly target: string
}

/** The stages of a filter. Rows are output tiles, columns are output channels, and the depth is the source's channels. */
const filter = (operands: Operands, geometry: Geometry, { source, made, weight, store, target }: Filter) => {
  const tiles = tilesOf(made)
  return stages(operands, geometry, made, {
    ...{ rows: tiles.count, columns: made.channels, depth: source.image.channels, tilesAre: "rows", target },
    left: (put) => `${corner(tiles)}
    ${both(patchAxis, 6, pixels(source.operand, source.image, 6, source.reach), put)}`,
    right: (put) => both(weightAxis, 3, weight, put),
    give: giveTile(tiles, made, store),
  })
}

/** The stages of conv2d.forward, or `undefined` if the plain product is faster or required. */
export const winogradForward = (operands: Operands, geometry: Geometry): ReadonlyArray<Stage> | undefined => {
  const { input, output } = geometry
  const padding = geometry.rows.before
  const pairs = input.channels * output.channels
  const bias = operands.has("bias") ? " + load_bias(column)" : ""
  return filter(operands, geometry, {
    source: { operand: "x", image: input, reach: padding },
    made: output,
    weight: { before: "", at: (i, j) => `load_weight(${(3 * i + j) * pairs}u + e)` },
    store: (place, value) => `store_y(${place}, ${value}${bias});`,
    target: "y",
  })
}

/** The stages of conv2d.inputGradient, as above; the window is rotated by 180°. */
export const winogradInputGradient = (operands: Operands, geometry: Geometry): ReadonlyArray<Stage> | undefined => {
  const { input, output } = geometry
  const padding = geometry.rows.before
  const [inputs, outputs] = [input.channels, output.channels]
  return filter(operands, geometry, {
    source: { operand: "outputGradient", image: output, reach: 2 - padding },
    made: input,
    weight: {
      before: `let place = e % ${inputs}u * ${outputs}u + e / ${inputs}u;`,
      at: (i, j) => `load_weight(${((2 - i) * 3 + 2 - j) * inputs * outputs}u + place)`,
    },
    store: (place, value) => `add_inputGradient(${place}, ${value});`,
    target: "inputGradient",
  })
}

/** The stages of conv2d.weightGradient, as above: rows are channels of x, columns are channels of ∂y, the depth is its tiles. */
export const winogradWeightGradient = (operands: Operands, geometry: Geometry): ReadonlyArray<Stage> | undefined => {
  const { input, output } = geometry
  const padding = geometry.rows.before
  const tiles = tilesOf(output)
  const [inputs, outputs] = [input.channels, output.channels]
  return stages(operands, geometry, output, {
    rows: inputs,
    columns: outputs,
    depth: tiles.count,
    tilesAre: "depth",
    left: (put) => `${corner(tiles)}
    ${both(patchAxis, 6, pixels("x", input, 6, padding), put)}`,
    right: (put) => `let c = e % ${outputs}u; let tile = e / ${outputs}u; ${corner(tiles)}
    ${both(tileGradientAxis, 4, pixels("outputGradient", output, 4, 0), put)}`,
    give: (sums) =>
      both(
        weightGradientAxis,
        6,
        sums,
        (i, j, value) =>
          `add_weightGradient(${(3 * i + j) * inputs * outputs}u + row * ${outputs}u + column, ${value});`,
      ),
    target: "weightGradient",
  })
}
