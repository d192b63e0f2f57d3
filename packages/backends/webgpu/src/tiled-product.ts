/** Products by tiles in workgroup memory. */
import { leave, type Product, packing, spread } from "./factors.ts"
import { type Operands, range, rowOfWorkgroups, type Stage, textOf } from "./shader.ts"

interface Tile {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  /** Rows and columns of one thread, multiples of 4. */
  readonly rowsOfThread: number
  readonly columnsOfThread: number
}

const tileOf = ({ columns, word }: Product): Tile => ({
  rows: 64,
  columns: columns > 32 ? 64 : columns > 16 ? 32 : 16,
  depth: word === undefined ? 16 : 32,
  rowsOfThread: columns > 32 ? 8 : 4,
  columnsOfThread: 4,
})

/** The stage that multiplies, and into how many parts it splits the depth. */
export const tiled = (operands: Operands, factors: Product): { readonly stage: Stage; readonly splits: number } => {
  const { rows, columns, depth, word } = factors
  const tile = tileOf(factors)
  const threads = (tile.rows / tile.rowsOfThread) * (tile.columns / tile.columnsOfThread)
  const rowTiles = Math.ceil(rows / tile.rows)
  const columnTiles = Math.ceil(columns / tile.columns)
  const parts = spread(factors, tile.depth, rowTiles * columnTiles, operands.parallelism)
  const { splits, perSplit, blocks, iterations } = parts
  const packs = splits === 1 ? packing(operands, factors, tile) : undefined
  const quads = tile.columns / 4
  const threadColumns = tile.columns / tile.columnsOfThread

  // A thread loads a part of a row of the left factor: always of the same row, which is looked at once.
  const partsOfRow = threads / tile.rows
  const part = tile.depth / partsOfRow
  const put = (k: string, value: string) => `left[((${k}) * ${tile.rows}u + m) / 4u][m % 4u] = ${value};`
  const loadLeft =
    word === undefined
      ? `for (var at = firstAt; at < firstAt + ${part}u; at++) {
        let k = start + at;
        var value = 0f;
        if (inside && k < ${depth}u) { ${factors.at} value = ${factors.left("")}; }
        ${put("at", "value")}
      }`
      : `let k = start;
      var bits = 0u;
      if (inside) { bits = ${word("")}; }
      for (var bit = firstAt; bit < firstAt + ${part}u; bit++) { ${put("bit", "f32((bits >> bit) & 1u)")} }`
  const loadRight =
    factors.rightAlong === "columns"
      ? `for (var e = local; e < ${tile.depth * tile.columns}u; e += ${threads}u) {
      let at = e / ${tile.columns}u;
      let n = e % ${tile.columns}u;`
      : `for (var e = local; e < ${tile.depth * tile.columns}u; e += ${threads}u) {
      let at = e % ${tile.depth}u;
      let n = e / ${tile.depth}u;`

  const threadRows = range(tile.rowsOfThread)
  const threadQuads = range(tile.columnsOfThread / 4)
  const sums = threadRows.flatMap((r) => threadQuads.map((q) => `  var sum_${r}_${q} = vec4<f32>();`))
  const multiply = `    for (var k = 0u; k < ${tile.depth}u; k++) {
${range(tile.rowsOfThread / 4)
  .map((r) => `      let a_${r} = left[k * ${tile.rows / 4}u + threadRow * ${tile.rowsOfThread / 4}u + ${r}u];`)
  .join("\n")}
${threadQuads.map((q) => `      let b_${q} = right[k * ${quads}u + threadColumn + ${q * threadColumns}u];`).join("\n")}
${threadRows
  .flatMap((r) => threadQuads.map((q) => `      sum_${r}_${q} += a_${Math.floor(r / 4)}[${r % 4}] * b_${q};`))
  .join("\n")}
    }`
  const leaves = `  var sums = array(${threadRows.flatMap((r) => threadQuads.map((q) => `sum_${r}_${q}`)).join(", ")});
  for (var e = 0u; e < ${tile.rowsOfThread * tile.columnsOfThread}u; e++) {
    let row = firstRow + threadRow * ${tile.rowsOfThread}u + e / ${tile.columnsOfThread}u;
    let quad = e / 4u % ${threadQuads.length}u;
    let column = firstColumn + (threadColumn + quad * ${threadColumns}u) * 4u + e % 4u;
    if (row < ${rows}u && column < ${columns}u) {
      let value = sums[e / 4u][e % 4u];
      ${leave(factors, parts)}
      ${packs?.add("row - firstRow", "column - firstColumn") ?? ""}
    }
  }
  ${packs?.store ?? ""}`
  const stage: Stage = {
    text: textOf(
      operands,
      `${factors.declarations ?? ""}
var<workgroup> left: array<vec4<f32>, ${(tile.depth * tile.rows) / 4}>;
var<workgroup> right: array<vec4<f32>, ${tile.depth * quads}>;
${packs?.declarations ?? ""}`,
      `  let firstRow = (workgroup.x + workgroup.y * ${rowOfWorkgroups}u) * ${tile.rows}u;
  let split = workgroup.z / ${columnTiles}u;
  let firstColumn = workgroup.z % ${columnTiles}u * ${tile.columns}u;
  let threadRow = local / ${threadColumns}u;
  let threadColumn = local % ${threadColumns}u;
  let m = local / ${partsOfRow}u;
  let firstAt = local % ${partsOfRow}u * ${part}u;
  let row = firstRow + m;
  let inside = row < ${rows}u;
  ${factors.row("")}
${sums.join("\n")}
  for (var iteration = split * ${perSplit}u; iteration < min(${iterations}u, (split + 1u) * ${perSplit}u); iteration++) {
    let step = iteration / ${blocks}u;
    let start = iteration % ${blocks}u * ${tile.depth}u;
    workgroupBarrier();
    {
      ${factors.step("")}
      ${loadLeft}
    }
    ${loadRight}
      let k = start + at;
      let column = firstColumn + n;
      var value = 0f;
      if (k < ${depth}u && column < ${columns}u) { value = ${factors.right("column")}; }
      right[at * ${quads}u + n / 4u][n % 4u] = value;
    }
    workgroupBarrier();
${multiply}
  }
${leaves}`,
    ),
    threads,
    flexible: false,
    workgroups: () => [
      Math.min(rowTiles, rowOfWorkgroups),
      Math.ceil(rowTiles / rowOfWorkgroups),
      columnTiles * splits,
    ],
    scratch: splits === 1 ? 0 : splits * rows * columns,
  }
  return { stage, splits }
}
