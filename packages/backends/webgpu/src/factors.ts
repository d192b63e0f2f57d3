/** What a product multiplies, and how its depth is split over workgroups. */

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
  /** Where the left factor is spikes along the depth: the word of those from (row, `step`, `k`) on; beyond the depth they are 0. */
  readonly word?: (suffix: string) => string
  /** Where the left factor is spikes along the rows: eight of them, from a row that is a multiple of 8 on, in the lowest bits. */
  readonly octet?: (suffix: string) => string
  /** The right factor at (`step`, `k`, column), all inside. */
  readonly right: (column: string) => string
  /** Whether the right factor lies in memory along its columns or along the depth. */
  readonly rightAlong: "columns" | "depth"
  /** Functions that the texts call. */
  readonly declarations?: string
  /** What is done with the result, `value` at (`row`, `column`). */
  readonly store: string
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

/** Sums of float32 numbers lose precision where they are longer than this. */
const longestSum = 4096

/** Splits the depth, in blocks of so many, where `tiles` workgroups are few. */
export const spread = ({ steps, depth }: Product, block: number, tiles: number, parallelism: number): Spread => {
  const blocks = Math.ceil(depth / block)
  const iterations = steps * blocks
  const wanted = Math.max(Math.floor(parallelism / tiles), Math.ceil((iterations * block) / longestSum))
  const perSplit = Math.ceil(iterations / Math.max(1, Math.min(wanted, Math.floor(iterations / 8))))
  return { splits: Math.ceil(iterations / perSplit), perSplit, blocks, iterations }
}

/** Where a thread leaves a sum: the result, or a partial one. */
export const leave = ({ rows, columns, store }: Product, { splits }: Spread): string =>
  splits === 1 ? store : `scratch[split * ${rows * columns}u + row * ${columns}u + column] = value;`
