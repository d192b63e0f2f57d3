/** Chooses the part of a matrix product that one workgroup computes. */
import { type Matmul, splitDepth } from "./matmul-problem.ts"
import type { Operands } from "./shader.ts"

export interface Tile {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  /** Rows and columns per thread, multiples of 4. */
  readonly rowsOfThread: number
  readonly columnsOfThread: number
}

/** Tile sizes, largest first: larger tiles read less per sum. */
const tiles: ReadonlyArray<Tile> = [
  { rows: 128, columns: 128, depth: 16, rowsOfThread: 8, columnsOfThread: 8 },
  { rows: 128, columns: 64, depth: 16, rowsOfThread: 8, columnsOfThread: 4 },
  { rows: 64, columns: 64, depth: 16, rowsOfThread: 8, columnsOfThread: 4 },
  { rows: 64, columns: 32, depth: 16, rowsOfThread: 4, columnsOfThread: 4 },
  { rows: 64, columns: 16, depth: 16, rowsOfThread: 4, columnsOfThread: 4 },
]

/** Padding of each line of a block in workgroup memory, so that storing a column uses more banks. */
export const padding = 4

/** Bytes of workgroup memory reserved for other stages in the dispatch. */
const reserve = 4096

const bytesOf = ({ rows, columns, depth }: Tile): number => 4 * depth * (rows + columns + 2 * padding)

/** Minimum share of the tiles' area that the matrix covers. */
const leastUsed = 0.8

/** The largest tile that the matrix fills, that fits workgroup memory, and that yields enough workgroups for the adapter. */
export const tileOf = (product: Matmul, parallelism: number, { target: { limits } }: Operands): Tile => {
  const { rows, columns, batch = 1 } = product
  const most = limits.maxComputeWorkgroupStorageSize - reserve
  const possible = tiles.filter(
    (tile) => columns > tile.columns / 2 && tile.columns >= Math.min(columns, 64) && bytesOf(tile) <= most,
  )
  const suitable = possible.find((tile) => {
    const count = Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns)
    const used = (rows * columns) / (count * tile.rows * tile.columns)
    const { splits } = splitDepth(product, tile.depth, batch * count, parallelism)
    return used >= leastUsed && batch * count * splits >= parallelism / 2
  })
  return suitable ?? possible.at(-1) ?? (tiles.at(-1) as Tile)
}
