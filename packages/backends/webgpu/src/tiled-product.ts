/** Products by tiles in workgroup memory. */
import { leave, type Product, spread } from "./factors.ts"
import { type Operands, type Stage, shader } from "./shader.ts"

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
  rowsOfThread: 4,
  columnsOfThread: 4,
})

const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

/** The stage that multiplies, and into how many parts it splits the depth. */
export const tiled = (operands: Operands, factors: Product): { readonly stage: Stage; readonly splits: number } => {
  const { rows, columns, depth, word } = factors
  const tile = tileOf(factors)
  const threads = (tile.rows / tile.rowsOfThread) * (tile.columns / tile.columnsOfThread)
  const rowTiles = Math.ceil(rows / tile.rows)
  const columnTiles = Math.ceil(columns / tile.columns)
  const parts = spread(factors, tile.depth, rowTiles * columnTiles, operands.parallelism)
  const { splits, perSplit, blocks, iterations } = parts
  const quads = tile.columns / 4
  const threadColumns = tile.columns / tile.columnsOfThread

  // A thread loads a part of a row at a time: four numbers, or eight bits of a word.
  const partsOfRow = word === undefined ? tile.depth / 4 : 4
  const put = (k: string, value: string) => `left[((${k}) * ${tile.rows}u + m) / 4u][m % 4u] = ${value};`
  const onePass = threads === tile.rows * partsOfRow
  const setRow = `let m = e / ${partsOfRow}u;
    let row = rowTile * ${tile.rows}u + m;
    let inside = row < ${rows}u;
    ${factors.row("")}`
  const loadLeft =
    word === undefined
      ? `for (var part = 0u; part < 4u; part++) {
        let at = e % ${partsOfRow}u * 4u + part;
        let k = start + at;
        var value = 0f;
        if (inside && k < ${depth}u) { ${factors.at} value = ${factors.left("")}; }
        ${put("at", "value")}
      }`
      : `let k = start;
      var bits = 0u;
      if (inside) { bits = ${word("")}; }
      let first = e % 4u * 8u;
      for (var bit = first; bit < first + 8u; bit++) { ${put("bit", "f32((bits >> bit) & 1u)")} }`
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
  const each = (
    body: string,
  ) => `  var sums = array(${threadRows.flatMap((r) => threadQuads.map((q) => `sum_${r}_${q}`)).join(", ")});
  for (var e = 0u; e < ${tile.rowsOfThread * tile.columnsOfThread}u; e++) {
    let row = rowTile * ${tile.rows}u + threadRow * ${tile.rowsOfThread}u + e / ${tile.columnsOfThread}u;
    let quad = e / 4u % ${threadQuads.length}u;
    let column = firstColumn + (threadColumn + quad * ${threadColumns}u) * 4u + e % 4u;
    if (row < ${rows}u && column < ${columns}u) { let value = sums[e / 4u][e % 4u]; ${body} }
  }`
  const stage: Stage = {
    source: shader(
      operands,
      `${factors.declarations ?? ""}
var<workgroup> left: array<vec4<f32>, ${(tile.depth * tile.rows) / 4}>;
var<workgroup> right: array<vec4<f32>, ${tile.depth * quads}>;
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let rowTile = workgroup.x + workgroup.y * 65535u;
  let split = workgroup.z / ${columnTiles}u;
  let firstColumn = workgroup.z % ${columnTiles}u * ${tile.columns}u;
  let threadRow = local / ${threadColumns}u;
  let threadColumn = local % ${threadColumns}u;
${onePass ? `    let e = local;\n    ${setRow}` : ""}
${sums.join("\n")}
  for (var iteration = split * ${perSplit}u; iteration < min(${iterations}u, (split + 1u) * ${perSplit}u); iteration++) {
    let step = iteration / ${blocks}u;
    let start = iteration % ${blocks}u * ${tile.depth}u;
    workgroupBarrier();
    ${onePass ? "{" : `for (var e = local; e < ${tile.rows * partsOfRow}u; e += ${threads}u) {\n    ${setRow}`}
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
${each(leave(factors, parts))}
}`,
    ),
    workgroups: [Math.min(rowTiles, 65535), Math.ceil(rowTiles / 65535), columnTiles * splits],
    scratch: splits === 1 ? 0 : splits * rows * columns,
  }
  return { stage, splits }
}
