/**
 * Winograd products on hardware. The transformed points are the slowest axis in memory, so that the products are a batch of 36 matrix
 * products. If scratch memory does not hold all tiles, they are processed in chunks.
 */
import type { Matmul } from "./matmul-problem.ts"
import { tiledMatmul } from "./matmul-tiled.ts"
import { forEach, type Operands, range, type Stage } from "./shader.ts"
import type { Sums } from "./winograd.ts"
import { type Put, points } from "./winograd-transforms.ts"

/** Below these multiplications (counted without the transforms) or channels, the transforms cost more than they save. */
const leastMultiplications = 2 ** 29
const leastChannels = 32

/** Limit of scratch memory in elements: half of the largest binding, because two instructions may run concurrently. */
const mostScratch = ({ target: { limits } }: Operands): number =>
  Math.min(2 ** 25, limits.maxStorageBufferBindingSize / 8)

/** Chunks are multiples of this many tiles, so that they fill whole tiles of the matrix product. */
const grain = 128

const putAt =
  (place: string, stride: number): Put =>
  (i, j, value) =>
    `scratch[${place} + ${(6 * i + j) * stride}u] = ${value};`

/** The matrix product of a chunk; `places` are the offsets of its factors and sums in scratch memory. */
const productOf = (
  operands: Operands,
  { tilesAre, columns, ...sums }: Sums,
  tiles: number,
  places: { readonly left: number; readonly right: number; readonly sums: number },
) => {
  const rows = tilesAre === "rows" ? tiles : sums.rows
  const depth = tilesAre === "rows" ? sums.depth : tiles
  const nothing = () => ""
  const factors: Matmul = {
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
  return tiledMatmul(operands, factors, places.sums)
}

/** The stages, or `undefined` if the plain matrix product is faster. */
export const inBatches = (operands: Operands, sums: Sums): ReadonlyArray<Stage> | undefined => {
  const { rows, columns, depth, tilesAre } = sums
  const tiles = tilesAre === "rows" ? rows : depth
  const channels = tilesAre === "rows" ? depth : rows
  if (16 * 9 * rows * columns * depth < leastMultiplications || Math.min(channels, columns) < leastChannels)
    return undefined
  const stages = (tilesAre === "rows" ? byRows : byDepth)(operands, sums, tiles, channels)
  return stages?.every(({ scratch }) => scratch <= mostScratch(operands)) ? stages : undefined
}

/** Tiles per chunk if `numbers` scratch elements are available and each tile needs `perTile`. */
const chunkOf = (tiles: number, numbers: number, perTile: number): number => {
  const most = Math.floor(numbers / perTile / grain) * grain
  const count = Math.ceil(tiles / Math.max(grain, most))
  return Math.ceil(tiles / count / grain) * grain
}

/** Each chunk of tiles produces its own output elements. */
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

/** The sums of all chunks are kept and added at the end. */
const byDepth = (operands: Operands, sums: Sums, tiles: number, channels: number): ReadonlyArray<Stage> | undefined => {
  const { columns } = sums
  const each = points * channels * columns
  const chunk = chunkOf(tiles, mostScratch(operands) / 2, points * (channels + columns))
  // Each chunk leaves at least one sum.
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

/** Adds the sums of the splits, which start at offset `made`, and transforms them back. */
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
