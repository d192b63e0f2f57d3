/** The definition of a matrix product: its factors, the split of its depth over workgroups, and the use of its results. */
import { Spikes } from "@spikeroute/core"
import type { Operands } from "./shader.ts"

/** A matrix product as WGSL text. Texts about a row take a suffix, which ends every variable that they set, and `row` itself. */
export interface Matmul {
  readonly rows: number
  readonly columns: number
  readonly steps: number
  readonly depth: number
  /** Statements for a row, run once. */
  readonly row: (suffix: string) => string
  /** Statements for a row at `step`. */
  readonly step: (suffix: string) => string
  /** Statements for `k`, shared by all rows. */
  readonly at: string
  /** The left factor at (row, `step`, `k`); all three are in range. */
  readonly left: (suffix: string) => string
  /** The contiguous direction of the left factor in memory. */
  readonly leftAlong: "depth" | "rows"
  /** If the left factor is spikes packed along the depth: the word that starts at (row, `step`, `k`), zero beyond the depth. */
  readonly word?: (suffix: string) => string
  /** If the left factor is spikes packed along the rows: eight of them in the lowest bits, from a row that is a multiple of 8. */
  readonly octet?: (suffix: string) => string
  /** The right factor at (`step`, `k`, column); all three are in range. */
  readonly right: (column: string) => string
  /** The contiguous direction of the right factor in memory. */
  readonly rightAlong: "columns" | "depth"
  /** Number of products of this shape; texts refer to the current one as `member`. Default 1. */
  readonly batch?: number
  /** Whether the left factor is 0 at `step` for all rows from `first` to `last`. */
  readonly silent?: (first: string, last: string, step: string) => string
  /** Functions that the texts call. */
  readonly declarations?: string
  /** Statements that store `value`, the result at (`row`, `column`), to operand `target`. */
  readonly store: string
  readonly target: string
}

/** Distribution of the depth over workgroups. */
export interface DepthSplit {
  /** Number of parts, whose partial sums a second stage adds. */
  readonly splits: number
  /** Blocks in each part, and in each step. */
  readonly perSplit: number
  readonly blocks: number
  readonly iterations: number
}

/** Products with fewer multiplications finish sooner than a faster shader compiles. */
export const smallMatmul = 2 ** 20

/** Longer float32 sums lose too much precision. */
export const longestSum = 4096

/** Minimum number of blocks in a part. */
const leastBlocks = 8

/** With fewer parts, the extra pass over the partial sums costs more than it saves. */
const leastSplits = 4

/** Splits the depth, in units of `block`, if `tiles` workgroups do not fill the adapter or sums grow too long. */
export const splitDepth = ({ steps, depth }: Matmul, block: number, tiles: number, parallelism: number): DepthSplit => {
  const blocks = Math.ceil(depth / block)
  const iterations = steps * blocks
  const more = Math.floor(parallelism / tiles)
  const wanted = Math.max(more < leastSplits ? 1 : more, Math.ceil((iterations * block) / longestSum))
  const perSplit = Math.ceil(iterations / Math.max(1, Math.min(wanted, Math.floor(iterations / leastBlocks))))
  return { splits: Math.ceil(iterations / perSplit), perSplit, blocks, iterations }
}

/** Packs spikes fired by the epilogue into words in workgroup memory. */
export interface Packing {
  readonly declarations: string
  /** Adds the last result's spike, at a row and column of the tile. */
  readonly add: (row: string, column: string) => string
  /** Stores the words of the tile at `firstRow` and `firstColumn`. */
  readonly store: string
}

/**
 * The packing of a tile, or `undefined` if no epilogue fires spikes. Bitwise or is commutative, so the result does not depend on
 * thread order.
 */
export const packing = (
  operands: Operands,
  { rows, columns, target }: Matmul,
  tile: { readonly rows: number; readonly columns: number },
): Packing | undefined => {
  const spikes = operands.get(target).epilogue?.spikes
  if (spikes === undefined) return undefined
  const perRow = Spikes.wordsPerRow(columns)
  const words = Spikes.wordsPerRow(tile.columns)
  return {
    declarations: `var<workgroup> packed: array<atomic<u32>, ${tile.rows * words}>;`,
    add: (row, column) =>
      `if (epilogue_fires) { atomicOr(&packed[(${row}) * ${words}u + (${column}) / 32u], 1u << ((${column}) & 31u)); }`,
    store: `workgroupBarrier();
  for (var e = local; e < ${tile.rows * words}u; e += threads) {
    let row = firstRow + e / ${words}u;
    let word = firstColumn / 32u + e % ${words}u;
    if (row < ${rows}u && word < ${perRow}u) { set_word_${spikes}(row * ${perRow}u + word, atomicLoad(&packed[e])); }
  }`,
  }
}

/** Stores a sum: the final result, or a partial sum in scratch memory. */
export const storeSum = ({ rows, columns, store }: Matmul, { splits }: DepthSplit): string =>
  splits === 1 ? store : `scratch[split * ${rows * columns}u + row * ${columns}u + column] = value;`
