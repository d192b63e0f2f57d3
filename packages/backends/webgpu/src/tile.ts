/** The part of a product that a workgroup computes. */
import { type Product, spread } from "./factors.ts"
import type { Operands } from "./shader.ts"

export interface Tile {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  /** Rows and columns of one thread, multiples of 4. */
  readonly rowsOfThread: number
  readonly columnsOfThread: number
}

/** Tiles, the largest first: the larger, the less is read for each sum. */
const tiles: ReadonlyArray<Tile> = [
  { rows: 128, columns: 128, depth: 16, rowsOfThread: 8, columnsOfThread: 8 },
  { rows: 128, columns: 64, depth: 16, rowsOfThread: 8, columnsOfThread: 4 },
  { rows: 64, columns: 64, depth: 16, rowsOfThread: 8, columnsOfThread: 4 },
  { rows: 64, columns: 32, depth: 16, rowsOfThread: 4, columnsOfThread: 4 },
  { rows: 64, columns: 16, depth: 16, rowsOfThread: 4, columnsOfThread: 4 },
]

/** Numbers beyond a line of a block in workgroup memory, so that threads that store a column of it do so in more banks. */
export const padding = 4

/** Bytes of workgroup memory that are left to what shares a dispatch with a product. */
const reserve = 4096

const bytesOf = ({ rows, columns, depth }: Tile): number => 4 * depth * (rows + columns + 2 * padding)

/** The part of all tiles that is the matrix's, at least. */
const leastUsed = 0.8

/** The largest tile that the matrix fills, that workgroups have memory for, and of which there are enough for the adapter. */
export const tileOf = (product: Product, parallelism: number, { target: { limits } }: Operands): Tile => {
  const { rows, columns, batch = 1 } = product
  const most = limits.maxComputeWorkgroupStorageSize - reserve
  const possible = tiles.filter(
    (tile) => columns > tile.columns / 2 && tile.columns >= Math.min(columns, 64) && bytesOf(tile) <= most,
  )
  const suitable = possible.find((tile) => {
    const count = Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns)
    const used = (rows * columns) / (count * tile.rows * tile.columns)
    const { splits } = spread(product, tile.depth, batch * count, parallelism)
    return used >= leastUsed && batch * count * splits >= parallelism / 2
  })
  return suitable ?? possible.at(-1) ?? (tiles.at(-1) as Tile)
}
