/** What a product multiplies, how its depth is split over workgroups, and what becomes of its results. */
import { Spikes } from "@spikeroute/core"
import type { Operands } from "./shader.ts"

/** Texts about a row get a suffix: variables that they set end in it, as `row` itself does. */
export interface Product {
  readonly rows: number
  readonly columns: number
  readonly steps: number
  readonly depth: number
  /** Statements about a row, run once. */
  readonly row: (suffix: string) => string
  /** Statements about a row at `step`. */
  readonly step: (suffix: string) => string
  /** Statements about `k`, the same for all rows. */
  readonly at: string
  /** The left factor at (row, `step`, `k`), all inside. */
  readonly left: (suffix: string) => string
  /** Whether the left factor lies in memory along the depth or along its rows. */
  readonly leftAlong: "depth" | "rows"
  /** Where the left factor is spikes along the depth: the word of those from (row, `step`, `k`) on; beyond the depth they are 0. */
  readonly word?: (suffix: string) => string
  /** Where the left factor is spikes along the rows: eight of them, from a row that is a multiple of 8 on, in the lowest bits. */
  readonly octet?: (suffix: string) => string
  /** The right factor at (`step`, `k`, column), all inside. */
  readonly right: (column: string) => string
  /** Whether the right factor lies in memory along its columns or along the depth. */
  readonly rightAlong: "columns" | "depth"
  /** How many products of the same shape there are: texts know which one as `member`. Default 1. */
  readonly batch?: number
  /** Whether no row from `first` to `last` sees anything at `step`, if that can be. */
  readonly silent?: (first: string, last: string, step: string) => string
  /** Functions that the texts call. */
  readonly declarations?: string
  /** What is done with the result, `value` at (`row`, `column`), of operand `target`. */
  readonly store: string
  readonly target: string
}

/** How a product is spread over workgroups. */
export interface Spread {
  /** Parts of the depth, whose sums are added in the end. */
  readonly splits: number
  /** Blocks of the depth in each of them, and in each step. */
  readonly perSplit: number
  readonly blocks: number
  readonly iterations: number
}

/** Products of fewer multiplications are over sooner than a better shader is made. */
export const smallProduct = 2 ** 20

/** Sums of float32 numbers lose precision where they are longer than this. */
export const longestSum = 4096

/** Blocks of the depth in a split, at least. */
const leastBlocks = 8

/** Fewer splits do not make up for the pass over memory that adds their sums. */
const leastSplits = 4

/** Splits the depth, in blocks of so many, where `tiles` workgroups are few. */
export const spread = ({ steps, depth }: Product, block: number, tiles: number, parallelism: number): Spread => {
  const blocks = Math.ceil(depth / block)
  const iterations = steps * blocks
  const more = Math.floor(parallelism / tiles)
  const wanted = Math.max(more < leastSplits ? 1 : more, Math.ceil((iterations * block) / longestSum))
  const perSplit = Math.ceil(iterations / Math.max(1, Math.min(wanted, Math.floor(iterations / leastBlocks))))
  return { splits: Math.ceil(iterations / perSplit), perSplit, blocks, iterations }
}

/** How spikes that results fire at once come together in words: `words` of them in a row of a workgroup's tile. */
export interface Packing {
  readonly declarations: string
  /** Adds what the last result fired, at row and column of the tile. */
  readonly add: (row: string, column: string) => string
  /** Stores the words of a tile that begins at `firstRow` and `firstColumn`. */
  readonly store: string
}

/**
 * The packing of a tile of so many rows and columns, if what a result is given to fires spikes. "Or" has no order: the same bits
 * whoever comes first.
 */
export const packing = (
  operands: Operands,
  { rows, columns, target }: Product,
  tile: { readonly rows: number; readonly columns: number },
): Packing | undefined => {
  const spikes = operands.get(target).then?.spikes
  if (spikes === undefined) return undefined
  const perRow = Spikes.wordsPerRow(columns)
  const words = Spikes.wordsPerRow(tile.columns)
  return {
    declarations: `var<workgroup> packed: array<atomic<u32>, ${tile.rows * words}>;`,
    add: (row, column) =>
      `if (then_fires) { atomicOr(&packed[(${row}) * ${words}u + (${column}) / 32u], 1u << ((${column}) & 31u)); }`,
    store: `workgroupBarrier();
  for (var e = local; e < ${tile.rows * words}u; e += threads) {
    let row = firstRow + e / ${words}u;
    let word = firstColumn / 32u + e % ${words}u;
    if (row < ${rows}u && word < ${perRow}u) { set_word_${spikes}(row * ${perRow}u + word, atomicLoad(&packed[e])); }
  }`,
  }
}

/** Where a thread leaves a sum: the result, or a partial one. */
export const leave = ({ rows, columns, store }: Product, { splits }: Spread): string =>
  splits === 1 ? store : `scratch[split * ${rows * columns}u + row * ${columns}u + column] = value;`
