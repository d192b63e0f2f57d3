/** Matrix products whose threads read the factors directly from the arena. */
import { type Matmul, packing, smallMatmul, splitDepth, storeSum } from "./matmul-problem.ts"
import { type Operands, range, rowOfWorkgroups, type Stage, textOf } from "./shader.ts"

const threads = 32
/** Depth of a block: the spikes of one word. */
const block = 32

/** The multiplying stage, and the number of parts that the depth is split into. */
export const directMatmul = (
  operands: Operands,
  factors: Matmul,
): { readonly stage: Stage; readonly splits: number } => {
  const { rows, columns, steps, depth, word, silent } = factors
  // A thread with many sums reads less per sum, but its shader takes a tenth of a second to compile.
  const small = rows * columns * steps * depth < smallMatmul
  const threadRows = small ? 2 : 8
  const perThread = Math.min(small ? 2 : columns >= 16 ? 8 : 4, columns)
  const octet = threadRows === 8 ? factors.octet : undefined
  // Neighbouring threads take neighbouring columns, so that reads of the right factor coalesce; a workgroup covers whole words.
  const columnThreads = Math.min(Math.ceil(columns / perThread), threads / perThread)
  const rowThreads = Math.floor(threads / columnThreads)
  const tile = { rows: rowThreads * threadRows, columns: columnThreads * perThread }
  const rowTiles = Math.ceil(rows / tile.rows)
  const columnTiles = Math.ceil(columns / tile.columns)
  const parts = splitDepth(factors, block, rowTiles * columnTiles, operands.parallelism)
  const { splits, perSplit, blocks, iterations } = parts
  const packs = splits === 1 ? packing(operands, factors, tile) : undefined

  const eachRow = (text: (suffix: string, r: number) => string) =>
    range(threadRows)
      .map((r) => text(`_${r}`, r))
      .join("\n")
  const eachColumn = (text: (q: number) => string) => range(perThread).map(text).join(" ")
  const multiply = (left: (suffix: string, r: number) => string) => `
      ${eachColumn((q) => `let b_${q} = ${factors.right(`column_${q}`)};`)}
${eachRow((suffix, r) => `      { let a = ${left(suffix, r)}; ${eachColumn((q) => `sum${suffix}_${q} += a * b_${q};`)} }`)}`
  const walk =
    word !== undefined
      ? `let k = start;
${eachRow((suffix) => `    let bits${suffix} = select(0u, ${word(suffix)}, inside${suffix});`)}
    var some = ${range(threadRows)
      .map((r) => `bits_${r}`)
      .join(" | ")};
    while (some != 0u) {
      let bit = firstTrailingBit(some);
      some &= some - 1u;
      let k = start + bit;
${multiply((suffix) => `f32((bits${suffix} >> bit) & 1u)`)}
    }`
      : octet !== undefined
        ? `for (var k = start; k < min(start + ${block}u, ${depth}u); k++) {
      ${factors.at}
      let bits = ${octet("_0")};
      if ((bits & 255u) == 0u) { continue; }
${multiply((_, r) => `f32((bits >> ${r}u) & 1u)`)}
    }`
        : `for (var k = start; k < min(start + ${block}u, ${depth}u); k++) {
      ${factors.at}
${multiply((suffix) => `select(0f, ${factors.left(suffix)}, inside${suffix})`)}
    }`
  const body = `  let split = workgroup.z / ${columnTiles}u;
  let firstRow = (workgroup.x + workgroup.y * ${rowOfWorkgroups}u) * ${tile.rows}u;
  let firstColumn = workgroup.z % ${columnTiles}u * ${tile.columns}u;
  let firstOfThread = firstRow + local / ${columnThreads}u * ${threadRows}u;
${eachColumn((q) => `let column_${q} = min(firstColumn + local % ${columnThreads}u + ${q * columnThreads}u, ${columns - 1}u);`)}
${eachRow(
  (suffix, r) => `  let row${suffix} = firstOfThread + ${r}u;
  let inside${suffix} = row${suffix} < ${rows}u;
  ${factors.row(suffix)}
  ${eachColumn((q) => `var sum${suffix}_${q} = 0f;`)}`,
)}
  for (var iteration = split * ${perSplit}u; iteration < min(${iterations}u, (split + 1u) * ${perSplit}u); iteration++) {
    let step = iteration / ${blocks}u;
    let start = iteration % ${blocks}u * ${block}u;
    ${silent === undefined ? "" : `if (${silent("row_0", `min(row_${threadRows - 1}, ${rows - 1}u)`, "step")}) { continue; }`}
${eachRow((suffix) => `    ${factors.step(suffix)}`)}
    ${walk}
  }
  var sums = array<f32, ${threadRows * perThread}>(${range(threadRows)
    .flatMap((r) => range(perThread).map((q) => `sum_${r}_${q}`))
    .join(", ")});
  for (var e = 0u; e < ${threadRows * perThread}u; e++) {
    let row = row_0 + e / ${perThread}u;
    let column = firstColumn + local % ${columnThreads}u + e % ${perThread}u * ${columnThreads}u;
    if (${threads % columnThreads === 0 ? "" : `local < ${rowThreads * columnThreads}u && `}row < ${rows}u && column < ${columns}u) {
      let value = sums[e];
      ${storeSum(factors, parts)}
      ${packs?.add("row - firstRow", "column - firstColumn") ?? ""}
    }
  }
  ${packs?.store ?? ""}`
  return {
    stage: {
      text: textOf(operands, `${factors.declarations ?? ""}${packs?.declarations ?? ""}`, body),
      threads,
      flexible: false,
      workgroups: () => [
        Math.min(rowTiles, rowOfWorkgroups),
        Math.ceil(rowTiles / rowOfWorkgroups),
        columnTiles * splits,
      ],
      scratch: splits === 1 ? 0 : splits * rows * columns,
    },
    splits,
  }
}
