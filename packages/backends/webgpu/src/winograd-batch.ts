/**
 * Winograd's products for a GPU: points come first in memory, so that those of a point are a product of two matrices, 36 in a batch.
 * Where scratch memory does not hold all tiles they come in chunks, one after the other.
 */
import type { Product } from "./factors.ts"
import { forEach, type Operands, range, type Stage } from "./shader.ts"
import { tiled } from "./tiled-product.ts"
import type { Sums } from "./winograd.ts"
import { type Put, points } from "./winograd-axes.ts"

/** Multiplications without the transforms, channels of the input and of the output: with fewer, transforms are not worth it. */
const leastMultiplications = 2 ** 29
const leastChannels = 32

/** Numbers of scratch memory, at most: half of what can be bound, for neighbours have it side by side. */
const mostScratch = ({ target: { limits } }: Operands): number =>
  Math.min(2 ** 25, limits.maxStorageBufferBindingSize / 8)

/** Tiles of a chunk are a multiple of this: whole tiles of the product. */
const grain = 128

const putAt =
  (place: string, stride: number): Put =>
  (i, j, value) =>
    `scratch[${place} + ${(6 * i + j) * stride}u] = ${value};`

/** The product of a chunk, whose factors and sums begin at these places in scratch memory. */
const productOf = (
  operands: Operands,
  { tilesAre, columns, ...sums }: Sums,
  tiles: number,
  places: { readonly left: number; readonly right: number; readonly sums: number },
) => {
  const rows = tilesAre === "rows" ? tiles : sums.rows
  const depth = tilesAre === "rows" ? sums.depth : tiles
  const nothing = () => ""
  const factors: Product = {
    rows,
    columns,
    steps: 1,
    depth,
    batch: points,
    row: nothing,
    step: nothing,
    at: "",
    left: (s) =>
      `scratch[${places.left}u + member * ${rows * depth}u + ${tilesAre === "rows" ? `row${s} * ${depth}u + k` : `k * ${rows}u + row${s}`}]`,
    leftAlong: tilesAre === "rows" ? "depth" : "rows",
    right: (column) => `scratch[${places.right}u + member * ${depth * columns}u + k * ${columns}u + ${column}]`,
    rightAlong: "columns",
    target: sums.target,
    store: "",
  }
  return tiled(operands, factors, places.sums)
}

/** The stages, if they are faster than the product without transforms. */
export const inBatches = (operands: Operands, sums: Sums): ReadonlyArray<Stage> | undefined => {
  const { rows, columns, depth, tilesAre } = sums
  const tiles = tilesAre === "rows" ? rows : depth
  const channels = tilesAre === "rows" ? depth : rows
  if (16 * 9 * rows * columns * depth < leastMultiplications || Math.min(channels, columns) < leastChannels)
    return undefined
  const stages = (tilesAre === "rows" ? byRows : byDepth)(operands, sums, tiles, channels)
  return stages?.every(({ scratch }) => scratch <= mostScratch(operands)) ? stages : undefined
}

/** How many tiles a chunk has where so many numbers are left for those that a tile takes. */
const chunkOf = (tiles: number, numbers: number, perTile: number): number => {
  const most = Math.floor(numbers / perTile / grain) * grain
  const count = Math.ceil(tiles / Math.max(grain, most))
  return Math.ceil(tiles / count / grain) * grain
}

/** Each chunk of tiles gives its own elements. */
const byRows = (operands: Operands, sums: Sums, tiles: number, channels: number): ReadonlyArray<Stage> | undefined => {
  const { columns } = sums
  const rights = channels * columns
  const chunk = chunkOf(tiles, mostScratch(operands) - points * rights, points * (channels + columns))
  if (points * (rights + chunk * (channels + columns)) > mostScratch(operands)) return undefined
  return range(Math.ceil(tiles / chunk)).flatMap((number) => {
    const first = number * chunk
    const count = Math.min(chunk, tiles - first)
    const lefts = count * channels
    const left = points * rights
    const made = left + points * lefts
    const { stage, splits } = productOf(operands, sums, count, { left, right: 0, sums: made })
    const { scratch } = stage
    const makeLeft = `let c = i % ${channels}u; let tile = ${first}u + i / ${channels}u;
    ${sums.left(putAt(`${left}u + i`, lefts))}`
    const transform = forEach(
      operands,
      lefts + (number === 0 ? rights : 0),
      number === 0
        ? `  if (i < ${lefts}u) { ${makeLeft} } else { let e = i - ${lefts}u; ${sums.right(putAt("e", rights))} }`
        : `  ${makeLeft}`,
      "",
      scratch,
    )
    return [transform, stage, gather(operands, sums, count, first, made, splits, scratch)]
  })
}

/** Sums of chunks of tiles are kept, and added in the end. */
const byDepth = (operands: Operands, sums: Sums, tiles: number, channels: number): ReadonlyArray<Stage> | undefined => {
  const { columns } = sums
  const each = points * channels * columns
  const chunk = chunkOf(tiles, mostScratch(operands) / 2, points * (channels + columns))
  // Each chunk leaves a sum at least.
  if (Math.ceil(tiles / chunk) * each > mostScratch(operands) / 2) return undefined
  const numbers = points * Math.min(chunk, tiles) * (channels + columns)
  let next = numbers
  let splits = 0
  const parts = range(Math.ceil(tiles / chunk)).map((number) => {
    const first = number * chunk
    const count = Math.min(chunk, tiles - first)
    const lefts = count * channels
    const rights = count * columns
    const product = productOf(operands, sums, count, { left: 0, right: points * lefts, sums: next })
    next += product.splits * each
    splits += product.splits
    const body = `  if (i < ${lefts}u) { let c = i % ${channels}u; let tile = ${first}u + i / ${channels}u; ${sums.left(putAt("i", lefts))} }
  else { let e = ${first * columns}u + i - ${lefts}u; let at = ${points * lefts}u + i - ${lefts}u; ${sums.right(putAt("at", rights))} }`
    return { count: lefts + rights, body, stage: product.stage }
  })
  return [
    ...parts.flatMap(({ count, body, stage }) => [
      forEach(operands, count, body, "", next),
      { ...stage, scratch: next },
    ]),
    gather(operands, sums, sums.rows, 0, numbers, splits, next),
  ]
}

/** Adds the sums of so many splits, which begin at `made`, and transforms them back. */
const gather = (
  operands: Operands,
  { columns, give }: Sums,
  rows: number,
  first: number,
  made: number,
  splits: number,
  scratch: number,
): Stage => {
  const each = rows * columns
  const at = (i: number, j: number) => `${made + (6 * i + j) * each}u + i`
  const body =
    splits === 1
      ? give({ before: "", at: (i, j) => `scratch[${at(i, j)}]` })
      : `  var sums = array<f32, ${points}>();
  for (var split = 0u; split < ${splits}u; split++) {
    for (var point = 0u; point < ${points}u; point++) { sums[point] += scratch[${made}u + (split * ${points}u + point) * ${each}u + i]; }
  }
  ${give({ before: "", at: (i, j) => `sums[${6 * i + j}u]` })}`
  return forEach(
    operands,
    each,
    `  let row = ${first}u + i / ${columns}u; let column = i % ${columns}u;
  ${body}`,
    "",
    scratch,
  )
}
